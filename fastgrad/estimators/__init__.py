"""Estimators of the gradient of E[f] with respect to the logits, by name."""

import dataclasses

from fastgrad.estimators.antithetic import antithetic, augmented, stick_breaking, swapped
from fastgrad.estimators.base import Estimate, Estimator
from fastgrad.estimators.of_continuous import continuous, measure_valued, reparameterised
from fastgrad.estimators.rao_blackwell import (
    enumeration,
    local_expectation,
    sum_and_sample,
    without_replacement,
)
from fastgrad.estimators.relaxations import gumbel_rao, pathwise, st_gumbel, straight_through
from fastgrad.estimators.relaxed_controls import learned_control, relaxed_control
from fastgrad.estimators.score_functions import control_variates, multisample, score_function, stein

__all__ = ["ESTIMATORS", "Estimate", "Estimator", "estimator", "list_estimators"]

FAMILIES = (
    score_function,
    control_variates,
    stein,
    multisample,
    enumeration,
    local_expectation,
    sum_and_sample,
    without_replacement,
    pathwise,
    straight_through,
    st_gumbel,
    gumbel_rao,
    relaxed_control,
    learned_control,
    augmented,
    antithetic,
    swapped,
    stick_breaking,
)
ESTIMATORS = {
    cls.name: cls for family in FAMILIES for cls in (getattr(family, n) for n in family.__all__)
}
CONTINUOUS = {  # those for `fastgrad.continuous`, whose gradients are dicts
    cls.name: cls
    for cls in (
        reparameterised.Pathwise,
        continuous.ScoreFunction,
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
