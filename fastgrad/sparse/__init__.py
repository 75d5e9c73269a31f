"""Sparse maps from logits to the simplex, their losses, and relaxed samples that are sparse."""

from fastgrad.sparse.entmax import (
    entmax,
    entmax15,
    entmax15_vjp,
    entmax_vjp,
    sparsemax,
    sparsemax_vjp,
)
from fastgrad.sparse.gumbel_entmax import (
    gumbel_entmax,
    gumbel_entmax_vjp,
    gumbel_sparsemax,
    gumbel_sparsemax_vjp,
)
from fastgrad.sparse.losses import (
    entmax15_loss,
    entmax15_loss_vjp,
    entmax_loss,
    entmax_loss_vjp,
    sparsemax_loss,
    sparsemax_loss_vjp,
)

__all__ = [
    "entmax",
    "entmax15",
    "entmax15_loss",
    "entmax15_loss_vjp",
    "entmax15_vjp",
    "entmax_loss",
    "entmax_loss_vjp",
    "entmax_vjp",
    "gumbel_entmax",
    "gumbel_entmax_vjp",
    "gumbel_sparsemax",
    "gumbel_sparsemax_vjp",
    "sparsemax",
    "sparsemax_loss",
    "sparsemax_loss_vjp",
    "sparsemax_vjp",
]
