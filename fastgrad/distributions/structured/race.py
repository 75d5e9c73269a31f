"""The exponential race behind the Plackett-Luce distribution: its times given the order, by rules.

An item arrives at a time t of rate exp(phi), and w = -log t is its perturbed logit. Given that z is
the order of the first k arrivals, the time between two of them is exponential, whose rate R_j is
the sum of exp(phi) over all that have not arrived:

    t_j = t_(j-1) + E_j / R_j,        t_i = t_k + E_i / exp(phi_i) for those that come later.

So w is a function of phi and of the noise E, the order being fixed. Its derivatives need the times
alone: with r_j = t_(j-1) / t_j,

    dw_j = r_j dw_(j-1) + (1 - r_j) d log R_j,    dw_i = (t_k / t_i) (dw_k - dphi_i) + dphi_i,
    d log R_j = pi_j dphi_j + (1 - pi_j) d log R_(j+1),

where pi_j = exp(phi_j) / R_j. All factors lie in [0, 1]: nothing overflows, whatever the logits.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastgrad import _validate
from fastgrad._typing import FloatArray, IntArray
from fastgrad.kernels.distributions.structured import plackett_luce as _kernels

__all__ = ["Race", "arrivals", "race"]


class Race(NamedTuple):
    """What the derivatives are made of, in float64, for R rows of K items of which k arrive.

    Attributes
    ----------
    z : array of int, shape (R, k)
        The items in the order of arrival.
    later : array of bool, shape (R, K)
        Items that are not among them.
    before : array, shape (R, k)
        r_j, the time before divided by the time of each arrival; 0 for the first.
    share : array, shape (R, k)
        pi_j, the probability of each arrival among those left.
    rest : array, shape (R, k)
        1 - pi_j.
    beyond : array, shape (R, K)
        t_k / t_i of items that come later, 0 of others.
    shares : array, shape (R, K)
        Probabilities of the next arrival among those that come later, 0 of others.
    """

    z: IntArray
    later: Any
    before: FloatArray
    share: FloatArray
    rest: FloatArray
    beyond: FloatArray
    shares: FloatArray

    def vjp(self, cotangent: FloatArray) -> FloatArray:
        """Multiply cotangents of w, (R, K), with its Jacobian by phi, row by row."""
        a = cotangent.astype(np.float64)
        at = np.take_along_axis(a, self.z, axis=1)
        a = np.where(self.later, a, 0)
        at[:, -1] += (self.beyond * a).sum(axis=1)
        ratio = np.zeros_like(at)
        ratio[:, :-1] = self.before[:, 1:]
        at = swept(ratio, at, backward=True) * (1 - self.before)
        ratio[:, 0], ratio[:, 1:] = 0, self.rest[:, :-1]
        at = swept(ratio, at)
        last = at[:, -1:] * self.rest[:, -1:]
        grad = (1 - self.beyond) * a + self.shares * last
        np.put_along_axis(grad, self.z, self.share * at, axis=1)
        return grad

    def jvp(self, tangent: FloatArray) -> FloatArray:
        """Multiply the Jacobian of w by phi with tangents (R, K), row by row."""
        v = tangent.astype(np.float64)
        at = self.share * np.take_along_axis(v, self.z, axis=1)
        v = np.where(self.later, v, 0)
        at[:, -1:] += self.rest[:, -1:] * (self.shares * v).sum(axis=1, keepdims=True)
        at = (1 - self.before) * swept(self.rest, at, backward=True)
        at = swept(self.before, at)
        out = self.beyond * at[:, -1:] + (1 - self.beyond) * v
        np.put_along_axis(out, self.z, at, axis=1)
        return out


def swept(ratio: FloatArray, x: FloatArray, *, backward: bool = False) -> FloatArray:
    """Return x plus ratio times what came before, in each row, itself swept."""
    x = np.ascontiguousarray(x)
    _kernels.sweep(_validate.frozen(np.ascontiguousarray(ratio)), backward, x)
    return x


def left(phi: FloatArray, z: IntArray) -> tuple[Any, FloatArray, FloatArray]:
    """Return which items come later, logs of what is left, (R, k + 1), and phi of the later."""
    later = np.ones(phi.shape, bool)
    np.put_along_axis(later, z, False, axis=1)
    kept = np.where(later, phi, -np.inf)
    top = kept.max(axis=1, keepdims=True, initial=-np.inf)
    top = np.where(np.isneginf(top), 0, top)
    with np.errstate(divide="ignore"):
        last = top + np.log(np.exp(kept - top).sum(axis=1, keepdims=True))
    terms = np.concatenate([last, np.take_along_axis(phi, z, axis=1)[:, ::-1]], axis=1)
    return later, np.logaddexp.accumulate(terms, axis=1)[:, ::-1], kept


def race(phi: FloatArray, z: IntArray, w: FloatArray) -> Race:
    """Return the race of rows phi, (R, K), with the order z, (R, k), and perturbed logits w."""
    later, log_left, kept = left(phi, z)
    at = np.take_along_axis(w, z, axis=1)
    before = np.zeros(at.shape)
    before[:, 1:] = np.exp(np.minimum(at[:, 1:] - at[:, :-1], 0))
    share = np.exp(np.take_along_axis(phi, z, axis=1) - log_left[:, :-1])
    rest = np.exp(log_left[:, 1:] - log_left[:, :-1])
    beyond = np.where(later, np.exp(np.minimum(w - at[:, -1:], 0)), 0)
    last = np.where(np.isneginf(log_left[:, -1:]), 0, log_left[:, -1:])
    return Race(z, later, before, share, rest, beyond, np.exp(kept - last))


def arrivals(phi: FloatArray, z: IntArray, gumbel: FloatArray) -> FloatArray:
    """Return perturbed logits w given the order z, with noise E = exp(-gumbel), all (R, K)."""
    later, log_left, _ = left(phi, z)
    noise = -np.take_along_axis(gumbel, z, axis=1) - log_left[:, :-1]
    log_time = np.logaddexp.accumulate(noise, axis=1)
    w = np.where(later, -np.logaddexp(log_time[:, -1:], -gumbel - phi), 0)
    np.put_along_axis(w, z, -log_time, axis=1)
    return w
