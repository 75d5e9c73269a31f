"""What may be a key, and which key of NumPy's API it stands for."""

import functools

import numpy as np
import pytest
from jax_types import enable_x64

import fastgrad as fg

jax = pytest.importorskip("jax")
fj = pytest.importorskip("fastgrad.jax")
jnp = pytest.importorskip("jax.numpy")
pytestmark = pytest.mark.optional


def test_keys_and_what_they_stand_for():
    key = jax.random.split(jax.random.key(5))[1]
    assert fj.to_key(key).words == tuple(np.asarray(jax.random.key_data(key)).tolist())
    assert fj.to_key(jax.random.PRNGKey(5)) == fj.to_key(jax.random.key(5))
    assert fj.to_key(5) == fj.to_key(np.int64(5)) == fg.Key(5)
    assert fj.to_key(fg.Key(2**70)) == fg.Key(2**70)


@pytest.mark.parametrize("key", [7, fg.Key(7), 2**70])
def test_keys_known_when_traced(key):
    x = np.zeros((4, 3), np.float32)
    found = jax.jit(lambda x: fj.sample(x, key))(x)
    np.testing.assert_array_equal(found, fg.sample(x, rng=key))


@pytest.mark.parametrize(
    "key", [None, 1.5, True, np.random.default_rng(0), jnp.zeros(3, jnp.uint32), jnp.zeros(2)]
)
def test_other_keys_are_refused(key):
    with pytest.raises(TypeError, match="key must be a single key of"):
        fj.sample(np.zeros(3, np.float32), key)


def test_a_key_must_be_single_and_threefry():
    with pytest.raises(TypeError, match="key must be a single key"):
        fj.sample(np.zeros(3, np.float32), jax.random.split(jax.random.key(0)))
    with pytest.raises(TypeError, match="key must be a threefry key"):
        fj.sample(np.zeros(3, np.float32), jax.random.key(0, impl="rbg"))
    with pytest.raises(TypeError, match="key must be a single key"):
        jax.jit(lambda k: fj.sample(np.zeros(3, np.float32), k))(7)  # a tracer of an integer
    with pytest.raises(TypeError, match="must be known here"):
        jax.jit(fj.to_key)(jax.random.key(0))
    with pytest.raises(ValueError, match="must be"):
        fj.to_key(-1)


def test_offsets_must_be_integers():
    for bad in (1.5, np.zeros(2, int)):
        with pytest.raises(TypeError, match="row_offset must be an integer"):
            fj.sample(np.zeros(3, np.float32), 0, row_offset=bad)
    for name in ("row_offset", "sample_offset"):
        draw = jax.jit(lambda i, name=name: fj.sample(np.zeros(3, np.float32), 0, **{name: i}))
        with pytest.raises(ValueError, match=f"{name} must be .* got -1"):
            fj.sample(np.zeros(3, np.float32), 0, **{name: -1})
        with pytest.raises(ValueError, match=f"{name} must be .* got -1"):
            fj.sample(np.zeros(3, np.float32), 0, **{name: jnp.int32(-1)})
        with pytest.raises(jax.errors.JaxRuntimeError, match=f"{name} must be"):
            draw(-1).block_until_ready()
        with (
            enable_x64(),
            pytest.raises(jax.errors.JaxRuntimeError, match=f"{name} must be"),
        ):
            draw(2**41).block_until_ready()


def test_offsets_of_64_bits_are_taken_whole():
    draw = functools.partial(fj.sample, np.zeros((9, 3), np.float32), 0)
    with enable_x64():
        found = jax.jit(lambda i: draw(row_offset=i))(2**33 + 5)
    np.testing.assert_array_equal(found, draw(row_offset=2**33 + 5))


def test_mapped_offsets_say_where_their_rows_begin():
    x, rows = np.zeros((3, 2, 3), np.float32), np.array([0, 10, 4])
    draw = jax.vmap(lambda x, i: fj.sample(x, 0, num_samples=9, row_offset=i))
    expected = [fg.sample(y, num_samples=9, rng=0, row_offset=i) for y, i in zip(x, rows)]
    np.testing.assert_array_equal(draw(x, rows), expected)
    samples = np.array([2, 0, 7])  # rows follow each other, as where nothing but x is mapped
    draw = jax.vmap(lambda x, i: fj.sample(x, 0, num_samples=9, sample_offset=i))
    for i, found in enumerate(draw(x, samples)):
        options = {"row_offset": 2 * i, "sample_offset": samples[i], "rng": 0}
        np.testing.assert_array_equal(found, fg.sample(x[i], num_samples=9, **options))
