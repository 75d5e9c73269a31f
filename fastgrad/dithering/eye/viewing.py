"""Viewing conditions: the space in which errors of a picture are measured, and the eye's blur."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypedDict

import numpy as np

from fastgrad import _validate
from fastgrad._typing import Array, FloatArray
from fastgrad.dithering.eye.blur import autocorrelation, gaussian, of_the_eye
from fastgrad.dithering.eye.colour import SPACES, SpaceName
from fastgrad.dithering.eye.lightness import sensitivity

__all__ = ["MANY", "Blur", "Viewing"]

MANY = 16  # colours: with fewer, grain is all there is to make tones of
NU = 0.05  # for as many or more
LEARNED = 0.055  # where all of a palette is learned: in the end tones are made up for
DRAWN = 0.8  # beside flat fields that are as they were: grain at their edges looks rough
SMOOTH = 0.35  # where colours are so dense that a little grain hides what they are off
OF_LIGHT: SpaceName = "opponent"  # the space by default,
OF_SMOOTH: SpaceName = "oklab"  # and there: with little grain errors count as pixels look
OF_EDGES: SpaceName = "screen"  # so they do on flat fields, where many are black
LIGHT = ("linear", "opponent", "yycxcz")  # spaces whose numbers are light, not its lightness
MOST_SIGMA, MOST_PPD = 8, 200
MOST_WEIGHT = 1e9  # of an error beside the blurred one: nu, structure, flicker


class Blur(TypedDict):
    """The options of `Viewing` that `BlurredError` takes."""

    sigma: float
    ppd: float | None
    nu: float


@dataclass(frozen=True)
class Viewing:
    """How errors of a picture are seen: these are options of `fastgrad.dither`.

    Parameters
    ----------
    space : {"opponent", "linear", "srgb", "oklab", "screen", "yycxcz"}, optional
        Colour space in which errors are measured and blurred; by default "opponent", or "screen"
        for the rest of a drawn picture whose flat fields have their own colours, and "oklab" for
        smooth ones.
    sigma : float, optional
        Standard deviation of the Gaussian blur in pixels, 0 to 8.
    ppd : float, optional
        Pixels per degree of the visual field, 1 to 200: the blur is then Nasanen's model of the eye
        instead of a Gaussian.
    nu : float, optional
        Weight of the squared error without blur, 0 to 1e9; by default 0.05, 0.055 where all of a
        palette is learned, 0.8 for the rest of such a drawn picture, or 0.35 where colours are
        dense; and less for fewer colours than 16.
    local_weights : bool, optional
        Whether errors are multiplied by the eye's local sensitivity to light; by default in the
        spaces of light, "linear", "opponent" and "yycxcz".

    Raises
    ------
    TypeError, ValueError
        If an option has the wrong type or is out of range.

    Examples
    --------
    >>> Viewing(space="oklab").settled(4)
    Viewing(space='oklab', sigma=1.0, ppd=None, nu=0.0275, local_weights=False)
    >>> Viewing().settled(16).space, Viewing().settled(16, drawn=True).space
    ('opponent', 'screen')
    """

    space: SpaceName | None = None
    sigma: float = 1.0
    ppd: float | None = None
    nu: float | None = None
    local_weights: bool | None = None

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        _validate.choice(self.space, "space", (None, *SPACES))
        _validate.number(self.sigma, "sigma", 0, MOST_SIGMA)
        if self.ppd is not None:
            _validate.number(self.ppd, "ppd", 1, MOST_PPD)
        if self.nu is not None:
            _validate.number(self.nu, "nu", 0, MOST_WEIGHT)
        _validate.choice(self.local_weights, "local_weights", (None, True, False))

    def settled(
        self,
        colors: int,
        *,
        learned: bool = True,
        drawn: bool = False,
        smooth: bool = False,
        dense: bool = False,
    ) -> Viewing:
        """Return the same conditions with space, nu and local weights set to their defaults.

        Parameters
        ----------
        colors : int
            Size of the palette.
        learned : bool, optional
            Whether all of it is learned.
        drawn : bool, optional
            Whether the picture has flat fields, and an entry for the colour of each.
        smooth : bool, optional
            Whether the colours will be so dense that a little grain hides what they are off.
        dense : bool, optional
            Whether they will, but in a picture with texture.

        Returns
        -------
        Viewing
            Conditions in which none of these is None.
        """
        space = self.space or (OF_EDGES if drawn else OF_SMOOTH if smooth else OF_LIGHT)
        local, nu = self.local_weights, self.nu
        if local is None:
            local = space in LIGHT
        if nu is None:
            full = DRAWN if drawn else SMOOTH if smooth or dense else LEARNED if learned else NU
            nu = full * min(1.0, (colors / MANY) ** 0.5)
        return replace(self, space=space, nu=nu, local_weights=local)

    @property
    def measured_in(self) -> SpaceName:
        """The space, by default that of pictures which are neither drawn nor smooth."""
        return self.space or OF_LIGHT

    @property
    def blur(self) -> Blur:
        """The options of the same names of `BlurredError`."""
        nu = NU if self.nu is None else float(self.nu)
        ppd = None if self.ppd is None else float(self.ppd)
        return {"sigma": float(self.sigma), "ppd": ppd, "nu": nu}

    def blurred_twice(self) -> FloatArray:
        """Return the kernel that blurs twice, as a sum of separable ones.

        Returns
        -------
        array of float64, shape (terms, 2, 2 r + 1)
            The kernels down and across of each term.
        """
        if self.ppd is None:
            return np.tile(autocorrelation(gaussian(float(self.sigma))), (1, 2, 1))
        return of_the_eye(float(self.ppd))

    def weighted(self, linear: FloatArray, weights: Array | None) -> Array | None:
        """Return the weights of the pixels, times the eye's sensitivity if it is asked for.

        Parameters
        ----------
        linear : array, shape (height, width, channels)
            The picture in linear light.
        weights : array, shape (height, width), or None
            The weights of the pixels.

        Returns
        -------
        array, shape (height, width), or None
            The weights that errors are multiplied by; None if all are 1.
        """
        return sensitivity(linear, weights) if self.local_weights else weights
