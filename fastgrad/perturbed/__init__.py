"""Perturbed optimisers: any solver of an optimisation problem as a layer with gradients."""

from fastgrad.perturbed.imle import Adaptation, aimle_vjp, imle_vjp
from fastgrad.perturbed.losses import fenchel_young, spo_plus
from fastgrad.perturbed.solve import solve, solve_vjp

__all__ = ["Adaptation", "aimle_vjp", "fenchel_young", "imle_vjp", "solve", "solve_vjp", "spo_plus"]
