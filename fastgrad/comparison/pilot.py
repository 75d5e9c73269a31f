"""The estimator that chooses: a short comparison on the user's f, once, and then its winner.

The registry knows it as "auto", and imports it last: it stands above what it chooses among.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from fastgrad import _validate
from fastgrad._array_api import answered, foreign
from fastgrad._typing import Array, ArrayLike
from fastgrad.comparison.measuring import compare, contenders
from fastgrad.comparison.replicas import as_discrete
from fastgrad.comparison.runs import most_samples
from fastgrad.distributions.discrete import Discrete
from fastgrad.estimators import Estimate, Estimator
from fastgrad.estimators.draws import last_state
from fastgrad.objectives import Objective
from fastgrad.random import RNG, as_key

LOG = logging.getLogger("fastgrad")
OFTEN_BEST = (  # few, since the kernels of all are compiled; what refuses a problem is skipped
    *("enumerate", "local_expectation", "rloo", "disarm", "carms", "unordered_set"),
    *("gumbel_softmax", "straight_through", "reinmax", "double_cv", "optimal_st", "pooled"),
)
OWN = ("auto_winner", "auto_reason", "auto_samples", "auto_budget")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Auto(Estimator):
    """The estimator that a short comparison on the user's f finds best.

    The first call, without a state, compares. The state then holds the winner:
    ``state["auto_winner"]`` is its name, and ``state["auto_reason"]`` says why it was chosen, as
    does a message of level INFO to the logger "fastgrad". Calls with that state use the winner. As
    in `compare`, ``num_samples`` is the number of evaluations of f that an estimate may spend; the
    evaluations of the first call include those of the comparison. Parts of a minibatch
    (`row_offset`) may choose differently: pass the state of one part to all. Where draws come
    before f, in `fastgrad.expectation_grad` and in `fastgrad.jax`, it is refused: name its winner.

    Parameters
    ----------
    estimators : sequence of str or Estimator, optional
        The estimators to choose among: names of `list_estimators`, or objects. By default a few
        that are often best. A biased one may win, as its bias counts as error.
    repeats : int
        Number of estimates of each in the comparison, at least 2.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> f = fg.objectives.separable(np.full((3, 4), 0.45))
    >>> auto = fg.estimator("auto", estimators=["rloo"])
    >>> estimate = auto(f, np.zeros((3, 4)), num_samples=8, rng=0)
    >>> print(estimate.state["auto_reason"])
    rloo has the smallest error per second: nothing else could be compared
    >>> estimate = auto(f, np.zeros((3, 4)), num_samples=8, rng=1, state=estimate.state)
    >>> estimate.evaluations
    8
    """

    estimators: Sequence[str | Estimator] | None = None
    repeats: int = 32

    name = "auto"
    unbiased = False
    pools = True
    asks: ClassVar[tuple[str, ...]] = ()
    evaluations = "at most S, after a comparison at the first call"
    paper = "none: see `fastgrad.compare`"

    def __post_init__(self) -> None:
        _validate.integer(self.repeats, "repeats", 2)
        if self.estimators is not None:
            given = self.estimators
            if isinstance(given, (str, Estimator)):
                raise TypeError(f"estimators must be a sequence of estimators, got {given!r}")
            object.__setattr__(self, "estimators", tuple(given))
        self._contenders  # noqa: B018 - names and options are checked now

    def __call__(
        self,
        f: Callable[[Array], Any] | Objective,
        distribution: Discrete | ArrayLike,
        *,
        num_samples: int,
        rng: RNG,
        state: dict[str, Any] | None = None,
        block_size: int | None = None,
        row_offset: int = 0,
        return_samples: bool = False,
    ) -> Estimate:
        """Estimate E[f] and its gradient: see `Estimator`."""
        if foreign(distribution):
            options = {"num_samples": num_samples, "rng": rng, "state": state}
            options |= {"block_size": block_size, "row_offset": row_offset}
            options["return_samples"] = return_samples
            given = _validate.array(distribution, "logits")
            return answered(self(f, given, **options), distribution)
        distribution, key, known = as_discrete(distribution), as_key(rng), self._contenders
        num_samples = _validate.integer(num_samples, "num_samples", 1)
        spent = 0
        if state is None or OWN[0] not in last_state(state):
            found = compare(
                f,
                distribution,
                estimators=list(known.values()),
                num_samples=num_samples,
                repeats=self.repeats,
                rng=key.fold_in(0),
                budget=self.repeats * num_samples,
                warm_up=self.repeats,
                block_size=block_size,
            )
            LOG.info("auto: %s", found.reason)
            spent, best = found.evaluations, found.best
            own = dict(zip(OWN, (best.label, found.reason, best.num_samples, num_samples)))
            state = {name: np.array(value) for name, value in own.items()} | (best.state or {})
            key = key.fold_in(1)
        if missing := [own for own in OWN if own not in state]:
            raise ValueError(f"state must be that of this estimator: it has no {missing[0]!r}")
        name, _, samples, budget = (np.asarray(state[own]).item() for own in OWN)
        if name not in known:
            raise ValueError(f"state must come from this estimator, got the winner {name!r}")
        if num_samples != budget:
            samples = most_samples(known[name], samples * num_samples // budget)
        found = known[name](
            f,
            distribution,
            num_samples=samples,
            rng=key,
            state={k: v for k, v in state.items() if k not in OWN} or None,
            block_size=block_size,
            row_offset=row_offset,
            return_samples=return_samples,
        )
        state = {own: state[own] for own in OWN} | (found.state or {})
        return found._replace(state=state, evaluations=found.evaluations + spent)

    def draw(self, *args: Any, **options: Any) -> Any:
        """Refuse: what is drawn depends on f."""
        raise TypeError(
            "auto tries estimators on f before it draws, and here draws come before f: name one, "
            "such as the best that fastgrad.compare finds"
        )

    @functools.cached_property
    def _contenders(self) -> dict[str, Estimator]:
        """The estimators to choose among, by label."""
        return contenders(OFTEN_BEST if self.estimators is None else self.estimators)[0]
