"""Estimators of the gradient of E[f] with respect to the logits, by name."""

import dataclasses

from fastgrad.estimators import pathwise, score_function
from fastgrad.estimators.base import Estimate, Estimator

__all__ = ["ESTIMATORS", "Estimate", "Estimator", "estimator", "list_estimators"]

FAMILIES = (
    score_function,
    pathwise,
)
ESTIMATORS = {
    cls.name: cls for family in FAMILIES for cls in (getattr(family, n) for n in family.__all__)
}


def estimator(name, **options):
    """Build an estimator by name.

    Parameters
    ----------
    name : str
        One of `list_estimators()`.
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
    if name not in ESTIMATORS:
        raise ValueError(f"name must be one of {', '.join(map(repr, ESTIMATORS))}, got {name!r}")
    cls = ESTIMATORS[name]
    known = [field.name for field in dataclasses.fields(cls)]
    for option in options:
        if option not in known:
            has = f"its options are {', '.join(known)}" if known else "it has none"
            raise TypeError(f"{name} has no option {option!r}: {has}")
    return cls(**options)


def list_estimators():
    """Return the names of all estimators, in order.

    Returns
    -------
    list of str

    Examples
    --------
    >>> import fastgrad as fg
    >>> fg.list_estimators()
    ['rloo', 'gumbel_softmax']
    """
    return list(ESTIMATORS)
