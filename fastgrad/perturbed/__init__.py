"""Perturbed optimisers: any solver of an optimisation problem as a layer with gradients."""

from fastgrad.perturbed.imle import Adaptation, aimle_vjp, imle_vjp
from fastgrad.perturbed.solve import solve, solve_vjp

__all__ = ["Adaptation", "aimle_vjp", "imle_vjp", "solve", "solve_vjp"]
