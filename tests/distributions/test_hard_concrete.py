"""Hard Concrete gates: their definition, exact chances of 0 and 1, and derivatives."""

import mpmath
import numpy as np
import pytest

import fastgrad as fg

BOTH = pytest.mark.parametrize("dtype", [np.float32, np.float64])
STRETCH = (-0.3, 1.2)
OPTIONS = {"temperature": 0.5, "stretch": STRETCH}
LOGITS = np.random.default_rng(1).normal(size=(3, 4), scale=2)


@BOTH
def test_is_a_stretched_binary_concrete_sample(dtype):
    x, draw = LOGITS.astype(dtype), {"num_samples": 50, "rng": fg.Key(2), "sample_offset": 3}
    z = fg.bernoulli.hard_concrete(x, **OPTIONS, **draw)
    y = fg.bernoulli.gumbel_softmax(x, temperature=0.5, **draw)
    assert z.dtype == dtype
    np.testing.assert_allclose(z, np.clip(1.5 * y - 0.3, 0, 1), atol=4 * np.finfo(dtype).eps)
    out = np.empty_like(z)
    assert fg.bernoulli.hard_concrete(x, **OPTIONS, **draw, out=out) is out
    np.testing.assert_array_equal(out, z)


@BOTH
def test_zeros_and_ones_are_as_frequent_as_they_should_be(dtype):
    """12 cells, two kinds, two types: beyond 4.5 standard errors once in 3,000 runs of any seed."""
    n = 100_000
    z = fg.bernoulli.hard_concrete(LOGITS.astype(dtype), **OPTIONS, num_samples=n, rng=5)
    active = fg.bernoulli.hard_concrete_active(LOGITS, **OPTIONS)
    # z is 1 where low + (high - low) y >= 1: the mirror image of z = 0.
    flipped = fg.bernoulli.hard_concrete_active(-LOGITS, temperature=0.5, stretch=(-0.2, 1.3))
    for found, p in ((z > 0, active), (z < 1, flipped)):
        error = np.sqrt(p * (1 - p) / n)
        assert (abs(found.mean(axis=0) - p) < 4.5 * error).all()


@BOTH
def test_chances_are_exact(dtype):
    x = np.array([-80, -30.0, -3, 0, 2, 20, -np.inf, np.inf], dtype)
    found = fg.bernoulli.hard_concrete_active(x, **OPTIONS)
    slopes = fg.bernoulli.hard_concrete_active_vjp(x, np.full(8, 2.0), **OPTIONS)
    eps = float(np.finfo(dtype).eps)
    with mpmath.workdps(40):
        move = mpmath.mpf(0.5) * mpmath.log(mpmath.mpf(0.3) / mpmath.mpf(1.2))
        for value, p, slope in zip(x[:6].tolist(), found, slopes):
            right = 1 / (1 + mpmath.exp(move - value))
            assert p == pytest.approx(float(right), rel=4 * eps * max(1, abs(value)))
            expected = float(2 * right / (1 + mpmath.exp(value - move)))
            assert slope == pytest.approx(expected, rel=1e-5 if dtype == np.float32 else 1e-13)
    assert found[6:].tolist() == [0, 1]
    assert slopes[6:].tolist() == [0, 0]


def test_product_is_that_of_differences():
    """In float64, and away from the samples that a step would clip."""
    draw, step = {"num_samples": 6, "rng": fg.Key(7)}, 1e-6
    temperature = np.linspace(0.3, 1.5, 12).reshape(3, 4)
    options = {"temperature": temperature, "stretch": STRETCH}
    w = np.random.default_rng(3).normal(size=(6, 3, 4))
    z = [fg.bernoulli.hard_concrete(LOGITS + d, **options, **draw) for d in (-step, 0, step)]
    expected = (w * (z[2] - z[0])).sum(axis=0) / (2 * step)
    found = fg.bernoulli.hard_concrete_vjp(LOGITS, w, **options, rng=fg.Key(7))
    assert ((z[1] == 0) | (z[1] == 1)).any()
    assert ((z[1] > 0) & (z[1] < 1)).any()
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8)
    one = fg.bernoulli.hard_concrete_vjp(LOGITS, w[2], **options, rng=fg.Key(7), sample_offset=2)
    rest = fg.bernoulli.hard_concrete_vjp(LOGITS, w[:2], **options, rng=fg.Key(7))
    rest += fg.bernoulli.hard_concrete_vjp(LOGITS, w[3:], **options, rng=fg.Key(7), sample_offset=3)
    np.testing.assert_allclose(one + rest, found, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("stretch", [(0.0, 1.1), (-0.1, 1.0), (-np.inf, 1.1), (np.nan, 2), 1.0])
def test_a_stretch_that_does_not_hold_0_and_1_is_refused(stretch):
    with pytest.raises(ValueError, match="stretch must be"):
        fg.bernoulli.hard_concrete(LOGITS, stretch=stretch, rng=0)
    with pytest.raises(ValueError, match="stretch must be"):
        fg.bernoulli.hard_concrete_active(LOGITS, stretch=stretch)


def test_a_generator_can_not_be_replayed():
    with pytest.raises(TypeError, match="rng"):
        fg.bernoulli.hard_concrete_vjp(LOGITS, LOGITS, rng=np.random.default_rng(0))
