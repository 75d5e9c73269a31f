"""Fenchel-Young losses against their definition, and their gradients against differences."""

import numpy as np
import pytest
from reference_order import entmax as projected
from reference_order import entmax_loss as naive_loss
from reference_order import jacobian
from strategies import DTYPES, some_logits

import fastgrad as fg
from fastgrad.sparse import entmax_loss, entmax_loss_vjp

by_dtype = pytest.mark.parametrize("dtype", DTYPES)
by_alpha = pytest.mark.parametrize("alpha", [1.0, 1.1, 1.25, 1.5, 1.7, 2.0])


@by_dtype
@by_alpha
@pytest.mark.parametrize("k", [1, 3, 40, 600])
def test_equals_the_definition(k, alpha, dtype):
    x, rng = some_logits(50, k, dtype), np.random.default_rng(k)
    y = rng.dirichlet(np.ones(k), 50) * np.isfinite(x)
    y = (y / y.sum(axis=1, keepdims=True)).astype(dtype)
    z = np.isfinite(x).argmax(axis=1)
    for target, rows in ((y, y.astype(np.float64)), (z, np.eye(k)[z])):
        got, expected = entmax_loss(x, target, alpha=alpha), naive_loss(x, rows, alpha)
        assert got.dtype == dtype
        tolerance = {np.float32: 3e-5, np.float64: 1e-11}[dtype] * (1 + abs(expected))
        assert (abs(got - expected) <= tolerance).all()
        assert got.min() >= 0


@by_alpha
def test_gradients_equal_differences(alpha):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=6), rng.dirichlet(np.ones(6))
    for target in (y, np.int64(4)):
        expected = 1.5 * jacobian(lambda v, t=target: entmax_loss(v, t, alpha=alpha), x)
        got = entmax_loss_vjp(x, target, 1.5, alpha=alpha)
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-7)


@by_dtype
def test_digits_are_kept_near_zero(dtype):
    """At a distance d from the optimum the sparsemax loss is of size d squared."""
    x = np.array([[0.3, -0.1, 0.2, -0.1]])
    y = projected(x, 2.0)
    off = 1e-4 * np.array([[1.0, -1.0, 1.0, -1.0]])
    got = fg.sparse.sparsemax_loss((x + off).astype(dtype), y.astype(dtype))
    np.testing.assert_allclose(got, 2e-8, rtol=5e-3 if dtype == np.float32 else 1e-8)


def test_the_margin_and_the_binary_case():
    """Martins and Astudillo, section 3.3: the two-class loss is a modified Huber loss."""
    t = np.linspace(-3, 3, 61)
    x = np.stack([t, np.zeros_like(t)], axis=1)
    expected = np.where(t >= 1, 0, np.where(t <= -1, -t, (1 - t) ** 2 / 4))
    got = fg.sparse.sparsemax_loss(x, np.zeros(61, np.int64))
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-14)
    assert fg.sparse.entmax15_loss(np.array([2.0, 0.0]), 0) == 0


def test_masks_and_names():
    x = np.array([[0.0, -np.inf, 1.0]])
    assert fg.sparse.sparsemax_loss(x, np.array([1])) == np.inf
    grad = fg.sparse.entmax15_loss_vjp(x, np.array([1]), np.array([1.0]))
    assert np.isfinite(grad).all()
    r, z = np.array([2.0]), np.array([2])
    for name, alpha in (("sparsemax", 2.0), ("entmax15", 1.5)):
        loss, product = (getattr(fg.sparse, f"{name}_loss{end}") for end in ("", "_vjp"))
        np.testing.assert_array_equal(loss(x, z), entmax_loss(x, z, alpha=alpha))
        np.testing.assert_array_equal(product(x, z, r), entmax_loss_vjp(x, z, r, alpha=alpha))


def test_errors():
    x = np.zeros((2, 3))
    with pytest.raises(ValueError, match="target must be from 0 to 2, got 3"):
        entmax_loss(x, np.array([0, 3]), alpha=2)
    with pytest.raises(ValueError, match=r"target must have shape \(2,\) .integers. or \(2, 3\)"):
        entmax_loss(x, np.zeros(3), alpha=2)
    with pytest.raises(ValueError, match=r"target must have rows of sum 1, got one of sum 0\.9"):
        entmax_loss(x, np.full((2, 3), 0.3), alpha=2)
    with pytest.raises(ValueError, match="target must hold probabilities, at least 0, got -1"):
        entmax_loss(x, np.array([[1.0, 1, -1]] * 2), alpha=2)
    with pytest.raises(ValueError, match="target must be finite"):
        entmax_loss(x, np.full((2, 3), np.nan), alpha=2)
