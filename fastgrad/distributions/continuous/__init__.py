"""Continuous distributions whose samples are differentiable functions of their parameters.

Every parameter may be any real number, as logits may: scales, rates and concentrations are given by
their logarithms. A sample is a function of noise and parameters. So samples have derivatives with
respect to the parameters (`transform_vjp`), as the log density has (`score`, and `transform_score`
for the samples themselves). Where the derivative of a sample has no closed form, it comes from the
distribution function by implicit reparameterisation.

References
----------
Figurnov, Mohamed and Mnih, "Implicit reparameterization gradients", NeurIPS 2018.
Mohamed, Rosca, Figurnov and Mnih, "Monte Carlo gradient estimation in machine learning", JMLR 2020.
"""

from fastgrad.distributions.continuous._base import Continuous
from fastgrad.distributions.continuous.beta import Beta
from fastgrad.distributions.continuous.dirichlet import Dirichlet
from fastgrad.distributions.continuous.exponential import Exponential
from fastgrad.distributions.continuous.gamma import Gamma
from fastgrad.distributions.continuous.location_scale import Laplace, Logistic, LogNormal, Normal
from fastgrad.distributions.continuous.multivariate_normal import MultivariateNormal
from fastgrad.distributions.continuous.student_t import StudentT
from fastgrad.distributions.continuous.uniform import Uniform
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
