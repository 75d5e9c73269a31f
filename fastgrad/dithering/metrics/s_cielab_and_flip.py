"""Differences of pictures as the eye sees them: S-CIELAB and FLIP.

These judges have their own colour spaces and blurs, as their papers give them, and share nothing
with what is optimised.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np

from fastgrad._typing import Array, ArrayLike
from fastgrad.dithering.metrics.psnr_and_ssim import values

__all__ = ["Flip", "SCielab", "flip", "s_cielab"]

# Blurs of the opponent channels (Zhang and Wandell): (width at half height in degrees, weight).
BLURS = (
    ((0.05, 1.00327), (0.225, 0.114416), (7.0, -0.117686)),  # luminance
    ((0.0685, 0.616725), (0.826, 0.383275)),  # red and green
    ((0.092, 0.567885), (0.6451, 0.432115)),  # blue and yellow
)
TO_XYZ = np.array(  # of linear sRGB
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
TO_OPPONENT = np.array([[0.279, 0.72, -0.107], [-0.449, 0.29, -0.077], [0.086, -0.59, 0.501]])
WHITE = TO_XYZ.sum(axis=1)
DIFFERENCES = np.array([[0.0, 116, 0], [500, -500, 0], [0, 200, -200]])  # CIELAB's
# FLIP's, x in degrees: sums of a sqrt(pi / b) exp(-(pi x)^2 / b), given as (a, b).
SENSITIVITIES = (
    ((1.0, 0.0047),),  # luminance
    ((1.0, 0.0053),),  # red and green
    ((34.1, 0.04), (13.5, 0.025)),  # blue and yellow
)
FEATURES: dict[str, Callable[..., Any]] = {
    "edges": lambda x, sigma: -x,
    "points": lambda x, sigma: (x / sigma) ** 2 - 1,
}


def s_cielab(picture: ArrayLike, original: ArrayLike, *, ppd: float = 67) -> float:
    """Return the mean S-CIELAB difference: the colour difference after the blur of the eye.

    Parameters
    ----------
    picture, original : array_like, shape (height, width, 3)
        sRGB values, uint8 or float in [0, 1].
    ppd : float, optional
        Pixels per degree of the visual field: 67 is a distance of 0.7 m from a screen that is 0.7 m
        and 3840 pixels wide.

    Returns
    -------
    float
        The mean over pixels of the CIE 1976 colour difference; a difference of about 1 is just
        visible.

    References
    ----------
    X. Zhang and B. A. Wandell, "A spatial extension of CIELAB for digital color-image
    reproduction", Journal of the Society for Information Display 5, 1997.

    Examples
    --------
    >>> import numpy as np
    >>> round(s_cielab(np.zeros((9, 9, 3)), np.ones((9, 9, 3))), 3)
    100.0
    """
    return SCielab(original, ppd=ppd).difference(picture)


class SCielab:
    """Differences of pictures from one original, which is looked at once: see `s_cielab`.

    Parameters
    ----------
    original, ppd
        As for `s_cielab`.
    """

    def __init__(self, original: ArrayLike, *, ppd: float = 67) -> None:
        self._ppd, self._original = ppd, _seen(original, ppd)

    def difference(self, picture: ArrayLike) -> float:
        """Return the mean difference of a picture."""
        difference = _seen(picture, self._ppd) - self._original
        return float(np.sqrt(np.square(difference).sum(axis=-1)).mean())


def _seen(image: ArrayLike, ppd: float) -> Array:
    """Convert sRGB values to CIELAB after the eye's blur of each opponent channel."""
    opponent = values(image, linear=True) @ (TO_OPPONENT @ TO_XYZ).T
    for channel, blurs in enumerate(BLURS):
        gaussians = [
            (width * ppd / (2 * np.sqrt(2 * np.log(2))), weight) for width, weight in blurs
        ]
        opponent[..., channel] = _blurred(opponent[..., channel], gaussians)
    return _lab(opponent @ np.linalg.inv(TO_OPPONENT).T / WHITE)


def _blurred(plane: Array, gaussians: Sequence[tuple[float, float]]) -> Array:
    """Blur a plane by Gaussians of these standard deviations and weights, of which the sum is one.

    A picture goes on as its mirror image, as in the original implementation: if its edges were
    repeated, a single pixel in a corner of a dithered picture would count as much as all of it.
    Cosines go on like that, and a blur leaves each of them as it is, but for its size.
    """
    from scipy import fft

    there, back = cast("Any", fft.dctn), cast("Any", fft.idctn)
    response, total = np.zeros(plane.shape), sum(weight for _, weight in gaussians)
    for sigma, weight in gaussians:
        down, across = (_response(sigma, n) for n in plane.shape)
        response += weight / total * np.multiply.outer(down, across)
    return back(there(plane) * response)


def _response(sigma: float, n: int) -> Array:
    """Return what a Gaussian leaves of each of n cosines; it ends at four standard deviations."""
    from scipy import fft

    radius = int(4 * sigma + 0.5)
    x = np.arange(-radius, radius + 1)
    taps = np.exp(-0.5 * np.square(x / sigma))
    period = np.bincount(x % (2 * n), taps / taps.sum(), 2 * n)  # the mirror image and the picture
    return cast("Any", fft.rfft)(period).real[:n]


def _lab(ratio: Array) -> Array:
    """Convert XYZ over those of white to CIELAB."""
    bright = ratio > 216 / 24389
    root = np.where(bright, np.cbrt(np.where(bright, ratio, 1)), (24389 / 27 * ratio + 16) / 116)
    return root @ DIFFERENCES.T - [16, 0, 0]


def flip(picture: ArrayLike, original: ArrayLike, *, ppd: float = 67) -> float:
    """Return the mean FLIP error: colour differences after the eye's blur, amplified at edges.

    Parameters
    ----------
    picture, original : array_like, shape (height, width, 3)
        sRGB values, uint8 or float in [0, 1].
    ppd : float, optional
        Pixels per degree of the visual field.

    Returns
    -------
    float
        The mean error over pixels, from 0 to 1.

    References
    ----------
    P. Andersson, J. Nilsson, T. Akenine-Möller, M. Oskarsson, K. Åström and M. D. Fairchild, "FLIP:
    a difference evaluator for alternating images", Proceedings of the ACM on Computer Graphics and
    Interactive Techniques 3(2), 2020.

    Examples
    --------
    >>> import numpy as np
    >>> round(flip(np.zeros((9, 9, 3)), np.ones((9, 9, 3))), 2)
    0.97
    """
    return Flip(original, ppd=ppd).error(picture)


class Flip:
    """Errors of pictures beside one original, which is looked at once: see `flip`.

    Parameters
    ----------
    original, ppd
        As for `flip`.
    """

    def __init__(self, original: ArrayLike, *, ppd: float = 67) -> None:
        self._ppd, self._original = ppd, self._seen(original, ppd)

    def error(self, picture: ArrayLike) -> float:
        """Return the mean error of a picture."""
        (first, colour), (second, other) = self._seen(picture, self._ppd), self._original
        feature = np.max([np.abs(x - y) for x, y in zip(first, second)], axis=0)
        feature = np.sqrt(feature / np.sqrt(2))
        distance = _distance(colour, other) ** 0.7
        green, blue = (_hunt(TO_XYZ[:, i] / WHITE) for i in (1, 2))
        most = _distance(green, blue) ** 0.7
        low = 0.4 * most  # below it differences spread over 95 per cent of the scale
        distance = np.where(
            distance < low, 0.95 / low * distance, 0.95 + 0.05 * (distance - low) / (most - low)
        )
        return float((distance ** (1 - feature)).mean())

    @staticmethod
    def _seen(image: ArrayLike, ppd: float) -> tuple[list[Array], Array]:
        """Return the edges and points of a picture, and its colours after the eye's blur."""
        xyz = values(image, linear=True) @ TO_XYZ.T / WHITE
        return [_contrasts(xyz[..., 1], ppd, name) for name in FEATURES], _hunt(_filtered(xyz, ppd))


def _filtered(ratio: Array, ppd: float) -> Array:
    """Blur XYZ over those of white by FLIP's sensitivity of the eye to contrasts."""
    from scipy import ndimage

    channels = ratio @ DIFFERENCES.T
    radius = int(np.ceil(3 * np.sqrt(0.04 / 2) / np.pi * ppd))
    x = np.arange(-radius, radius + 1) / ppd
    blurred = np.zeros_like(channels)
    for channel, gaussians in enumerate(SENSITIVITIES):
        taps = [np.exp(-(np.pi**2) * x * x / b) for _, b in gaussians]
        sums = [a / np.sqrt(b) * t.sum() ** 2 for (a, b), t in zip(gaussians, taps)]
        for total, t in zip(sums, taps):
            part = channels[..., channel]
            for axis in (0, 1):
                part = ndimage.correlate1d(part, t / t.sum(), axis=axis, mode="nearest")
            blurred[..., channel] += total / sum(sums) * part
    linear = np.clip(blurred @ np.linalg.inv(DIFFERENCES).T * WHITE @ np.linalg.inv(TO_XYZ).T, 0, 1)
    return linear @ TO_XYZ.T / WHITE


def _hunt(ratio: Array) -> Array:
    """Convert XYZ over those of white to CIELAB whose colours fade where it is dark."""
    lab = _lab(ratio)
    lab[..., 1:] *= 0.01 * lab[..., :1]
    return lab


def _distance(first: Array, second: Array) -> Array:
    """Return HyAB: the sum of the differences of lightness and of colour."""
    gap = first - second
    return np.abs(gap[..., 0]) + np.hypot(gap[..., 1], gap[..., 2])


def _contrasts(plane: Array, ppd: float, name: str) -> Array:
    """Return how much of an edge, or of a point, there is around each pixel."""
    from scipy import ndimage

    sigma = 0.5 * 0.082 * ppd
    radius = int(np.ceil(3 * sigma))
    x = np.arange(-radius, radius + 1)
    smooth = np.exp(-x * x / (2 * sigma**2))
    taps = FEATURES[name](x, sigma) * smooth
    taps = np.where(taps > 0, taps / taps[taps > 0].sum(), taps / -taps[taps < 0].sum())
    found = []
    for axis in (0, 1):
        part = ndimage.correlate1d(plane, taps, axis=axis, mode="nearest")
        found.append(
            ndimage.correlate1d(part, smooth / smooth.sum(), axis=1 - axis, mode="nearest")
        )
    return np.hypot(*found)
