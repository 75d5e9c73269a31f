"""A user's solver of ``argmax <y, theta>``, and the noise that perturbs what it is given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import numpy as np

from fastgrad import _validate
from fastgrad._typing import Array, ArrayLike, FloatArray
from fastgrad.random import Key, gumbel, normal

Solver: TypeAlias = Callable[[Array], ArrayLike]  # of problems (S, *theta.shape), of that shape
Noise: TypeAlias = Literal["gumbel", "normal", "lognormal"]
NOISES = {"gumbel": gumbel, "normal": normal, "lognormal": normal}


def parameters(solver: Any, theta: ArrayLike, noise: str = "gumbel") -> FloatArray:
    """Return theta, checked for that noise: factors leave no entry of -inf as it is."""
    if not callable(solver):
        raise TypeError(f"solver must be a function of arrays, got {solver!r}")
    _validate.choice(noise, "noise", tuple(NOISES))
    theta = _validate.real_array(theta, "theta")
    _validate.check_logits(theta.reshape(-1), "theta", theta.shape)
    if noise == "lognormal" and not np.isfinite(theta).all():
        raise ValueError(f"theta must be finite for lognormal noise, got {theta.min()}")
    return theta


def size_of_noise(noise_scale: Any, dtype: Any) -> float:
    """Return the checked factor of noise: at least 0, and its products do not leave the dtype."""
    scale = _validate.not_negative(noise_scale, "noise_scale")
    return _validate.held(scale, "noise_scale", dtype)


def problem_axes(theta: FloatArray, problem_ndim: int) -> tuple[int, ...]:
    """Return the axes of samples that make up one problem."""
    return tuple(range(-_validate.integer(problem_ndim, "problem_ndim", 0, theta.ndim), 0))


def per_sample(cotangent: ArrayLike, theta: FloatArray) -> FloatArray:
    """Return cotangents of the shape of theta as (S, *theta.shape): the solver is given them."""
    count, (r,) = _validate.cotangents({"cotangent": cotangent}, theta.shape, theta.dtype)
    return _validate.finite(r.reshape(count, *theta.shape), "cotangent")


def known_solutions(solutions: ArrayLike, shape: tuple[int, ...], dtype: Any) -> FloatArray:
    """Return solutions of an earlier call, checked as those of a solver are."""
    y: FloatArray = _validate.like(solutions, shape, dtype, "solutions")
    return _validate.finite(y, "solutions")


def perturb(theta: FloatArray, z: FloatArray, noise: str, noise_scale: float) -> FloatArray:
    """Return theta perturbed by standard noise Z: plus noise_scale Z, or times `factors` of it."""
    if noise == "lognormal":
        return theta * factors(z, noise_scale)
    return theta + theta.dtype.type(noise_scale) * z


def factors(z: FloatArray, noise_scale: float) -> FloatArray:
    """Return log-normal factors of mean 1: exp(noise_scale Z - noise_scale**2 / 2)."""
    real = z.dtype.type
    half_square = _validate.narrowed(noise_scale * noise_scale / 2, z.dtype)
    return np.exp(real(noise_scale) * z - half_square)


def draw_noise(
    theta: FloatArray, count: int, key: Key, noise: str, noise_scale: float, sample_offset: int
) -> FloatArray:
    """Return noise for each sample of each parameter."""
    draw = NOISES[noise]
    scale = theta.dtype.type(size_of_noise(noise_scale, theta.dtype))
    offset = _validate.integer(sample_offset, "sample_offset", 0, 2**32 - count) * theta.size
    z = draw((count, *theta.shape), rng=key, dtype=theta.dtype, offset=offset)
    return np.multiply(z, scale, out=z)


def call(solver: Callable[[Any], Any], theta: FloatArray) -> FloatArray:
    """Return the solutions of perturbed problems; these and the solutions are checked."""
    flat = _validate.frozen(theta.reshape(-1))
    _validate.check_logits(flat, "theta as the solver is given it", theta.shape)
    y = _validate.array(solver(theta), "the solver's result")
    if y.shape != theta.shape:
        raise ValueError(f"solver must return solutions of shape {theta.shape}, got {y.shape}")
    if y.dtype.kind not in "iufb":
        raise ValueError(f"solver must return real numbers, got dtype {y.dtype}")
    return _validate.finite(y, "the solver's result").astype(theta.dtype, copy=False)
