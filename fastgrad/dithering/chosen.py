"""A few inks for a picture, out of those that there are: filaments, threads, bricks, pens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastgrad import _validate
from fastgrad._typing import Array, ArrayLike
from fastgrad.dithering.eye.colour import SpaceName
from fastgrad.dithering.eye.viewing import Viewing
from fastgrad.dithering.given import Given
from fastgrad.dithering.optimiser.choice import choose
from fastgrad.dithering.optimiser.problem import Problem
from fastgrad.dithering.pictures.inputs import Colors, Swatches, swatches_of
from fastgrad.dithering.pictures.presets import Preset
from fastgrad.random import RNG

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["choose_colors", "swatches_for"]


def choose_colors(
    image: ArrayLike | Image,
    count: int,
    palette: Colors | Swatches,
    *,
    space: SpaceName | None = None,
    sigma: float | None = None,
    ppd: float | None = None,
    nu: float | None = None,
    weights: ArrayLike | None = None,
    local_weights: bool | None = None,
    rng: RNG = 0,
) -> Array:
    """Choose the colours out of a list in which a picture dithers best.

    Parameters
    ----------
    image : array_like or PIL.Image.Image
        The picture, as `fastgrad.dither` takes it. Opacity is laid on white.
    count : int
        Number of colours to take, 2 or more.
    palette : array_like, shape (N, 3), or sequence of str, or path-like
        The list, in sRGB.
    space, sigma, ppd, nu, weights, local_weights, rng
        Options of `fastgrad.dither`.

    Returns
    -------
    array of int64, shape (count,)
        The numbers of the colours in the list, in ascending order.

    Raises
    ------
    TypeError, ValueError
        If there are less colours, or an option is wrong.

    Examples
    --------
    >>> import numpy as np
    >>> ramp = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (16, 1))
    >>> choose_colors(ramp, 2, ["#ff0000", "#000000", "#00ff00", "#ffffff"]).tolist()
    [1, 3]
    """
    swatches = swatches_of(palette, None)
    if swatches is None:
        raise ValueError("palette must be the colours to choose from, got None")
    colors, device, suited = swatches
    number = _validate.integer(count, "choose", 2, len(colors))
    eye = {name: x for name, x in suited.items() if name not in ("fit", "solid")}
    given = Given(
        image, palette=Swatches(colors, device, eye), alpha="blend", weights=weights, solid=False
    )
    options = given.options(sigma=sigma, ppd=ppd, nu=nu, space=space)
    viewing = Viewing(**options, local_weights=local_weights).settled(number, learned=False)
    problem = Problem(given.values, viewing, palette=colors, weights=given.weights)
    return choose(problem.loss(), problem.from_srgb(colors), number, rng=rng)


def swatches_for(
    image: ArrayLike | Image,
    count: int,
    palette: Colors | None,
    preset: str | Preset | None,
    **options: object,
) -> Swatches:
    """Return the chosen ones of the colours of a palette or a preset: see `choose_colors`."""
    swatches = swatches_of(palette, preset)
    if swatches is None:
        raise ValueError("palette or preset must be given with choose, got None")
    which = choose_colors(image, count, swatches, **options)  # type: ignore[arg-type]
    return Swatches(swatches.colors[which], swatches.device[which], swatches.options)
