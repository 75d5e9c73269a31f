"""The score function for continuous distributions, and what their estimators share."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Literal

import numpy as np

from fastgrad import _validate
from fastgrad._typing import Array, FloatArray
from fastgrad.distributions.continuous import Continuous
from fastgrad.distributions.discrete import Discrete
from fastgrad.estimators.base import Estimate, Estimator, by_options
from fastgrad.estimators.sums import Mean
from fastgrad.objectives import Objective
from fastgrad.random import RNG, Key

__all__ = ["ScoreFunction"]

FEW = 1 << 16  # numbers that are multiplied at a time


class OfContinuous(Estimator):
    """Base class of the estimators of the gradient of E[f] by the parameters of a distribution.

    The gradient is a dict of arrays, with the names and the shapes of the parameters. Parts of a
    minibatch can not be estimated by themselves (`row_offset` is for counts): the noise of a sample
    begins where that of the sample before it ends, and so depends on the number of variables.
    """

    def __call__(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        f: Callable[[Array], Any] | Objective,
        distribution: Continuous | Discrete,
        *,
        num_samples: int,
        rng: RNG,
        state: dict[str, Any] | None = None,
        block_size: int | None = None,
        row_offset: int = 0,
        return_samples: bool = False,
    ) -> Estimate:
        """Estimate E[f] and its gradient by the parameters.

        Parameters
        ----------
        f : callable or Objective
            A function of samples x, shape (S, *batch_shape, *event_shape), whose values have a
            shape that is a leading part of (S, *batch_shape): see `fastgrad.objective`.
        distribution : Continuous, or Discrete
            A distribution of `fastgrad.continuous`; for `measure_valued` also of `fastgrad.counts`,
            whose gradient is an array.
        num_samples : int
            The number S of samples, at most 2**24.
        rng : int, SeedSequence, Generator or Key
            The source of randomness.
        state : dict of arrays, optional
            Passed on as it is: estimators for continuous distributions do not learn.
        block_size : int, optional
            The most samples to draw and hand to f at once, which bounds the memory; by default
            all. It does not change the result.
        row_offset : int
            Of counts, the index of the first variable in a larger batch, as for other estimators
            (`fastgrad.Estimator`); 0 for a distribution of `fastgrad.continuous`.
        return_samples : bool
            Whether the estimate has the samples that it is made of, and their weights.

        Returns
        -------
        Estimate
            Its ``grad`` is a dict of arrays, with the names and the shapes of the parameters.

        Raises
        ------
        TypeError
            If the objective lacks a part that the estimator needs, or the distribution is of a
            kind for which there is no such estimator, or a continuous one with a `row_offset`.
        ValueError
            If the samples are too few, or f returns values of a wrong shape or not finite.
        """
        given: Any = distribution
        if row_offset and not isinstance(distribution, Discrete):
            kind = type(distribution).__name__
            raise TypeError(f"row_offset must be 0 for {kind}, got {row_offset!r}")
        return super().__call__(
            f,
            given,
            num_samples=num_samples,
            rng=rng,
            state=state,
            block_size=block_size,
            row_offset=row_offset,
            return_samples=return_samples,
        )

    takes: ClassVar[type] = Continuous

    @classmethod
    def refusal(cls, kind: type) -> str | None:
        """Return why it does not work with distributions of a class, or None."""
        if issubclass(kind, cls.takes):
            return None
        wanted = cls.takes.__name__
        return f"{cls.name} needs a distribution that is {wanted}, got {kind.__name__}"

    def draw(
        self,
        distribution: Any,
        num_samples: int,
        key: Key,
        *,
        offset: int = 0,
        state: dict[str, Any] | None = None,
    ) -> Any:
        """Draw noise, and the samples made of it, which f sees."""
        noise = distribution.noise(num_samples, rng=key, sample_offset=offset)
        return noise, _validate.frozen(distribution.transform(noise))

    def samples(self, distribution: Any, draws: Any) -> Any:
        """Return the samples."""
        return draws[1]


class Means(dict[str, Mean]):
    """Means over samples by the name of the parameter."""

    def add(self, arrays: dict[str, Array]) -> None:
        """Take the next block: a dict of arrays (S, *shape of the parameter)."""
        for name, x in arrays.items():
            self.setdefault(name, Mean()).add(x)

    def add_weighted(self, weight: Array, arrays: dict[str, Array]) -> None:
        """Take the next block times a weight, whose axes are the first ones of each array.

        A few samples at a time are multiplied: to be given so much memory takes longer.
        """
        for name, x in arrays.items():
            mean, w = self.setdefault(name, Mean()), expand(weight, x)
            step = max(FEW * len(x) // max(x.size, 1), 1)
            for i in range(0, len(x), step):
                mean.add(w[i : i + step] * x[i : i + step])


def estimate_of(
    distribution: Continuous,
    value: Mean,
    grad: dict[str, Array],
    state: dict[str, Any] | None,
    evaluations: int,
) -> Estimate:
    """Return the estimate, in the dtype of the distribution."""
    dtype = distribution.dtype
    found: Any = {name: np.asarray(g, dtype) for name, g in grad.items()}
    return Estimate(value.result.astype(dtype), found, state, evaluations)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScoreFunction(OfContinuous):
    """The score function estimator, also called REINFORCE: (f - baseline) times the score.

    The score is the gradient of the log density at the sample. It is taken from the noise of which
    the sample is made (`transform_score`), so its mean is zero also where samples are so close to
    the ends of the support that they must be clipped to their dtype. f need not be differentiable.

    Parameters
    ----------
    baseline : None or "leave_one_out"
        The baseline that is subtracted from f: by default, for each sample, the mean of f over the
        other samples, which needs at least two. None subtracts nothing.

    Raises
    ------
    ValueError
        If the baseline is neither of them.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> d = fg.continuous.Gamma(np.zeros(3), np.zeros(3))
    >>> f = lambda x: (x > 1).sum(axis=-1)
    >>> fg.estimator("score_function")(f, d, num_samples=100, rng=0).grad["log_rate"].shape
    (3,)

    References
    ----------
    Williams, "Simple statistical gradient-following algorithms for connectionist reinforcement
    learning", Machine Learning 1992. Kool, van Hoof and Welling, "Buy 4 REINFORCE samples, get a
    baseline for free!", ICLR workshop 2019.
    """

    baseline: Literal["leave_one_out"] | None = "leave_one_out"

    name = "score_function"
    unbiased = True
    min_samples: ClassVar[int] = by_options(lambda run: 2 if run.baseline else 1)
    paper = "Williams, 1992; Kool, van Hoof and Welling, 2019"

    def __post_init__(self) -> None:
        _validate.choice(self.baseline, "baseline", (None, "leave_one_out"))

    def alone(self) -> ScoreFunction:
        """Return the estimator without a baseline."""
        return dataclasses.replace(self, baseline=None)

    def ask(
        self, objective: Objective, distribution: Continuous, draws: Any, *, offset: int = 0
    ) -> Any:
        """Evaluate f at the samples."""
        return objective.relaxed(distribution, draws[1], offset=offset)

    def combine(
        self,
        distribution: Continuous,
        blocks: Iterable[tuple[Any, Any]],
        state: dict[str, Any] | None = None,
    ) -> Estimate:
        """Make the estimate of pairs ((noise, samples), `Values`)."""
        value, signals, weighted, scores = Mean(), Mean(), Means(), Means()
        for (noise, _), f_x in blocks:
            value.add(f_x.value)
            signals.add(f_x.signal)
            signal = f_x.signal - signals.first.reshape(f_x.signal.shape[1:])
            score = distribution.transform_score(noise)
            scores.add(score)
            weighted.add_weighted(signal, score)
        n = value.count
        # Scores weighted from the first signal on; the baseline, or 0, moves the origin.
        origin = signals.first if self.baseline is None else -signals.deviation
        origin = origin.astype(np.float64).reshape(signals.shape)
        factor = 1 if self.baseline is None else n / (n - 1)
        grad = {
            name: factor * (mean.result + expand(origin, mean.result) * scores[name].result)
            for name, mean in weighted.items()
        }
        return estimate_of(distribution, value, grad, state, n)


def expand(x: FloatArray, like: FloatArray) -> FloatArray:
    """Return x with trailing axes of length 1, as many as `like` has more."""
    return x.reshape(x.shape + (1,) * (np.ndim(like) - x.ndim))
