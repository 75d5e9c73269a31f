"""The table of operations: what each computes of NumPy arrays, and the shapes of its results.

Nothing here knows JAX: these functions also run inside XLA's callbacks, where touching JAX hangs.
Logits come as rows (N, K), scores of pairs as problems (B, n, m) with n <= m. What names the noise
comes as one operand of five uint32: the two words of the key, the index of the first row in two
words, and the complement of that of the first sample (see `keys`). The inverse of the temperature
comes as an array of no axes, in the dtype of the logits, and so does the factor of the noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fastgrad import _marks, _validate
from fastgrad._typing import Array
from fastgrad.distributions import (
    categorical,
    categorical_entropy,
    subset,
)
from fastgrad.distributions.assignment import canonical, require_matching
from fastgrad.distributions.plackett_luce import size
from fastgrad.distributions.sinkhorn import told_apart
from fastgrad.kernels.distributions import concrete_choice as _choice
from fastgrad.kernels.distributions import concrete_products as _at_hand
from fastgrad.kernels.distributions import sinkhorn_batch as _sinkhorn_kernels
from fastgrad.kernels.distributions import subset_top_k as _top_k
from fastgrad.random import Key

WORD = 2**32


class Operation(NamedTuple):
    """A function of NumPy arrays, with what a compiler must know of it.

    Attributes
    ----------
    compute : callable
        Takes the operands, and static options by keyword; returns a tuple of arrays.
    ranks : tuple of int
        Number of axes of each operand.
    results : callable
        Takes the operands, of which only shape and dtype are read, and the options; returns the
        shape and dtype of each result.
    """

    compute: Callable[..., tuple[Array, ...]]
    ranks: tuple[int, ...]
    results: Callable[..., tuple[tuple[tuple[int, ...], Any], ...]]


def place(address: Array) -> tuple[Key, int, int]:
    """Return the key, the first row and the first sample that an address names."""
    first, second, high, low, complement = (int(word) for word in address)
    if high == low == WORD // 2:  # see `keys.address`
        raise ValueError("sample_offset must be from 0 to 2**32 less the number of samples")
    row = high * WORD + low - (WORD**2 if high >= WORD // 2 else 0)
    return Key._from_words((first, second)), row, WORD - 1 - complement


def noise_of(address, count):
    """Return where so many samples of noise are, as kernels take it."""
    key, row, sample = place(address)
    row, sample = _validate.offsets(row, sample, count)
    return key.kernel_words, sample, row


def _scale(rows, scale):
    if not 2.0**-60 <= scale <= 2.0**60:
        found = 1 / np.float64(scale) if scale else np.inf
        raise ValueError(f"temperature must be from 2**-60 to 2**60, got {found}")
    return _validate.frozen(np.full(1, scale, rows.dtype))


def scales_of(rows, scale):
    """Return the inverse of a temperature, checked, for each of the rows."""
    return _validate.frozen(np.full(len(rows), _scale(rows, scale)))


def _sample(logits, address, *, samples, method):
    key, row, sample = place(address)
    z = categorical.sample(
        logits,
        num_samples=samples,
        rng=key,
        method=method,
        row_offset=row,
        sample_offset=sample,
    )
    return (z,)


def _gumbel_softmax(logits, address, scale, *, samples, mode):
    rows, _ = _validate.rows(logits, check=False)
    out = np.empty((samples, *rows.shape), rows.dtype)
    work = noise_of(address, samples), _scale(rows, scale), mode, out
    _marks.checking(_choice.gumbel_softmax, rows, rows.shape, *work)
    return (out,)


def _gumbel_softmax_vjp(logits, address, scale, cotangent, *, log):
    rows, _ = _validate.rows(logits, check=False)
    grad, r = np.empty_like(rows), _validate.real_array(cotangent, "cotangent")
    work = r, noise_of(address, len(r)), _scale(rows, scale), log, grad
    _marks.checking(_choice.gumbel_softmax_vjp, rows, rows.shape, *work)
    return (grad,)


def _relax(logits, address, scale, *, samples, coupled, log):
    rows, _ = _validate.rows(logits, check=False)
    shape = samples, *rows.shape
    z = np.empty(shape[:-1], np.int32)
    pair = tuple(np.empty(shape, rows.dtype) for _ in range(2))
    how = noise_of(address, samples), _scale(rows, scale), coupled, log
    others = *pair, np.empty((samples, 0, 0), rows.dtype)  # for the score: see `_relax_score`
    _marks.checking(_choice.relax, rows, rows.shape, *how, z, others)
    return (z, *pair)


def _relax_score(logits, z, scale, *, log):
    rows, z = _validate.real_array(logits, "logits"), _validate.frozen(np.ascontiguousarray(z))
    out = np.empty((*z.shape, rows.shape[1]), rows.dtype)
    _choice.relax_score(rows, z, _scale(rows, scale), log, out)
    return (out,)


def _relax_vjp(logits, address, scale, relaxed, conditional, *, coupled, log):
    rows, _ = _validate.rows(logits, check=False)
    grads = np.empty_like(rows), np.empty_like(rows)
    given = tuple(_validate.real_array(r, "cotangent") for r in (relaxed, conditional))
    how = noise_of(address, len(relaxed)), _scale(rows, scale), coupled, log
    _marks.checking(_choice.relax_vjp, rows, rows.shape, given, *how, grads)
    return grads


def _gumbel_softmax_product(relaxed, cotangent, scale):
    x, r = (_validate.real_array(a, "an operand") for a in (relaxed, cotangent))
    grad = np.empty(x.shape[1:], x.dtype)
    _at_hand.gumbel_softmax(x, r, x.dtype.type(scale), grad)
    return (grad,)


def _relax_product(logits, z, relaxed, conditional, relaxed_cotangent, cotangent, scale):
    rows, z = _validate.real_array(logits, "logits"), _validate.frozen(np.ascontiguousarray(z))
    given = relaxed, conditional, relaxed_cotangent, cotangent
    x, y, r, q = (_validate.real_array(a, "an operand") for a in given)
    grad, scale = np.empty_like(rows), rows.dtype.type(scale)
    _at_hand.relax(rows, z, (x, y), (r, q), scale, rows.dtype.type(1) / scale, grad)
    return (grad,)


def _log_prob(logits, z):
    return (categorical.log_prob(logits, z),)


def _score(logits, z):
    return (categorical.score(logits, z),)


def _entropy(logits):
    return (categorical_entropy.entropy(logits),)


def _entropy_vjp(logits, cotangent):
    return (categorical_entropy.entropy_vjp(logits, cotangent),)


def _kl_divergence(p_logits, q_logits):
    return (categorical_entropy.kl_divergence(p_logits, q_logits),)


def _kl_divergence_vjp(p_logits, q_logits, cotangent):
    return categorical_entropy.kl_divergence_vjp(p_logits, q_logits, cotangent)


def _marginals(logits, *, k):
    return (subset.marginals(logits, k),)


def _marginals_vjp(logits, cotangent, *, k):
    return (subset.marginals_vjp(logits, cotangent, k),)


def _k_hot(logits, address, *, samples, k):
    key, row, sample = place(address)
    where = {"rng": key, "row_offset": row, "sample_offset": sample}
    return (subset.k_hot(logits, k, num_samples=samples, **where),)


def _relaxed_top_k(logits, address, scale, *, samples, k):
    rows, _ = _validate.rows(logits)
    out, k = np.empty((samples, *rows.shape), rows.dtype), size(rows, k, rows.shape)
    _top_k.relaxed_top_k(rows, k, noise_of(address, samples), scales_of(rows, scale), out)
    return (out,)


def _relaxed_top_k_vjp(logits, address, scale, cotangent, *, k):
    rows, _ = _validate.rows(logits)
    grad, r = np.empty_like(rows), _validate.real_array(cotangent, "cotangent")
    _top_k.relaxed_top_k_vjp(rows, r, k, noise_of(address, len(r)), scales_of(rows, scale), grad)
    return (grad,)


def _sinkhorn_operands(log_alpha, address, scale, noise_scale, samples, limits):
    """Return problems of no more rows than columns, and what else both kernels take."""
    problem = canonical(log_alpha)
    x, (tolerance, max_iterations, newton) = problem.logits, limits
    limits = scales_of(x, scale), float(tolerance), int(max_iterations), bool(newton)
    told_apart(x, limits[0], newton)
    return problem, (noise_of(address, samples), x.dtype.type(noise_scale), limits)


def _sinkhorn(
    log_alpha, address, scale, noise_scale, *, samples, tolerance, max_iterations, newton
):
    limits = tolerance, max_iterations, newton
    problem, how = _sinkhorn_operands(log_alpha, address, scale, noise_scale, samples, limits)
    out = np.empty((samples, *log_alpha.shape), log_alpha.dtype)
    errors, counts = np.empty(out.shape[:2]), np.empty(out.shape[:2], np.int32)
    _sinkhorn_kernels.solve(problem.logits, *how, out, errors, counts)
    return out, errors, counts


def _sinkhorn_vjp(
    log_alpha, address, scale, noise_scale, cotangent, *, tolerance, max_iterations, newton
):
    limits, w = (tolerance, max_iterations, newton), _validate.real_array(cotangent, "cotangent")
    problem, how = _sinkhorn_operands(log_alpha, address, scale, noise_scale, len(w), limits)
    require_matching(problem)
    out = np.empty(w.shape, w.dtype)
    _sinkhorn_kernels.vjp(problem.logits, w, *how, True, out)
    return (out.sum(axis=0),)


def _distribution(family, names, shapes, parameters):
    return family(**{n: x.reshape(s) for n, s, x in zip(names, shapes, parameters, strict=True)})


def _draw(words, *parameters, family, names, shapes, samples):
    d = _distribution(family, names, shapes, parameters)
    x = d.sample(num_samples=samples, rng=Key._from_words(words))
    return (x.reshape(samples, math.prod(shapes[0])),)


def _draw_vjp(words, *arrays, family, names, shapes):
    *parameters, cotangent = arrays
    d, count = _distribution(family, names, shapes, parameters), len(cotangent)
    noise = d.noise(count, rng=Key._from_words(words))
    grads = d.transform_vjp(noise, cotangent.reshape(count, *shapes[0]))
    return tuple(grads[name].sum(axis=0).reshape(-1) for name in names)


# -- shapes ------------------------------------------------------------------------------------


def like_logits(logits, *others, **options):
    """Return the one result that is like the logits."""
    return ((logits.shape, logits.dtype),)


def for_each_sample(logits, *others, samples, **options):
    """Return the one result that is like the logits, for each sample."""
    return (((samples, *logits.shape), logits.dtype),)


def _of_relax(logits, *others, samples, **options):
    shape = samples, *logits.shape
    return ((shape[:-1], np.dtype(np.int32)), *2 * ((shape, logits.dtype),))


def _of_score(logits, z, *others, **options):
    return (((*z.shape, logits.shape[1]), logits.dtype),)


def _of_sinkhorn(log_alpha, *others, samples, **options):
    shape, kinds = (samples, *log_alpha.shape), (log_alpha.dtype, np.float64, np.int32)
    return tuple(zip((shape, shape[:2], shape[:2]), map(np.dtype, kinds), strict=True))


def _of_draw(words, first, *others, samples, **options):
    return (((samples, *first.shape), first.dtype),)


OPERATIONS = {
    "sample": Operation(
        _sample, (2, 1), lambda x, *_, samples, method: (((samples, len(x)), np.dtype(np.int32)),)
    ),
    "gumbel_softmax": Operation(_gumbel_softmax, (2, 1, 0), for_each_sample),
    "gumbel_softmax_vjp": Operation(_gumbel_softmax_vjp, (2, 1, 0, 3), like_logits),
    "relax": Operation(_relax, (2, 1, 0), _of_relax),
    "relax_score": Operation(_relax_score, (2, 2, 0), _of_score),
    "relax_vjp": Operation(_relax_vjp, (2, 1, 0, 3, 3), lambda x, *_, **__: 2 * like_logits(x)),
    "gumbel_softmax_product": Operation(
        _gumbel_softmax_product, (3, 3, 0), lambda x, *_: ((x.shape[1:], x.dtype),)
    ),
    "relax_product": Operation(_relax_product, (2, 2, 3, 3, 3, 3, 0), like_logits),
    "log_prob": Operation(_log_prob, (2, 2), lambda x, z: ((z.shape, x.dtype),)),
    "score": Operation(_score, (2, 2), _of_score),
    "entropy": Operation(_entropy, (2,), lambda x: ((x.shape[:1], x.dtype),)),
    "entropy_vjp": Operation(_entropy_vjp, (2, 1), like_logits),
    "kl_divergence": Operation(_kl_divergence, (2, 2), lambda p, q: ((p.shape[:1], p.dtype),)),
    "kl_divergence_vjp": Operation(_kl_divergence_vjp, (2, 2, 1), lambda p, *_: 2 * like_logits(p)),
    "draw": Operation(_draw, (1,), _of_draw),
    "draw_vjp": Operation(
        _draw_vjp, (1,), lambda words, *x, **_: tuple((a.shape, a.dtype) for a in x[:-1])
    ),
    "marginals": Operation(_marginals, (2,), like_logits),
    "marginals_vjp": Operation(_marginals_vjp, (2, 2), like_logits),
    "k_hot": Operation(_k_hot, (2, 1), for_each_sample),
    "relaxed_top_k": Operation(_relaxed_top_k, (2, 1, 0), for_each_sample),
    "relaxed_top_k_vjp": Operation(_relaxed_top_k_vjp, (2, 1, 0, 3), like_logits),
    "sinkhorn": Operation(_sinkhorn, (3, 1, 0, 0), _of_sinkhorn),
    "sinkhorn_vjp": Operation(_sinkhorn_vjp, (3, 1, 0, 0, 4), like_logits),
}
