"""Products given the relaxations, against those that draw the noise again."""

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.distributions.concrete_products import gumbel_softmax_product, relax_product

RNG = np.random.default_rng(4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(7, 3), (2, 5, 16), (2, 700)])
def test_gumbel_softmax_is_the_product_that_draws_again(shape, dtype):
    logits = RNG.normal(size=shape).astype(dtype)
    logits[..., 1] = -np.inf
    for count in (None, 3):
        options = {"temperature": 0.4, "rng": 5}
        x = fg.gumbel_softmax(logits, num_samples=count, **options)
        r = RNG.normal(size=x.shape).astype(dtype)
        found = gumbel_softmax_product(logits, x, r, temperature=0.4)
        np.testing.assert_array_equal(found, fg.gumbel_softmax_vjp(logits, r, **options))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(53, 16), (85, 48), (300, 12)])
def test_rows_alone_have_the_bits_of_many(shape, dtype):
    x, r = RNG.normal(size=(2, 3, *shape)).astype(dtype)
    logits = np.zeros(shape, dtype)
    found = gumbel_softmax_product(logits, x, r, temperature=0.4)
    for i in range(shape[0]):
        one = gumbel_softmax_product(logits[[i]], x[:, [i]], r[:, [i]], temperature=0.4)
        np.testing.assert_array_equal(found[[i]], one)


@pytest.mark.parametrize("temperature", [0.05, 0.5, 1.0, 3.0])
@pytest.mark.parametrize("shape", [(7, 3), (2, 5, 16), (2, 700)])
def test_relax_is_the_sum_of_the_products_that_draw_again(shape, temperature):
    logits = 3 * RNG.normal(size=shape)
    logits[..., 1] = -np.inf
    for coupled in (False, True):
        for count in (None, 3):
            options = {"temperature": temperature, "rng": 5, "coupled": coupled}
            z, *pair, _ = fg.relax(logits, num_samples=count, **options)
            given = RNG.normal(size=(2, *pair[0].shape))
            found = relax_product(logits, z, *pair, *given, temperature=temperature)
            expected = sum(fg.relax_vjp(logits, *given, **options))
            scale = abs(expected).max()
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13 * scale)
            assert (found[..., 1] == 0).all()


def test_relax_in_float32_is_near_float64():
    logits = RNG.normal(size=(300, 8)).astype(np.float32)
    logits[0] = [-86, 0, -86, -50, -20, 0, 1, 5]
    options = {"temperature": 0.1, "rng": 5, "num_samples": 4}
    z, *pair, _ = fg.relax(logits, **options)
    given = RNG.normal(size=(2, *pair[0].shape)).astype(np.float32)
    found = relax_product(logits, z, *pair, *given, temperature=0.1)
    wide = [x.astype(np.float64) for x in (*pair, *given)]
    expected = relax_product(logits.astype(np.float64), z, *wide, temperature=0.1)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * abs(expected).max())


def test_shapes_must_agree():
    x = np.zeros((2, 3))
    with pytest.raises(ValueError, match="agree in shape"):
        gumbel_softmax_product(x, x, x[:1], temperature=1.0)
