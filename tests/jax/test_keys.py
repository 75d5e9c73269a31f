"""What may be a key, and which key of NumPy's API it stands for."""

import numpy as np
import pytest

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
    with pytest.raises(ValueError, match="row_offset must be"):
        fj.sample(np.zeros(3, np.float32), 0, row_offset=-1)
