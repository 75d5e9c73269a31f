"""Which estimators there are, and for which distributions."""

from __future__ import annotations

from typing import Any, Literal, overload

from fastgrad.distributions.continuous import Continuous
from fastgrad.distributions.discrete import Discrete
from fastgrad.estimators import registry
from fastgrad.estimators.registry import ContinuousName, EstimatorName


@overload
def list_estimators(*, continuous: Literal[False] = False) -> list[EstimatorName]: ...
@overload
def list_estimators(*, continuous: Literal[True]) -> list[ContinuousName]: ...
@overload
def list_estimators(*, distribution: Any) -> list[EstimatorName | ContinuousName]: ...
def list_estimators(*, continuous: bool = False, distribution: Any = None) -> Any:
    """Return the names of all estimators, or of those for one distribution, in order.

    Parameters
    ----------
    continuous : bool
        If true, the estimators for the distributions of `fastgrad.continuous`; if false, those for
        distributions with logits.
    distribution : type or distribution, optional
        A class of distributions, or one of them: the estimators that work with it, of both kinds.
        Others refuse it, and say why. For `Categorical`, the class, those are named too that take
        two categories only.

    Returns
    -------
    list of str

    Examples
    --------
    >>> import fastgrad as fg
    >>> "reinmax" in fg.list_estimators()
    True
    >>> fg.list_estimators(distribution=fg.subset.KSubset)[:3]
    ['rloo', 'reinforce', 'double_cv']
    >>> import numpy as np
    >>> "arm" in fg.list_estimators(distribution=fg.Categorical(np.zeros((5, 3))))
    False
    >>> fg.list_estimators(continuous=True)
    ['pathwise', 'score_function', 'measure_valued']
    """
    if distribution is None:
        return list(registry.CONTINUOUS if continuous else registry.ESTIMATORS)
    kind = distribution if isinstance(distribution, type) else type(distribution)
    if not issubclass(kind, (Discrete, Continuous)):
        raise TypeError(f"distribution must be a distribution or its class, got {distribution!r}")
    known = registry.ESTIMATORS | registry.CONTINUOUS
    fit = {name: cls for name, cls in known.items() if cls.refusal(kind) is None}
    binary = {name for name, cls in fit.items() if getattr(cls, "binary", False)}
    two = not binary or distribution is kind or distribution.num_outcomes == 2
    return [name for name in fit if two or name not in binary]
