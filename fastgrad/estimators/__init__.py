"""Estimators of the gradient of E[f] with respect to the logits, by name."""

import dataclasses

from fastgrad.estimators.antithetic import arm, arsm, carms, disarm
from fastgrad.estimators.base import Estimate, Estimator
from fastgrad.estimators.continuous import measure_valued, pathwise, score_function
from fastgrad.estimators.rao_blackwell import (
    enumeration,
    local_expectation,
    sum_and_sample,
    unordered_set,
)
from fastgrad.estimators.relaxations import gumbel_rao, gumbel_softmax, st_gumbel, straight_through
from fastgrad.estimators.relaxed_controls import rebar, relax
from fastgrad.estimators.score_functions import control_variates, reinforce, rodeo, vimco

__all__ = ["ESTIMATORS", "Estimate", "Estimator", "estimator", "list_estimators"]

FAMILIES = (
    reinforce,
    control_variates,
    rodeo,
    vimco,
    enumeration,
    local_expectation,
    sum_and_sample,
    unordered_set,
    gumbel_softmax,
    straight_through,
    st_gumbel,
    gumbel_rao,
    rebar,
    relax,
    arm,
    disarm,
    arsm,
    carms,
)
ESTIMATORS = {
    cls.name: cls for family in FAMILIES for cls in (getattr(family, n) for n in family.__all__)
}
CONTINUOUS = {  # those for `fastgrad.continuous`, whose gradients are dicts
    cls.name: cls
    for cls in (
        pathwise.Pathwise,
        score_function.ScoreFunction,
        measure_valued.MeasureValued,
    )
}
# And "auto", which chooses among the discrete ones: `comparison` adds it.
BUILDERS = ESTIMATORS | CONTINUOUS


def estimator(name, **options):
    """Build an estimator by name.

    Parameters
    ----------
    name : str
        One of `list_estimators()`, or "auto": a short comparison on f at the first call chooses.
    **options
        Those of the estimator: its fields.

    Returns
    -------
    Estimator

    Raises
    ------
    ValueError
        If there is none of that name, or it refuses the value of an option.
    TypeError
        If it has no such option.

    Examples
    --------
    >>> import fastgrad as fg
    >>> fg.estimator("gumbel_softmax", temperature=0.5)
    GumbelSoftmax(temperature=0.5)
    """
    if name not in BUILDERS:
        raise ValueError(f"name must be one of {', '.join(map(repr, BUILDERS))}, got {name!r}")
    cls = BUILDERS[name]
    known = [field.name for field in dataclasses.fields(cls)]
    for option in options:
        if option not in known:
            has = f"its options are {', '.join(known)}" if known else "it has none"
            raise TypeError(f"{name} has no option {option!r}: {has}")
    return cls(**options)


def list_estimators(*, continuous=False):
    """Return the names of all estimators, in order.

    Parameters
    ----------
    continuous : bool
        Those for `fastgrad.continuous`, in place of those for logits.

    Returns
    -------
    list of str

    Examples
    --------
    >>> import fastgrad as fg
    >>> "reinmax" in fg.list_estimators()
    True
    >>> fg.list_estimators(continuous=True)
    ['pathwise', 'score_function', 'measure_valued']
    """
    return list(CONTINUOUS if continuous else ESTIMATORS)
