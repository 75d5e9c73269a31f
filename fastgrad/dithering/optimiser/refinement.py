"""Dithering by any metric: the gradient of its expectation is estimated by sampling.

The loss of a picture is its blurred error plus ``weight`` times an objective f. Every pixel is a
categorical variable. The gradient of the expected blurred error is known in closed form, and an
estimator gives the gradient of E[f]: `Refinement` follows the sum by natural gradient while it
cools down. `descend` then lowers the loss of the picture itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from fastgrad import _validate, random
from fastgrad._typing import Array, ArrayLike, FloatArray
from fastgrad.distributions.categorical import log_softmax
from fastgrad.dithering.eye import colour
from fastgrad.dithering.optimiser.descent import descend, total
from fastgrad.dithering.optimiser.loss import BlurredError
from fastgrad.dithering.optimiser.palette import spacing
from fastgrad.dithering.optimiser.residual import check_indices
from fastgrad.estimators.registry import as_estimator
from fastgrad.objectives import Objective, as_objective, objective
from fastgrad.random import RNG

if TYPE_CHECKING:
    from fastgrad.estimators import Estimator, EstimatorName

__all__ = ["Refinement", "of_picture", "refine"]

RATE, MOMENTUM = 0.65, 0.8
HOT, COLD = 0.3, 0.01  # temperatures, over the squared distance between neighbouring colours
NOISE = 0.01  # breaks the tie between a pattern and its mirror images
RARE = 0.1  # less probable colours are drawn too seldom to divide by their probability
SAMPLES = 16


def refine(
    indices: ArrayLike,
    loss: BlurredError,
    palette: ArrayLike,
    *,
    objective: Objective | Callable[..., Any],
    weight: float = 0.1,
    estimator: EstimatorName | Estimator | None = None,
    num_samples: int | None = None,
    steps: int = 60,
    sweeps: int = 20,
    rng: RNG = 0,
    callback: Callable[[Refinement], object] | None = None,
) -> Array:
    """Lower the blurred error of a picture plus weight times an objective.

    A new picture is annealed by `Refinement`; then both it and the given picture are improved by
    `descend`, and the better one is returned. Pixels that do not count in the loss do not change.
    The same arguments give the same picture, for any number of threads.

    Parameters
    ----------
    indices : array_like of integers, shape (height, width)
        A dithered picture: the palette index of each pixel.
    loss : BlurredError
        The blurred error, which holds the original picture. It is per pixel.
    palette : array_like, shape (K, channels)
        The colours in the space of the loss.
    objective : Objective or callable
        What is minimised beside the blurred error: an objective with one categorical variable of K
        categories per pixel, batch shape (height, width), for instance
        `fastgrad.dithering.metrics.structure.cssim` or `of_picture`. It has one value per picture.
    weight : float, optional
        Weight of the objective, at least 0.
    estimator : str or Estimator, optional
        Estimator of the gradient of E[f], by its name in `fastgrad.estimator` or built by it. By
        default "local_expectation" if the objective has local differences, else "rloo".
    num_samples : int, optional
        Number of samples in each step; by default 1 for "local_expectation", else 16.
    steps : int, optional
        Number of annealing steps; with 0 only the given picture is improved.
    sweeps : int, optional
        Greatest number of rounds of descent over the picture.
    rng : Key, int, SeedSequence or Generator, optional
        Source of randomness.
    callback : callable, optional
        Called with the `Refinement` after each of its steps.

    Returns
    -------
    array, shape (height, width)
        Palette indices, of the dtype of the given ones.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type, shape or range, or the objective lacks what the
        estimator needs.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgrad.dithering.optimiser.loss import BlurredError
    >>> from fastgrad.dithering.metrics.structure import cssim
    >>> image = np.tile(np.linspace(0, 1, 24)[:, None], (24, 1, 3))
    >>> colours, loss = np.eye(2)[:, [1, 1, 1]], BlurredError(image)
    >>> f, start = cssim(image, colours), np.zeros((24, 24), np.uint8)
    >>> better = refine(start, loss, colours, objective=f, steps=5)
    >>> bool(total(better, loss, colours, f, 0.1) < total(start, loss, colours, f, 0.1))
    True
    """
    colors = np.ascontiguousarray(palette, loss.dtype)
    given = check_indices(indices, loss.shape, len(colors))
    state = Refinement(
        loss,
        colors,
        objective=objective,
        weight=weight,
        estimator=estimator,
        num_samples=num_samples,
        steps=_validate.integer(steps, "steps", 0),
        rng=rng,
    )
    sweeps = _validate.integer(sweeps, "sweeps", 0)
    pictures = [given.copy()]
    for _ in state:
        if callback is not None:
            callback(state)
    if steps:
        pictures.append(np.where(loss.weights > 0, state.argmax(), given).astype(given.dtype))
    arguments = loss, colors, state.objective, state.weight
    for picture in pictures:
        descend(picture, *arguments, sweeps=sweeps)
    return min(pictures, key=lambda picture: total(picture, *arguments))


class Refinement:
    """Annealing on the blurred error plus weight times E[f]; iterate to take its steps.

    With probabilities p = softmax(logits), a natural gradient step on the free energy E - T H, with
    the temperature T and the entropy H, moves the logits by ``-rate (dE/dp / T + logits)``, here
    with momentum. Estimators give the gradient by the logits,
    ``p_k (dE/dp_k - sum_l p_l dE/dp_l)``. It is divided by p_k, or by 0.1 if p_k is smaller, since
    it is noisy. Annealing starts hot, from the original picture.

    Parameters
    ----------
    loss, palette, objective, weight, estimator, num_samples, steps, rng
        As in `refine`.

    Attributes
    ----------
    logits : array, shape (height, width, K)
        The present logits of the pixels.
    step, steps : int
        Number of steps done, and of steps in all.
    value : float
        The expected loss before the last step, with the estimated value of E[f].
    estimator : Estimator
        The estimator of the gradient of E[f].
    """

    loss: BlurredError
    palette: FloatArray
    objective: Objective
    weight: float
    estimator: Estimator
    num_samples: int
    steps: int
    step: int
    value: float
    logits: FloatArray

    def __init__(
        self,
        loss: BlurredError,
        palette: ArrayLike,
        *,
        objective: Objective | Callable[..., Any],
        weight: float,
        estimator: EstimatorName | Estimator | None = None,
        num_samples: int | None = None,
        steps: int = 60,
        rng: RNG = 0,
    ) -> None:
        self.objective = as_objective(objective)
        self.weight = _validate.not_negative(weight, "weight")
        if estimator is None:
            estimator = "rloo" if self.objective.local is None else "local_expectation"
        self.estimator = as_estimator(estimator)
        self.objective.require(self.estimator.name, self.estimator.needs)
        if num_samples is None:
            num_samples = 1 if self.estimator.name == "local_expectation" else SAMPLES
        self.num_samples = _validate.integer(num_samples, "num_samples", 1)
        self.loss, self.palette = loss, np.ascontiguousarray(palette, loss.dtype)
        self.steps, self.step, self.value = steps, 0, float("nan")
        self._key, self._state = random.as_key(rng), None
        self._scale = spacing(self.palette) * float(loss.own)
        target = random.normal(loss.planes.shape, rng=self._key.fold_in(0), dtype=loss.dtype)
        target = loss.planes + loss.dtype(NOISE) * target
        distance = np.square(target.transpose(1, 2, 0)[:, :, None] - self.palette).sum(axis=-1)
        self.logits = -distance / loss.dtype(HOT * spacing(self.palette))
        self.logits -= self.logits.mean(axis=-1, keepdims=True)
        self._velocity = np.zeros_like(self.logits)

    def __iter__(self) -> Iterator[float]:
        """Take the remaining steps, and yield the value of each."""
        while self.step < self.steps:
            yield self.advance()

    def advance(self) -> float:
        """Take a step, and return the expected loss before it."""
        loss, real = self.loss, self.loss.dtype
        temperature = self._scale * HOT * (COLD / HOT) ** (self.step / max(self.steps - 1, 1))
        error = loss.gradient(self.logits, self.palette)
        key = self._key.fold_in(1).fold_in(self.step)
        metric = self.estimator(
            self.objective,
            self.logits,
            num_samples=self.num_samples,
            rng=key,
            state=self._state,
        )
        if np.ndim(metric.value):
            raise ValueError(
                f"the objective must return one number for each picture, got {metric.value.shape}"
            )
        p = np.exp(log_softmax(self.logits))
        slope = error.logits / np.maximum(p, np.finfo(real).tiny)
        slope += real(self.weight) * metric.grad / np.maximum(p, real(RARE))
        # Each pixel is as cold as its weight makes its error large.
        weights = np.square(loss.weights)[..., None]
        slope *= real(loss.pixels / temperature) / np.where(weights > 0, weights, real(1))
        slope -= slope.mean(axis=-1, keepdims=True)
        # A shift of all pixels is answered by each for all those that it blurs.
        rate = RATE * float(loss.own) / (1 + float(loss.nu))
        self._velocity *= real(MOMENTUM)
        self._velocity -= real(rate) * (slope + self.logits)
        self.logits = self.logits + self._velocity
        self._state, self.step = metric.state, self.step + 1
        self.value = float(error.value) + self.weight * float(metric.value)
        return self.value

    def argmax(self) -> Array:
        """Return the indices of the most probable colours, shape (height, width)."""
        return self.logits.argmax(axis=-1)


def of_picture(
    f: Callable[[FloatArray], object],
    palette: ArrayLike,
    *,
    grad: Callable[[FloatArray], ArrayLike] | None = None,
) -> Objective:
    """Build an objective of palette indices from a function of pictures.

    Parameters
    ----------
    f : callable
        Function of pictures, float32 of shape (S, height, width, 3) with sRGB values in [0, 1]. It
        returns what the f of `fastgrad.objective` may return: values of shape (S,), or a tuple of
        these and credit of shape (S, height, width).
    palette : array_like, shape (K, 3)
        The colours: sRGB values, uint8 or float in [0, 1].
    grad : callable, optional
        Function of pictures that returns the derivative of the sum of f's values by them, of their
        shape. Estimators that relax require it; a relaxed picture mixes sRGB values.

    Returns
    -------
    Objective
        The objective, with one variable of K categories per pixel.

    Raises
    ------
    TypeError, ValueError
        If the palette has the wrong type, shape or range.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> image, palette = np.full((8, 8, 3), 0.5), [[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]
    >>> f = of_picture(lambda picture: np.square(picture - image).mean(axis=(1, 2, 3)), palette)
    >>> fg.estimator("rloo")(f, np.zeros((8, 8, 2)), num_samples=4, rng=0).value
    np.float64(0.25)
    """
    colors = _validate.array(palette, "palette")
    if colors.ndim != 2 or colors.shape[1] != 3:
        raise ValueError(f"palette must have shape (K, 3), got {colors.shape}")
    colors = colour.unit_srgb(colors, "palette").astype(np.float32)

    def mixed(x):
        return x.astype(np.float32, copy=False) @ colors

    gradient = None if grad is None else lambda x: np.asarray(grad(mixed(x))) @ colors.T
    return objective(lambda x: f(mixed(x)), grad=gradient, index=lambda z: f(colors[z]))
