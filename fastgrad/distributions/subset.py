"""Subsets of items: k of K, drawn in an order, relaxed, or as sets; or those within a budget.

The Plackett-Luce distribution draws items in an order: `gumbel_top_k`, `log_prob`, `score` and
`entropy`. `relaxed_top_k` is its continuous relaxation. In the distribution over sets, the
probability of a set is proportional to the product of its exp(logit): `k_hot` draws exact samples,
`marginals` are their exact means, `k_hot_log_prob` their log probabilities. `KSubset` is that
distribution for estimators.

Where items have costs and a set must not exceed a budget, `knapsack` draws it, and the functions
that begin with that name, and `Knapsack`, are what the others are for sets of k items.

The estimator SIMPLE is one line: with x the k-hot samples and r the derivative of a loss with
respect to them, ``marginals_vjp(logits, r, k)`` estimates the gradient of the expected loss.
"""

from __future__ import annotations

from fastgrad.distributions.k_hot import (
    k_hot,
    k_hot_log_prob,
    log_normaliser,
    marginals,
    marginals_vjp,
)
from fastgrad.distributions.knapsack import (
    knapsack,
    knapsack_log_normaliser,
    knapsack_log_prob,
    knapsack_marginals,
    knapsack_marginals_vjp,
)
from fastgrad.distributions.plackett_luce import entropy, gumbel_top_k, log_prob, score
from fastgrad.distributions.structured.k_subset import KSubset
from fastgrad.distributions.structured.knapsack import Knapsack
from fastgrad.distributions.subset_top_k import relaxed_top_k, relaxed_top_k_vjp

__all__ = [
    "KSubset",
    "Knapsack",
    "entropy",
    "gumbel_top_k",
    "k_hot",
    "k_hot_log_prob",
    "knapsack",
    "knapsack_log_normaliser",
    "knapsack_log_prob",
    "knapsack_marginals",
    "knapsack_marginals_vjp",
    "log_normaliser",
    "log_prob",
    "marginals",
    "marginals_vjp",
    "relaxed_top_k",
    "relaxed_top_k_vjp",
    "score",
]
