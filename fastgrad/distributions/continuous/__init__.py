"""Continuous distributions whose samples are differentiable functions of their parameters.

Every parameter may be any real number, as logits may: scales, rates and concentrations are given by
their logarithms. A sample is a function of noise and parameters, so derivatives of samples exist
(`transform_vjp`) beside those of the density (`score`); where there is no closed form, they come
from the distribution function by implicit reparameterisation.

References
----------
Figurnov, Mohamed and Mnih, "Implicit reparameterization gradients", NeurIPS 2018.
Mohamed, Rosca, Figurnov and Mnih, "Monte Carlo gradient estimation in machine learning", JMLR 2020.
"""

from fastgrad.distributions.continuous._base import Continuous
from fastgrad.distributions.continuous.gamma import Beta, Dirichlet, Gamma
from fastgrad.distributions.continuous.location_scale import (
    Exponential,
    Laplace,
    Logistic,
    LogNormal,
    Normal,
    Uniform,
)
from fastgrad.distributions.continuous.multivariate_normal import MultivariateNormal
from fastgrad.distributions.continuous.student_t import StudentT
from fastgrad.distributions.continuous.von_mises import VonMises

__all__ = [
    "Beta",
    "Continuous",
    "Dirichlet",
    "Exponential",
    "Gamma",
    "Laplace",
    "LogNormal",
    "Logistic",
    "MultivariateNormal",
    "Normal",
    "StudentT",
    "Uniform",
    "VonMises",
]
