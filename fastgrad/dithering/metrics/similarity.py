"""How similar the structure of pictures is to that of an original, in one plane, with gradients."""

from typing import NamedTuple

import numpy as np

from fastgrad import _validate
from fastgrad.kernels.dithering.metrics import similarity as kernels

__all__ = ["Similarity", "Windows", "halve"]

C1, C2 = 0.01**2, 0.03**2  # for values from 0 to 1
NO_LUMINANCE = 1e20  # in place of C1: the factor of luminance is 1
SIGMA, RADIUS = 1.5, 5  # of a window
FLOOR = 1e-9  # of a scale's similarity, whose power there would else not be a number


class Maps(NamedTuple):
    """Maps of windows of pictures, and the sums of their terms.

    Attributes
    ----------
    moments : numpy.ndarray, shape (S, 3, ...)
    terms : numpy.ndarray, shape (S, ...)
    loss : numpy.ndarray of float64, shape (S,)
    """

    moments: np.ndarray
    terms: np.ndarray
    loss: np.ndarray


class Windows:
    """All windows of one scale: the loss is the weighted mean of 1 - S over those inside.

    A window is 11 x 11 pixels, Gaussian; in a smaller picture it is as large as fits.

    Parameters
    ----------
    reference : numpy.ndarray, shape (height, width)
        float32 or float64: the type in which all is computed.
    contrast : bool
        Weigh each window by its contrast, as CSSIM does.
    luminance : bool
        Whether the factor of luminance counts.
    """

    def __init__(self, reference, *, contrast=False, luminance=True):
        self.reference, self.dtype = np.ascontiguousarray(reference), reference.dtype.type
        self.radius = min(RADIUS, (min(reference.shape) - 1) // 2)
        taps = np.exp(-0.5 * (np.arange(-self.radius, self.radius + 1) / SIGMA) ** 2)
        self.taps = (taps / taps.sum()).astype(self.dtype)
        self.c1 = self.dtype(C1 if luminance else NO_LUMINANCE)
        self.fixed = np.zeros((1, 3, *self.shape), self.dtype)
        own = self.moments(self.reference[None], self.fixed[0], 0.0)[0]
        mean, variance = own[0], np.maximum(own[2], 0)
        inside = np.zeros(self.shape, bool)
        edge = kernels.MARGIN + self.radius
        inside[edge : edge + self.size[0], edge : edge + self.size[1]] = True
        weights = np.minimum(2 * np.sqrt(variance), 1) if contrast else np.ones(self.shape)
        weights = np.where(inside, weights / (self.size[0] * self.size[1]), 0)
        self.fixed = np.stack([mean, variance + C2, weights]).astype(self.dtype)

    @property
    def shape(self):
        """Shape of a map: see the kernels."""
        height, width = self.reference.shape
        return height + 2 * kernels.MARGIN, width + 2 * kernels.MARGIN + 4

    @property
    def size(self):
        """Number of windows down and across."""
        return tuple(n - 2 * self.radius for n in self.reference.shape)

    def moments(self, planes, fixed=None, c2=C2):
        """Return the moments of pictures, (S, height, width), that the kernels work with."""
        fixed = self.fixed if fixed is None else fixed
        maps = np.zeros((len(planes), 3, *self.shape), self.dtype)
        maps[:, 2] = 1
        c2 = self.dtype(c2)
        planes = _read_only(planes)
        kernels.moments(maps, planes, self.reference, fixed, self.taps, c2)
        return maps

    def of(self, planes):
        """Return the `Maps` of pictures."""
        moments = self.moments(planes)
        terms, sums = np.empty(moments[:, 0].shape, self.dtype), np.empty(moments[:, 0, :, 0].shape)
        kernels.terms(terms, sums, moments, self.fixed, self.c1)
        return Maps(moments, terms, sums.sum(axis=1))

    def touched(self, maps):
        """Return for each pixel the sum of the terms that it touches."""
        out = np.empty((len(maps.terms), *self.reference.shape), self.dtype)
        kernels.spread(out, maps.terms, np.ones_like(self.taps))
        return out

    def gradient(self, planes, maps):
        """Return the gradient of the loss by the pixels; the moments are overwritten."""
        kernels.slopes(maps.moments, self.fixed, self.c1)
        out = np.empty_like(planes)
        arguments = maps.moments, _read_only(planes), self.reference, self.taps
        kernels.gradient(out, *arguments)
        return out

    def changed(self, planes, maps, change):
        """Return `touched` were each pixel alone changed by so much: (S, n, height, width)."""
        out = np.empty_like(change)
        pictures = _read_only(change), maps.moments, _read_only(planes), self.reference
        kernels.changed(out, *pictures, self.fixed, self.taps, self.c1)
        return out


class Similarity:
    """1 less a product of powers of mean similarities, one for each scale.

    Parameters
    ----------
    scales : sequence of Windows
        Each of a picture half as large as the one before.
    exponents : sequence of float
    """

    def __init__(self, scales, exponents):
        self.scales, self.exponents = tuple(scales), tuple(exponents)
        self.shape, self.dtype = self.scales[0].reference.shape, self.scales[0].dtype

    def of(self, planes):
        """Return the loss of pictures (S, height, width): float64, shape (S,)."""
        planes = self._check(planes)
        return self._loss([scale.of(p).loss for scale, p in self._pyramid(planes)])

    def credit(self, planes):
        """Return the loss, and how much less it were with all that a pixel touches perfect.

        With a single scale, that is the sum of the terms which it touches.
        """
        planes = self._check(planes)
        losses, without = [], []
        for i, (scale, p) in enumerate(self._pyramid(planes)):
            maps = scale.of(p)
            losses.append(maps.loss)
            touched = _enlarge(scale.touched(maps), i, self.shape)
            without.append(maps.loss[:, None, None] - touched)
        loss = self._loss(losses)
        return loss, loss[:, None, None] - self._loss(without)

    def gradient(self, planes):
        """Return the gradient of the loss by the pixels, (S, height, width)."""
        planes = self._check(planes)
        parts = [(scale, p, scale.of(p)) for scale, p in self._pyramid(planes)]
        similarities = [1 - maps.loss for _, _, maps in parts]
        product, total = 1 - self._loss([maps.loss for _, _, maps in parts]), 0
        for i, (scale, p, maps) in enumerate(parts):
            by_scale = self.exponents[i] * product / similarities[i]
            if len(parts) > 1:
                by_scale = np.where(similarities[i] > FLOOR, by_scale, 0)
            by_scale = (by_scale / 4**i).astype(self.dtype)[:, None, None]
            total = total + _enlarge(by_scale * scale.gradient(p, maps), i, self.shape)
        return total

    def local(self, planes, change):
        """Return the loss were each pixel alone changed by so much: float64, as `change`.

        Parameters
        ----------
        planes : numpy.ndarray, shape (S, height, width)
        change : numpy.ndarray, shape (S, n, height, width)
        """
        planes, losses = self._check(planes), []
        change = np.ascontiguousarray(change, self.dtype)
        for i, (scale, p) in enumerate(self._pyramid(planes)):
            maps = scale.of(p)
            within = _split(change, i) / self.dtype(4**i)
            changed = scale.changed(p, maps, np.ascontiguousarray(within))
            changed = changed - scale.touched(maps)[:, None]
            changed = _join(changed, i, change.shape)
            losses.append(changed + maps.loss[:, None, None, None])
        return self._loss(losses)

    def _check(self, planes):
        return _validate.like(planes, (len(planes), *self.shape), self.dtype, "planes")

    def _pyramid(self, planes):
        """Yield scales with the pictures that they see."""
        for i, scale in enumerate(self.scales):
            if i:
                planes = halve(planes)
            yield scale, planes

    def _loss(self, losses):
        """Return 1 less the product of powers of 1 less the losses of the scales."""
        if len(self.scales) == 1:
            return losses[0]
        product = 1.0
        for loss, power in zip(losses, self.exponents, strict=True):
            product = product * np.maximum(1 - loss, FLOOR) ** power
        return 1 - product


def _read_only(planes):
    """Return planes as kernels take them: in one order, and one type of array for all."""
    return _validate.like(planes, planes.shape, planes.dtype, "planes")


def halve(planes):
    """Average pictures (S, height, width) over 2 x 2 boxes; what is left over is left out."""
    height, width = (n // 2 for n in planes.shape[1:])
    boxes = planes[:, : 2 * height, : 2 * width].reshape(len(planes), height, 2, width, 2)
    return boxes.mean(axis=(2, 4), dtype=planes.dtype)


def _enlarge(planes, scale, shape):
    """Give each pixel the number of the one which it is part of at this scale, or 0."""
    side = 2**scale
    if side == 1:
        return planes
    planes = planes.repeat(side, axis=1).repeat(side, axis=2)
    rest = [(0, n - m) for n, m in zip(shape, planes.shape[1:], strict=True)]
    return np.pad(planes, ((0, 0), *rest))


def _split(change, scale):
    """Sort the pixels (S, n, height, width) by their place in a box: (S, n side**2, ...)."""
    s, n, height, width = change.shape
    side = 2**scale
    down, across = height // side, width // side
    boxes = change[..., : down * side, : across * side].reshape(s, n, down, side, across, side)
    return boxes.transpose(0, 1, 3, 5, 2, 4).reshape(s, n * side * side, down, across)


def _join(boxes, scale, shape):
    """Undo `_split`; what was left out is 0."""
    s, n, height, width = shape
    side = 2**scale
    down, across = boxes.shape[2:]
    boxes = boxes.reshape(s, n, side, side, down, across).transpose(0, 1, 4, 2, 5, 3)
    boxes = boxes.reshape(s, n, down * side, across * side)
    return np.pad(boxes, ((0, 0), (0, 0), (0, height - down * side), (0, width - across * side)))
