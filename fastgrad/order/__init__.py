"""Soft sorting, ranking, selection and quantiles: order statistics that have gradients."""

from fastgrad.order.quantiles import (
    soft_median,
    soft_median_vjp,
    soft_quantile,
    soft_quantile_vjp,
)
from fastgrad.order.ranking import soft_rank, soft_rank_vjp
from fastgrad.order.sorting import soft_sort, soft_sort_vjp
from fastgrad.order.top_k import soft_top_k, soft_top_k_vjp

__all__ = [
    "soft_median",
    "soft_median_vjp",
    "soft_quantile",
    "soft_quantile_vjp",
    "soft_rank",
    "soft_rank_vjp",
    "soft_sort",
    "soft_sort_vjp",
    "soft_top_k",
    "soft_top_k_vjp",
]
