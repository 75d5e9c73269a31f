"""What is particular to families with closed transforms."""

import numpy as np
import pytest

import fastgrad as fg

C = fg.continuous


def test_normal_samples_are_the_library_s_noise():
    d = C.Normal(np.zeros(3), np.zeros(3))
    assert np.array_equal(
        d.sample(num_samples=5, rng=1), fg.random.normal((5, 3), rng=1, dtype=float)
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_lognormal_samples_never_overflow(dtype):
    d = C.LogNormal(np.zeros(2000, dtype), np.full(2000, 7, dtype))
    x = d.sample(rng=0)
    info = np.finfo(dtype)
    assert x.min() == info.tiny
    assert x.max() == info.max


def test_uniform_samples_stay_between_the_ends():
    low, high = np.float32([1.0, -3.0]), np.float32([np.nextafter(np.float32(1), 2), 5.0])
    x = C.Uniform(low, high).sample(num_samples=2000, rng=0)
    assert ((x >= low) & (x <= high)).all()
    d = C.Uniform(0.0, 2.0)
    for at in (0.0, 1.0, 2.0):
        assert abs(d.log_prob(at) + np.log(2)) < 1e-15


def test_uniform_ends_must_be_in_order():
    with pytest.raises(ValueError, match=r"low must be below high, got low=1.0 and high=1.0"):
        C.Uniform(1.0, 1.0)
    with pytest.raises(ValueError, match=r"low must be below high, got low=3.0 and high=2.0"):
        C.Uniform([0.0, 3.0], [1.0, 2.0])


def test_laplace_has_both_tails_and_a_fine_middle():
    x = C.Laplace(np.float32(0), np.float32(0)).sample(num_samples=200_000, rng=0)
    assert x.max() > 10
    assert x.min() < -10
    assert len(np.unique(x)) > 190_000


def test_single_precision_keeps_its_type():
    d = C.Normal(np.float32([1, 2]), np.float32([0, 0]))
    assert d.dtype == np.float32
    x = d.sample(num_samples=3, rng=0)
    grads = [*d.score(x).values(), *d.transform_vjp(d.noise(3, rng=0), x).values()]
    assert all(g.dtype == np.float32 for g in grads)
    mixed = C.Normal(np.float32([1, 2]), np.zeros(2))
    assert mixed.dtype == np.float64
