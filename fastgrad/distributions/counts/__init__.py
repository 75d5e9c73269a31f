"""Counts: Poisson, binomial, geometric, negative binomial and multinomial variables for estimators.

Samples are whole numbers, int32, and f sees them in the dtype of the parameters. Estimators ask
them for the score (`reinforce`, `rloo`, `vimco`), for the derivative as a difference of two
distributions (`measure_valued`), for all outcomes but those of negligible probability
(`enumerate`, `unordered_set` and its kind; `fastgrad.exact`), for the mean (`straight_through`) and
for relaxed samples (`gumbel_softmax`).
"""

from __future__ import annotations

from fastgrad.distributions.counts.binomial import Binomial
from fastgrad.distributions.counts.multinomial import Multinomial
from fastgrad.distributions.counts.negative_binomial import Geometric, NegativeBinomial
from fastgrad.distributions.counts.poisson import Poisson

__all__ = ["Binomial", "Geometric", "Multinomial", "NegativeBinomial", "Poisson"]
