"""SSIMULACRA2, the score by which a quality is asked for: 90 is hardly visible, 30 is low."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fastgrad._typing import Array, ArrayLike, FloatArray
from fastgrad.dithering.metrics.psnr_and_ssim import values

__all__ = ["Ssimulacra2", "of_frames"]

ABSORBANCE = np.array(  # of linear light by three kinds of receptors, and what they see in the dark
    [
        [0.30, 0.622, 0.078],
        [0.23, 0.692, 0.078],
        [0.24342268924547819, 0.20476744424496821, 0.55180986650955360],
    ]
)
DARK = 0.0037930732552754493
SCALES, LEAST = 6, 8  # halvings and one; the least side of a picture
ROUNDING = 1e-9  # distances are no less, but of equal pictures
WORST = 10  # of so many frames, one counts
SIGMA, RADIUS = 1.5, 5  # of the blur
FLOOR = 0.0009  # of variances
# How much mean and fourth norm of each map weigh: of what is not alike, of what is added, and of
# what is lost. A row is a scale, from fine to coarse; then come the other channels, X, Y and B.
# fmt: off
WEIGHTS = np.array([
    (0, 0.0007376606707406586, 0, 0, 0.0007793481682867309, 0),
    (0, 0.0004371155730107379, 0, 1.1041726426657346, 0.00066284834129271, 0.00015231632783718752),
    (0, 0.0016406437456599754, 0, 1.8422455520539298, 11.441172603757666, 0),
    (0.0007989109436015163, 0.000176816438078653, 0, 1.8787594979546387, 10.94906990605142, 0),
    (0.0007289346991508072, 0.9677937080626833, 0,
     0.00014003424285435884, 0.9981766977854967, 0.00031949755934435053),
    (0.0004550992113792063, 0, 0, 0.0013648766163243398, 0, 0),

    (0, 0, 0, 7.466890328078848, 0, 17.445833984131262),
    (0.0006235601634041466, 0, 0, 6.683678146179332, 0.00037724407979611296, 1.027889937768264),
    (225.20515300849274, 0, 0, 19.213238186143016, 0.0011401524586618361, 0.001237755635509985),
    (176.39317598450694, 0, 0, 24.43300999870476, 0.28520802612117757, 0.0004485436923833408),
    (0, 0, 0, 34.77906344483772, 44.835625328877896, 0),
    (0, 0, 0, 0, 0, 0),

    (0, 0.0008680556573291698, 0, 0, 0, 0),
    (0, 0.0005313191874358747, 0, 0.00016533814161379112, 0, 0),
    (0, 0, 0, 0.0004179171803251336, 0.0017290828234722833, 0),
    (0.0020827005846636437, 0, 0, 8.826982764996862, 23.19243343998926, 0),
    (95.1080498811086, 0.9863978034400682, 0.9834382792465353,
     0.0012286405048278493, 171.2667255897307, 0.9807858872435379),
    (0, 0, 0, 0.0005130064588990679, 0, 0.00010854057858411537),
])
# fmt: on


class Ssimulacra2:
    """Scores of pictures beside their original.

    Parameters
    ----------
    original : array_like, shape (height, width, 3)
        sRGB values, uint8 or float in [0, 1]. With a side of less than 8 pixels it is continued to
        8 by its last row or column, as are pictures: the score is not defined for less.

    Notes
    -----
    With a side of 224 pixels or less there are fewer than six scales, and as the authors' program
    does, weights are then read one after the other, so that they fall on other maps: fine detail in
    blue counts, which else has no weight.

    References
    ----------
    J. Sneyers, "SSIMULACRA 2 - Structural SIMilarity Unveiling Local And Compression Related
    Artifacts", Cloudinary, 2023. Edges are those of the package ssimulacra2, 0.3.0.

    Examples
    --------
    >>> import numpy as np
    >>> ramp = np.tile(np.linspace(0, 1, 64)[None, :, None], (64, 1, 3))
    >>> judge = Ssimulacra2(ramp)
    >>> round(judge.score(ramp), 6)
    100.0
    >>> steps = np.round(7 * ramp) / 7
    >>> judge.score(np.round(3 * ramp) / 3) < judge.score(steps) < 95
    True
    """

    def __init__(self, original: ArrayLike) -> None:
        planes = list(_scales(original))
        weights = WEIGHTS.ravel()[: 18 * len(planes)].reshape(3, len(planes), 6)
        self._parts: list[tuple[int, int, FloatArray, FloatArray, FloatArray, FloatArray]] = []
        for scale, xyb in enumerate(planes):
            for channel in range(3):
                weight = weights[channel, scale]
                if weight.any():
                    plane = xyb[channel]
                    mean, square = _blurred(plane), _blurred(plane * plane)
                    self._parts.append((scale, channel, weight, plane, mean, square))

    def score(self, picture: ArrayLike) -> float:
        """Return the score of a picture.

        Parameters
        ----------
        picture : array_like, shape (height, width, 3)
            sRGB values, uint8 or float in [0, 1].

        Returns
        -------
        float
            100 for the original, about 90 where no difference is seen at a glance, 70 for high, 50
            for medium and 30 for low quality; it may be negative.
        """
        total, planes = 0.0, list(_scales(picture))
        for scale, channel, weight, one, mean, square in self._parts:
            other = planes[scale][channel]
            blurred = _blurred(other)
            maps = [None, np.abs(other - blurred), None]
            if weight[::3].any():
                shared = 2 * (_blurred(one * other) - mean * blurred) + FLOOR
                spread = square - mean * mean + _blurred(other * other) - blurred * blurred + FLOOR
                alike = (1 - np.square(mean - blurred)) * shared / spread
                maps[0] = np.maximum(1 - alike, 0)
            if weight[1::3].any() or weight[2::3].any():
                edges = (1 + np.abs(other - blurred)) / (1 + np.abs(one - mean)) - 1
                maps[1], maps[2] = np.maximum(edges, 0), np.maximum(-edges, 0)
            for kind, found in enumerate(maps):
                if weight[kind]:
                    total += weight[kind] * found.mean()
                if weight[kind + 3]:
                    total += weight[kind + 3] * np.square(np.square(found)).mean() ** 0.25
        return _from_distance(float(total))


def of_frames(scores: ArrayLike) -> float:
    """Return the score of an animation: the mean of the lowest tenth of its frames' scores.

    A mean of all would let a ruined frame pass among good ones.

    Parameters
    ----------
    scores : array_like, shape (frames,)
        The scores; of ten frames or fewer, the lowest counts.

    Returns
    -------
    float
        The score.

    Examples
    --------
    >>> of_frames([70.0] * 19 + [10.0])
    40.0
    """
    lowest = np.sort(np.asarray(scores, np.float64))
    return float(lowest[: -(-len(lowest) // WORST)].mean())


def _from_distance(total: float) -> float:
    """Turn the weighted sum into a score."""
    x = 0.9562382616834844 * total
    x = x * (2.326765642916932 + x * (-0.020884521182843837 + x * 6.248496625763138e-05))
    return 100.0 - 10.0 * x**0.6276336467831387 if x > ROUNDING else 100.0


def _scales(image: ArrayLike) -> Iterator[Array]:
    """Yield a picture at each scale as positive planes X, Y and B of receptors' signals."""
    linear = np.moveaxis(values(image, linear=True), -1, 0)
    short = [(0, max(0, LEAST - size)) for size in linear.shape[1:]]
    linear = np.pad(linear, [(0, 0), *short], "edge")
    for scale in range(SCALES):
        if min(linear.shape[1:]) < LEAST:
            return
        seen = np.tensordot(ABSORBANCE, linear, 1) + DARK
        long, medium, short_waves = np.cbrt(seen) - np.cbrt(DARK)
        green = 0.5 * (long + medium)
        yield np.stack([7 * (long - medium) + 0.42, green + 0.01, short_waves - green + 0.55])
        if scale < SCALES - 1:
            odd = [(0, size % 2) for size in linear.shape[1:]]
            even = np.pad(linear, [(0, 0), *odd], "edge")
            rows = even[:, ::2] + even[:, 1::2]
            linear = 0.25 * (rows[..., ::2] + rows[..., 1::2])


def _blurred(plane: Array) -> Array:
    """Blur a plane: above and below it is mirrored, to the left and right all is 0."""
    from scipy import ndimage

    x = np.arange(-RADIUS, RADIUS + 1)
    taps = np.exp(-0.5 * np.square(x / SIGMA))
    taps /= taps.sum()
    across = ndimage.correlate1d(plane, taps, axis=1, mode="constant")
    return ndimage.correlate1d(across, taps, axis=0, mode="reflect")
