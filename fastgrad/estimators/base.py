"""What all estimators share: draw samples, ask f for its values there, combine both."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Literal, NamedTuple, TypeAlias

from fastgrad import _validate
from fastgrad._array_api import answered, foreign, ndarray
from fastgrad._typing import Array, ArrayLike, FloatArray
from fastgrad.distributions.categorical import as_distribution
from fastgrad.distributions.discrete import Discrete
from fastgrad.estimators.by_options import by_options as by_options
from fastgrad.estimators.draws import checked, in_blocks, in_groups, last_state
from fastgrad.estimators.examples_in_parts import in_parts
from fastgrad.objectives import Objective, as_objective
from fastgrad.random import RNG, Key, as_key

__all__ = ["Estimate", "Estimator"]

MOST_NODES = 2**20  # numbers in all nodes together: `Estimator.nodes` names no more
Reduction: TypeAlias = Literal["mean", "log_mean_exp", "order_statistic", "weighted"]


class Estimate(NamedTuple):
    """An estimate of the mean of f and of its gradient.

    Attributes
    ----------
    value : array
        Estimate of E[f]: the shape of f's values without the axis of samples.
    grad : array, or dict of arrays
        Estimate of the gradient of E[f] by the logits, of their shape and dtype. Where f has one
        value for each example, the gradient of the sum of these means: examples do not mix. For
        continuous distributions and for graphs it is a dict of arrays by parameter or node.
    state : dict of arrays, or None
        What the estimator has learned, to be passed to the next call; None if it does not learn.
    evaluations : int
        Number of points at which f was evaluated. The gradient of f at a point where its value is
        computed too counts as part of that evaluation.
    samples : array, dict of arrays for graphs, or None
        With ``return_samples=True`` the samples that f was scored at, as f takes them: shape
        (S, *logits.shape), one-hot, or relaxed where the estimator relaxes them (`gumbel_softmax`);
        0 or 1 for Bernoulli variables; (S, *batch_shape, *event_shape) for continuous ones.
        `enumerate` has all outcomes. Points at which f is evaluated for a control variate or a
        baseline are not among them.
    weights : array or None
        With ``return_samples=True``, for each sample the weight of f there in the value: shape
        (S, *value.shape). It is 1 / S where samples are independent or coupled; a probability in
        `enumerate` and in estimators that sum or draw without replacement (of sum 1; in
        `importance_weighted`, of mean sum 1); in `vimco` and `max_at_k` the derivative of the
        value. So ``(weights * f(samples)).sum(axis=0)`` has, as a function of other parameters of
        f, their gradient. It is the value but in `vimco`, and in `arsm`, whose value has swapped
        samples too.
    """

    value: FloatArray
    grad: Any  # an array; of continuous distributions and graphs a dict
    state: dict[str, Any] | None
    evaluations: int
    samples: Any = None
    weights: FloatArray | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Estimator:
    """Base class of the estimators of the gradient of E[f] by the logits.

    A subclass is a frozen dataclass whose fields are the options. Calling it is pure, and has
    three parts. `draw` draws samples from a key. `ask` evaluates f there. `combine` makes the
    estimate of draws and answers: as it is a pure function of these, it may be given every
    possible draw in place of random ones, and so its mean and variance are known exactly
    (`fastgrad.moments`).

    Attributes
    ----------
    name : str
        The name under which `fastgrad.estimator` builds it.
    unbiased : bool
        Whether the mean of the estimate is the gradient of E[f].
    needs : tuple of str
        Parts of the objective without which it does not work: see `fastgrad.objective`.
    evaluations : str
        Number of points at which f is evaluated, as a formula in the number of samples S.
    min_samples : int
        The smallest number of samples with which it works.
    pools : bool
        Whether it learns one state from all examples of a call together, which parts of a minibatch
        can then not learn each for itself. The first estimate, without a state, is not affected.
    paper : str
        Where it was published.
    reduction : {"mean", "log_mean_exp", "order_statistic", "weighted"}
        How the value is made of f: as the mean, as the mean over groups of the logarithm of the
        mean weight, or with weights that depend on the rank of f, or on the draws.
    probes : int
        Number of points at which f is evaluated before it is at the samples.
    asks : tuple of str
        Capabilities without which a distribution is refused: see `Discrete`.
    draws_first : bool
        Whether all begins with `Discrete.drawn`, which refuses invalid logits by the way.
    weighs : bool
        Whether sums of scores need the softmax that `Discrete.drawn` finds.

    Notes
    -----
    `unbiased`, `needs`, `min_samples` and `pools` may depend on the options. They are then those of
    the instance, and, read from the class, those of the default options.

    Examples
    --------
    An estimator of one's own, REINFORCE without a baseline, works wherever the others do:

    >>> import dataclasses
    >>> import numpy as np, fastgrad as fg
    >>> from fastgrad.estimators.score_functions.reinforce import ScoreFunction
    >>> from fastgrad.estimators.sums import CentredScores
    >>> @dataclasses.dataclass(frozen=True, kw_only=True)
    ... class Plain(ScoreFunction):
    ...     name = "plain"
    ...     unbiased = True
    ...     paper = "Williams, 1992"
    ...
    ...     def combine(self, distribution, blocks, state=None):
    ...         scores = CentredScores(distribution)
    ...         for z, answer in blocks:
    ...             scores.add(z, answer.signal)
    ...         f = scores.mean
    ...         return fg.Estimate(f.result, scores.about(0.0, f.count), state, f.count)
    >>> fg.moments(Plain(), lambda x: x[:, 1], np.zeros(2), num_samples=1).mean
    array([-0.25,  0.25])
    """

    name: ClassVar[str]
    unbiased: ClassVar[bool]
    needs: ClassVar[tuple[str, ...]] = ()
    evaluations: ClassVar[str] = "S"
    min_samples: ClassVar[int] = 1
    pools: ClassVar[bool] = False
    paper: ClassVar[str]
    reduction: ClassVar[Reduction] = "mean"
    probes: ClassVar[int] = 0
    asks: ClassVar[tuple[str, ...]] = ("one_hot",)
    draws_first: ClassVar[bool] = False
    weighs: ClassVar[bool] = False

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if not cls.__module__.startswith("fastgrad."):
            for name in {"draw", "nodes"} & vars(cls).keys():
                setattr(cls, name, checked(vars(cls)[name]))
                cls.draws_first = False

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
        """Estimate E[f] and its gradient by the logits.

        Parameters
        ----------
        f : callable or Objective
            A function of samples: see `fastgrad.objective`.
        distribution : Discrete, or array
            The distribution of the samples: Categorical, Bernoulli, or another for which
            `fastgrad.list_estimators` lists this estimator; an array is the logits of categorical
            variables. Where it is an array of another library, value, gradient and samples are of
            its kind too; f is given arrays of NumPy.
        num_samples : int
            Number S of samples, at most 2**24: float32 counts no further.
        rng : int, SeedSequence, Generator or Key
            The same key gives the same estimate, bit for bit.
        state : dict of arrays, optional
            The state of the last estimate, for estimators that learn from call to call.
        block_size : int, optional
            The largest number of samples that are drawn and handed to f at once, which bounds the
            memory; by default all of them. The result does not depend on it.
        row_offset : int
            Index of the first variable in a larger batch, in C order over all of its axes. Where f
            has a value for each example, a minibatch may be estimated in parts: with the number of
            variables before each part, values and gradients join to those of one call, bit for
            bit. So does the state, unless the estimator `pools` what it learns.
        return_samples : bool
            Whether the estimate has the samples that it is made of, and their weights.

        Returns
        -------
        Estimate
            Value, gradient, state and number of evaluations; samples and weights on request.

        Raises
        ------
        TypeError
            If the objective lacks a part that the estimator needs, or the distribution something
            that it asks for.
        ValueError
            If there are too few samples, or f returns values of a wrong shape or not finite.

        Examples
        --------
        A part of f has parameters of its own. They are fitted to the samples that the logits were
        scored on:

        >>> import numpy as np, fastgrad as fg
        >>> w = np.array([1.0, 2.0, 4.0])
        >>> rloo = fg.estimator("rloo")
        >>> found = rloo(lambda x: x @ w, np.zeros(3), num_samples=4, rng=0, return_samples=True)
        >>> by_w = (found.weights[:, None] * found.samples).sum(axis=0)
        >>> found.samples.shape, bool(by_w @ w == found.value)
        ((4, 3), True)
        """
        if not isinstance(distribution, (ndarray, Discrete)) and foreign(distribution):
            options = {"rng": rng, "state": state, "block_size": block_size}
            options |= {"row_offset": row_offset, "return_samples": return_samples}
            x = _validate.array(distribution, "logits")
            return answered(self(f, x, num_samples=num_samples, **options), distribution)
        objective = as_objective(f)
        check = not self.draws_first or objective.compiled is not None
        variables = as_distribution(distribution, check=check)
        self.check(variables)
        if (form := self.for_distribution(variables)) is not self:
            options = {"num_samples": num_samples, "rng": rng, "state": state}
            options |= {"block_size": block_size, "return_samples": return_samples}
            return form(f, variables, row_offset=row_offset, **options)
        if self.weighs:
            variables = variables.keeping()
        distribution = variables if row_offset == 0 else variables.from_row(row_offset)
        objective.require(self.name, self.needs)
        num_samples, group = in_groups(self, num_samples)
        state, key, size = last_state(state), as_key(rng), num_samples
        if block_size is not None:
            size = max(1, _validate.integer(block_size, "block_size", 1) // group) * group
        if objective.compiled is not None and not return_samples:
            given = objective, distribution, num_samples, key, state, block_size
            if found := in_parts(self, *given):
                return found
        if size >= num_samples and not return_samples and "grad" not in self.needs:
            z = self.draw(distribution, num_samples, key, state=state)
            return self.combine(distribution, [(z, self.ask(objective, distribution, z))], state)
        given = objective, distribution, num_samples, key, state
        return in_blocks(self, *given, size, return_samples)

    def check(self, distribution: Any) -> None:
        """Refuse a distribution that the estimator is not for: see `refusal`."""
        if reason := self.refusal(type(distribution)):
            raise TypeError(reason)

    @classmethod
    def refusal(cls, kind: type) -> str | None:
        """Return why the estimator does not work with distributions of a class, or None."""
        if not issubclass(kind, Discrete):
            return f"{kind.__name__} has no logits: {cls.name} is for discrete variables"
        for capability in cls.asks:
            if reason := kind.lacks.get(capability):
                return f"{cls.name} does not work with {kind.__name__}: {reason}"
        return None

    def for_distribution(self, distribution: Any) -> Estimator:
        """Return the form of this estimator for a distribution: itself, if it has but one."""
        return self

    def group(self, num_samples: int) -> int:
        """Return how many consecutive samples depend on each other: a block is whole groups."""
        return 1

    def alone(self) -> Estimator:
        """Return the estimator to use where there is one sample, whose signal has a baseline.

        By default the estimator itself; one whose baseline is made of the other samples returns
        one without it. `fastgrad.expectation_grad` uses this for nodes made of other nodes.
        """
        return self

    def nodes(self, distribution: Any, num_samples: int) -> tuple[Any, FloatArray] | None:
        """Return all draws of a small problem with their weights, or None where there are too many.

        They stand side by side as the examples of a minibatch: draws as of a distribution with C
        copies of the logits, (C, *logits.shape), and weights (C,), which sum to 1.
        """
        return None

    def draw(
        self,
        distribution: Any,
        num_samples: int,
        key: Key,
        *,
        offset: int = 0,
        state: dict[str, Any] | None = None,
    ) -> Any:
        """Draw samples number `offset` and on; what f is asked at must be read-only."""
        raise NotImplementedError

    def samples(self, distribution: Any, draws: Any) -> FloatArray:
        """Return the samples among the draws as `ask` hands them to f: features (S, ...).

        By default draws are outcomes, shape (S, *batch).
        """
        return distribution.features(draws)

    def weighed(
        self, distribution: Any, draws: Any, answers: Any
    ) -> tuple[FloatArray, FloatArray | None]:
        """Return the samples of a block, and the weights of f there, as `Estimate` has them.

        The weights, (S, *examples), sum to 1 in the block; None means that they are equal.
        """
        return self.samples(distribution, draws), None

    def ask(self, objective: Objective, distribution: Any, draws: Any, *, offset: int = 0) -> Any:
        """Evaluate what the estimator needs of f at the draws."""
        raise NotImplementedError

    def combine(
        self,
        distribution: Any,
        blocks: Iterable[tuple[Any, Any]],
        state: dict[str, Any] | None = None,
    ) -> Estimate:
        """Make the estimate of an iterable of pairs (draws, answers), one for each block."""
        raise NotImplementedError


def estimate(value: Any, grad: Array, state: dict[str, Any] | None, evaluations: int) -> Estimate:
    """Return an estimate whose value, an array or number, has the dtype of the gradient."""
    if value.dtype != grad.dtype:  # a number takes as long as a small kernel by `astype`
        value = value.astype(grad.dtype) if value.ndim else grad.dtype.type(value)
    return tuple.__new__(Estimate, (value, grad, state, evaluations, None, None))  # in one step
