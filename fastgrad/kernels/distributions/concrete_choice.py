"""Which kernels draw relaxations of some temperature: those of `concrete`, or by ratios.

Compiled code, which knows temperatures only when it runs, asks `factors.power` for the same.

Oracle: tests/distributions/test_concrete_ratios.py.
"""

from fastgrad.kernels.distributions import concrete, concrete_by_ratios


def kernels(scale, *, hard=False, log=False):
    """Return the module that has `gumbel_softmax` and `relax` for a scale of NumPy's type."""
    if hard or (not log and scale.ndim == 0 and float(scale) in (1.0, 2.0)):
        return concrete_by_ratios
    return concrete
