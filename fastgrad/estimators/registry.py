"""The registry of estimators: building one by name, listing them, adding one's own."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Literal, TypeAlias, TypeVar, overload

from fastgrad.estimators.antithetic.arm import ARM
from fastgrad.estimators.antithetic.arsm import ARSM
from fastgrad.estimators.antithetic.carms import CARMS, DisARMIW
from fastgrad.estimators.antithetic.disarm import ARMS, DisARM
from fastgrad.estimators.base import Estimator
from fastgrad.estimators.continuous.measure_valued import MeasureValued
from fastgrad.estimators.continuous.pathwise import Pathwise
from fastgrad.estimators.continuous.score_function import OfContinuous, ScoreFunction
from fastgrad.estimators.pooled_controls.pooled import ControlName, Pooled
from fastgrad.estimators.rao_blackwell.enumeration import Enumerate
from fastgrad.estimators.rao_blackwell.local_expectation import LocalExpectation
from fastgrad.estimators.rao_blackwell.sum_and_sample import SumAndSample
from fastgrad.estimators.rao_blackwell.unordered_set import ImportanceWeighted, UnorderedSet
from fastgrad.estimators.relaxations.gumbel_rao import GumbelRao, ReinMaxRao
from fastgrad.estimators.relaxations.gumbel_softmax import GumbelSoftmax
from fastgrad.estimators.relaxations.optimal_st import OptimalST
from fastgrad.estimators.relaxations.reinmax_cv import ReinMaxCV
from fastgrad.estimators.relaxations.st_gumbel import DecoupledSTGumbel, STGumbel
from fastgrad.estimators.relaxations.straight_through import GappedST, ReinMax, StraightThrough
from fastgrad.estimators.relaxed_controls.rebar import REBAR
from fastgrad.estimators.relaxed_controls.relax import RELAX
from fastgrad.estimators.score_functions.baselines import BaselineLike
from fastgrad.estimators.score_functions.control_variates import DoubleCV, MuProp
from fastgrad.estimators.score_functions.max_at_k import MaxAtK
from fastgrad.estimators.score_functions.reinforce import RLOO, Reinforce
from fastgrad.estimators.score_functions.rodeo import RODEO
from fastgrad.estimators.score_functions.vimco import VIMCO

EstimatorName: TypeAlias = Literal[
    "rloo",
    "reinforce",
    "double_cv",
    "muprop",
    "rodeo",
    "vimco",
    "max_at_k",
    "enumerate",
    "local_expectation",
    "sum_and_sample",
    "importance_weighted",
    "unordered_set",
    "gumbel_softmax",
    "gapped_st",
    "reinmax",
    "straight_through",
    "decoupled_st_gumbel",
    "st_gumbel",
    "gumbel_rao",
    "reinmax_rao",
    "reinmax_cv",
    "optimal_st",
    "rebar",
    "relax",
    "pooled",
    "arm",
    "arms",
    "disarm",
    "arsm",
    "carms",
    "disarm_iw",
]
ContinuousName: TypeAlias = Literal["pathwise", "score_function", "measure_valued"]
E = TypeVar("E", bound=type[Estimator])

ESTIMATORS: dict[str, type[Estimator]] = {}  # those for logits, in the order of `list_estimators`
CONTINUOUS: dict[str, type[Estimator]] = {}  # those for `fastgrad.continuous`
UNLISTED: dict[str, type[Estimator]] = {}
ABOVE = {"auto": "fastgrad.comparison.pilot:Auto"}  # it chooses among the others: imported last


def _normal(name: Any) -> str:
    """Return a name in lower case, with underscores."""
    return str(name).strip().lower().replace("-", "_").replace(" ", "_")


def _find(name: Any) -> type[Estimator] | None:
    """Return the class of that name, or None."""
    if type(name) is str and name in ESTIMATORS:  # as it stands there, mostly
        return ESTIMATORS[name]
    name = _normal(name)
    for known in (ESTIMATORS, CONTINUOUS, UNLISTED):
        if name in known:
            return known[name]
    module, _, cls = ABOVE.get(name, "").partition(":")
    return getattr(import_module(module), cls) if module else None


def _origin(cls: type) -> tuple[str, str]:
    """Return where a class was defined: one that is defined again there replaces it."""
    return cls.__module__, cls.__qualname__


@overload
def register_estimator(cls: E, *, listed: bool = True) -> E: ...
@overload
def register_estimator(cls: None = None, *, listed: bool = True) -> Any: ...
def register_estimator(cls: Any = None, *, listed: bool = True) -> Any:
    """Register an estimator, so that `fastgrad.estimator` builds it by name.

    It may be used as a decorator. An estimator also works without being registered: wherever a name
    is accepted, an object is too.

    Parameters
    ----------
    cls : type
        A subclass of `fastgrad.Estimator`, a frozen dataclass whose fields, the options, all have
        default values. Its attribute `name` is the name to register.
    listed : bool
        Whether `fastgrad.list_estimators` lists it, and `fastgrad.compare` tries it by default.

    Returns
    -------
    type
        The class itself.

    Raises
    ------
    TypeError
        If it is no such class.
    ValueError
        If its name is not in lower case with underscores, or belongs to another estimator.

    Examples
    --------
    >>> import dataclasses
    >>> import fastgrad as fg
    >>> from fastgrad.estimators.score_functions.reinforce import RLOO
    >>> @fg.register_estimator(listed=False)
    ... @dataclasses.dataclass(frozen=True, kw_only=True)
    ... class Mine(RLOO):
    ...     name = "mine"
    >>> fg.estimator("mine")
    Mine()
    """
    if cls is None:
        return lambda cls: register_estimator(cls, listed=listed)
    if not isinstance(cls, type) or not issubclass(cls, Estimator):
        raise TypeError(f"cls must be a subclass of Estimator, got {cls!r}")
    name = getattr(cls, "name", None)
    if not isinstance(name, str) or not name.isidentifier() or name != name.lower():
        raise ValueError(f"name must be in lower case with underscores, got {name!r}")
    known = _find(name)
    if known is not None and _origin(known) != _origin(cls):
        raise ValueError(f"name must be new, got {name!r}, which is that of {known.__qualname__}")
    kind = CONTINUOUS if issubclass(cls, OfContinuous) else ESTIMATORS
    (kind if listed else UNLISTED)[name] = cls
    return cls


for _cls in (
    *(RLOO, Reinforce, DoubleCV, MuProp, RODEO, VIMCO, MaxAtK),
    *(Enumerate, LocalExpectation, SumAndSample, ImportanceWeighted, UnorderedSet),
    *(GumbelSoftmax, GappedST, ReinMax, StraightThrough, DecoupledSTGumbel, STGumbel),
    *(GumbelRao, ReinMaxRao, ReinMaxCV, OptimalST, REBAR, RELAX, Pooled),
    *(ARM, ARMS, DisARM, ARSM, CARMS, DisARMIW),
    *(Pathwise, ScoreFunction, MeasureValued),
):
    register_estimator(_cls)


# One overload for each set of options: what an editor completes and a type checker checks. A test
# compares them with the fields of the classes.
@overload
def estimator(name: Literal["reinforce"], *, baseline: BaselineLike = ...) -> Reinforce: ...
@overload
def estimator(name: Literal["double_cv"], *, scale: float | None = ...) -> DoubleCV: ...
@overload
def estimator(name: Literal["rodeo"], *, scale: float | None = ...) -> RODEO: ...
@overload
def estimator(name: Literal["vimco"], *, group_size: int | None = ...) -> VIMCO: ...
@overload
def estimator(name: Literal["max_at_k"], *, k: int = ...) -> MaxAtK: ...
@overload
def estimator(name: Literal["enumerate"], *, budget: int = ...) -> Enumerate: ...
@overload
def estimator(
    name: Literal["local_expectation"], *, points: int | None = ...
) -> LocalExpectation: ...
@overload
def estimator(
    name: Literal["sum_and_sample"],
    *,
    summed: int | None = ...,
    baseline: Literal["summed", "independent"] | None = ...,
) -> SumAndSample: ...
@overload
def estimator(
    name: Literal["importance_weighted"], *, baseline: bool = ..., normalized: bool = ...
) -> ImportanceWeighted: ...
@overload
def estimator(name: Literal["unordered_set"], *, baseline: bool = ...) -> UnorderedSet: ...
@overload
def estimator(name: Literal["gumbel_softmax"], *, temperature: float = ...) -> GumbelSoftmax: ...
@overload
def estimator(
    name: Literal["gapped_st"], *, temperature: float = ..., gap: float = ...
) -> GappedST: ...
@overload
def estimator(name: Literal["reinmax"], *, temperature: float = ...) -> ReinMax: ...
@overload
def estimator(
    name: Literal["straight_through"], *, temperature: float = ...
) -> StraightThrough: ...
@overload
def estimator(
    name: Literal["decoupled_st_gumbel"],
    *,
    temperature: float = ...,
    backward_temperature: float = ...,
) -> DecoupledSTGumbel: ...
@overload
def estimator(name: Literal["st_gumbel"], *, temperature: float = ...) -> STGumbel: ...
@overload
def estimator(
    name: Literal["gumbel_rao"], *, temperature: float = ..., inner_samples: int = ...
) -> GumbelRao: ...
@overload
def estimator(
    name: Literal["reinmax_rao"], *, temperature: float = ..., inner_samples: int = ...
) -> ReinMaxRao: ...
@overload
def estimator(
    name: Literal["reinmax_cv"],
    *,
    control: Literal["gumbel", "leave_one_out"] = ...,
    scale: float = ...,
    temperature: float = ...,
    inner_samples: int = ...,
) -> ReinMaxCV: ...
@overload
def estimator(
    name: Literal["rebar"],
    *,
    temperature: float = ...,
    scale: float = ...,
    coupled: bool = ...,
    adapt_scale: bool = ...,
    adapt_temperature: bool = ...,
    decay: float = ...,
    learning_rate: float = ...,
) -> REBAR: ...
@overload
def estimator(
    name: Literal["relax"],
    *,
    temperature: float = ...,
    coupled: bool = ...,
    add_objective: bool = ...,
    network: Any = ...,
    learning_rate: float = ...,
) -> RELAX: ...
@overload
def estimator(
    name: Literal["pooled"],
    *,
    controls: Sequence[ControlName] | None = ...,
    weights: Sequence[float] | None = ...,
    per_cell: bool = ...,
    temperature: float = ...,
    decay: float = ...,
) -> Pooled: ...
@overload
def estimator(name: Literal["arms"], *, group_size: int | None = ...) -> ARMS: ...
@overload
def estimator(name: Literal["carms"], *, group_size: int | None = ...) -> CARMS: ...
@overload
def estimator(
    name: Literal["pathwise"], *, control: Literal["linear", "quadratic"] | None = ...
) -> Pathwise: ...
@overload
def estimator(
    name: Literal["score_function"], *, baseline: Literal["leave_one_out"] | None = ...
) -> ScoreFunction: ...
@overload
def estimator(name: Literal["measure_valued"], *, coupled: bool = ...) -> MeasureValued: ...
@overload
def estimator(
    name: Literal["auto"], *, estimators: Sequence[Any] | None = ..., repeats: int = ...
) -> Estimator: ...
@overload
def estimator(name: EstimatorName) -> Estimator: ...
def estimator(name: str, **options: Any) -> Estimator:
    """Build an estimator by name.

    Parameters
    ----------
    name : str
        One of `list_estimators`, or of those that were registered. "auto" compares a few estimators
        on f at the first call, and uses the best. Upper case and hyphens are accepted.
    **options
        The options of the estimator, which are the fields of its class.

    Returns
    -------
    Estimator
        An estimator, to be called as ``estimator(f, logits, num_samples=..., rng=...)``.

    Raises
    ------
    ValueError
        If there is no estimator of that name, or it refuses the value of an option.
    TypeError
        If it has no such option.

    Examples
    --------
    >>> import fastgrad as fg
    >>> fg.estimator("gumbel_softmax", temperature=0.5)
    GumbelSoftmax(temperature=0.5)
    """
    cls = named(name)
    known = [field.name for field in dataclasses.fields(cls)] if options else []
    for option in options:
        if option not in known:
            has = f"its options are {', '.join(known)}" if known else "it has none"
            raise TypeError(f"{cls.name} has no option {option!r}: {has}")
    return cls(**options)


def as_estimator(estimator: Any, argument: str = "estimator") -> Estimator:
    """Return the estimator that a user means: itself, or the one of that name."""
    if isinstance(estimator, str):
        return named(estimator, argument)()
    if not isinstance(estimator, Estimator):
        raise TypeError(f"{argument} must be an Estimator or a name, got {estimator!r}")
    return estimator


def named(name: Any, argument: str = "name") -> type[Estimator]:
    """Return the class of that name, which the user gave as an argument of another."""
    cls = _find(name)
    if cls is None:
        names = [*ESTIMATORS, *CONTINUOUS, *UNLISTED, *ABOVE]
        near = difflib.get_close_matches(_normal(name), names, n=1)
        hint = f": did you mean {near[0]!r}?" if near else ""
        known = ", ".join(map(repr, names))
        raise ValueError(f"{argument} must be one of {known}, got {name!r}{hint}")
    return cls
