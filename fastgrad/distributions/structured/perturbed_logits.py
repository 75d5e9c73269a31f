"""Structures that perturbed logits decide: what they share, with samples and relaxed ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastgrad import _validate
from fastgrad._typing import ArrayLike, FloatArray, IntArray
from fastgrad.distributions.structured.base import Structured
from fastgrad.kernels.distributions.structured import plackett_luce as _kernels
from fastgrad.random import RNG, Key, as_key, replayed_key


class PerturbedLogits(Structured):
    """Independent structures, each a function of the order of its logits plus Gumbel noise.

    A subclass says which structure an order makes (`order`), how it is softened, what noise may
    have led to a structure that is known (`conditional`), and the products of both.
    """

    def order(self, w: FloatArray) -> IntArray:
        """Return the samples that perturbed logits w, (S, *logits.shape), decide on."""
        raise NotImplementedError

    def conditional(self, z: IntArray, key: Key, offset: int = 0) -> FloatArray:
        """Draw perturbed logits given samples z, with other noise than that of the key alone."""
        raise NotImplementedError

    def conditional_vjp(self, z: IntArray, w: FloatArray, cotangent: FloatArray) -> FloatArray:
        """Multiply cotangents with the Jacobian of w given z by the logits, sample by sample."""
        raise NotImplementedError

    def conditional_jvp(self, z: IntArray, w: FloatArray, tangent: FloatArray) -> FloatArray:
        """Multiply the Jacobian of w given z by the logits with tangents, sample by sample."""
        raise NotImplementedError

    def soften(self, w: FloatArray, temperature: Any) -> FloatArray:
        """Return relaxed features of perturbed logits w: shape (S, *feature_shape).

        The temperature is a number, or has the shape of the batch.
        """
        raise NotImplementedError

    def soften_vjp(
        self, w: FloatArray, x: FloatArray, temperature: Any, cotangent: FloatArray
    ) -> FloatArray:
        """Multiply cotangents with the Jacobian of `soften`, whose result is x, by w."""
        raise NotImplementedError

    def soften_jvp(
        self, w: FloatArray, x: FloatArray, temperature: Any, tangent: FloatArray
    ) -> FloatArray:
        """Multiply the Jacobian of `soften`, whose result is x, by w with tangents."""
        raise NotImplementedError

    # -- what follows ---------------------------------------------------------------------------

    def perturbed(self, num_samples: int, key: Key, offset: int = 0) -> FloatArray:
        """Draw perturbed logits, (S, *batch, K), relative to the row's largest logit.

        Their order decides the sample with the same key.
        """
        return self.noisy(self.rows, num_samples, key, offset)

    def noisy(self, rows: FloatArray, num_samples: int, key: Key, offset: int) -> FloatArray:
        """Return rows, (N, K), plus Gumbel noise, as (S, *batch, K)."""
        w = np.empty((num_samples, *self.logits.shape), rows.dtype)
        _kernels.perturbed(rows, self.place(key, offset), w.reshape(num_samples, *rows.shape))
        return _validate.frozen(w)

    def other_noise(self, num_samples: int, key: Key, offset: int) -> FloatArray:
        """Return Gumbel noise, (S * N, K), independent of that of the key alone."""
        flat = _validate.frozen(np.zeros_like(self.rows))
        noise = self.noisy(flat, num_samples, key.fold_in(0), offset)
        return noise.reshape(-1, noise.shape[-1])

    def relative(self, num_samples: int) -> FloatArray:
        """Return logits less their row's largest for each sample, float64, (S * N, K)."""
        rows = self.rows.astype(np.float64)
        return np.tile(rows - rows.max(axis=1, keepdims=True), (num_samples, 1))

    def gumbel_softmax(self, *, temperature: float, rng: RNG, **options: Any) -> FloatArray:
        """Draw relaxed features: shape (S, *feature_shape).

        Parameters
        ----------
        temperature : float
            Temperature of the relaxation, above 0.
        rng : int, SeedSequence, Generator or Key
            The same key orders the logits as `sample` does.
        **options
            `num_samples`: without it one sample is drawn, which has no leading axis.
            `sample_offset`: index of the first sample in a larger batch.
        """
        return self._relaxed(_validate.temperature(temperature), as_key(rng), **options)

    def _relaxed(
        self,
        temperature: float,
        key: Key,
        *,
        num_samples: int | None = None,
        sample_offset: int = 0,
    ) -> FloatArray:
        count, lead = _validate.samples(num_samples)
        w = self.perturbed(count, key, sample_offset)
        return self.soften(w, temperature).reshape(*lead, *self.feature_shape)

    def gumbel_softmax_vjp(self, cotangent: ArrayLike, **options: Any) -> FloatArray:
        """Multiply cotangents with the Jacobian of `gumbel_softmax`, and sum over samples.

        The options are those of the forward call. The noise is drawn again from the key.
        """
        return self._relaxed_vjp(cotangent, **options)

    def _relaxed_vjp(
        self, cotangent: ArrayLike, *, temperature: float, rng: RNG, sample_offset: int = 0
    ) -> FloatArray:
        key, temperature = replayed_key(rng), _validate.temperature(temperature)
        full = self.feature_shape
        count, (r,) = _validate.cotangents({"cotangent": cotangent}, full, self.logits.dtype)
        w = self.perturbed(count, key, sample_offset)
        x = self.soften(w, temperature)
        grad = self.soften_vjp(w, x, temperature, r.reshape(x.shape))
        return grad.sum(axis=0, dtype=np.float64).astype(self.logits.dtype)
