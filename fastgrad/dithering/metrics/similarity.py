"""Structural similarity of pictures to an original, in one plane, with gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fastgrad import _validate
from fastgrad._typing import ArrayLike, FloatArray
from fastgrad.kernels.dithering.metrics import similarity as kernels

__all__ = ["Maps", "Similarity", "Windows", "halve"]

C1, C2 = 0.01**2, 0.03**2  # for values from 0 to 1
NO_LUMINANCE = 1e20  # in place of C1: the factor of luminance is 1
SIGMA, RADIUS = 1.5, 5  # of a window
FLOOR = 1e-9  # least similarity of a scale: powers of negative ones are not numbers


class Maps(NamedTuple):
    """Maps over the windows of S pictures; the shape of a map is that of `Windows.shape`.

    Attributes
    ----------
    moments : array, shape (S, 3, rows, columns)
        The moments of each window from which its similarity follows.
    terms : array, shape (S, rows, columns)
        The weighted term 1 - similarity of each window.
    loss : array of float64, shape (S,)
        The sums of the terms.
    """

    moments: FloatArray
    terms: FloatArray
    loss: FloatArray


class Windows:
    """All windows of one scale: the loss is the weighted mean of 1 - similarity over them.

    A window is Gaussian and has 11 x 11 pixels; in a smaller picture it is as large as fits.
    Windows that the border cuts are left out.

    Parameters
    ----------
    reference : array, shape (height, width)
        The original, float32 or float64. Everything is computed in this type.
    contrast : bool, optional
        Weigh each window by the original's contrast, as CSSIM does.
    luminance : bool, optional
        Include the factor of luminance in the similarity.

    Attributes
    ----------
    radius : int
        Radius of a window in pixels.
    taps : array, shape (2 radius + 1,)
        The window's weights in one direction.
    c1 : float
        The constant of the factor of luminance.
    fixed : array, shape (3, rows, columns)
        Maps of the original: means, variances plus a constant, and the weights of the windows.
    """

    reference: FloatArray
    dtype: type[np.floating[Any]]
    radius: int
    taps: FloatArray
    c1: np.floating[Any]
    fixed: FloatArray

    def __init__(
        self, reference: FloatArray, *, contrast: bool = False, luminance: bool = True
    ) -> None:
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
    def shape(self) -> tuple[int, int]:
        """Rows and columns of a map, with the margins that the kernels want."""
        height, width = self.reference.shape
        return height + 2 * kernels.MARGIN, width + 2 * kernels.MARGIN + 4

    @property
    def size(self) -> tuple[int, int]:
        """Number of windows down and across."""
        height, width = self.reference.shape
        return height - 2 * self.radius, width - 2 * self.radius

    def moments(
        self, planes: FloatArray, fixed: FloatArray | None = None, c2: float = C2
    ) -> FloatArray:
        """Return the moments, (S, 3, rows, columns), of pictures, (S, height, width)."""
        fixed = self.fixed if fixed is None else fixed
        maps = np.zeros((len(planes), 3, *self.shape), self.dtype)
        maps[:, 2] = 1
        planes = _read_only(planes)
        arguments = self.reference, fixed, self.taps, self.dtype(c2)
        kernels.moments(maps, planes, *arguments)
        return maps

    def of(self, planes: FloatArray) -> Maps:
        """Return the `Maps` of pictures, (S, height, width)."""
        moments = self.moments(planes)
        terms, sums = np.empty(moments[:, 0].shape, self.dtype), np.empty(moments[:, 0, :, 0].shape)
        kernels.terms(terms, sums, moments, self.fixed, self.c1)
        return Maps(moments, terms, sums.sum(axis=1))

    def touched(self, maps: Maps) -> FloatArray:
        """Return for each pixel the sum of the terms it is part of, (S, height, width)."""
        out = np.empty((len(maps.terms), *self.reference.shape), self.dtype)
        kernels.spread(out, maps.terms, np.ones_like(self.taps))
        return out

    def gradient(self, planes: FloatArray, maps: Maps) -> FloatArray:
        """Return the gradient of the loss, (S, height, width); the moments are overwritten."""
        kernels.slopes(maps.moments, self.fixed, self.c1)
        out = np.empty_like(planes)
        arguments = maps.moments, _read_only(planes), self.reference, self.taps
        kernels.gradient(out, *arguments)
        return out

    def changed(self, planes: FloatArray, maps: Maps, change: FloatArray) -> FloatArray:
        """Return `touched` if a pixel alone changes, for n changes: (S, n, height, width)."""
        out = np.empty_like(change)
        pictures = _read_only(change), maps.moments, _read_only(planes), self.reference
        kernels.changed(out, *pictures, self.fixed, self.taps, self.c1)
        return out


class Similarity:
    """The loss 1 - product of powers of mean similarities, one factor for each scale.

    Parameters
    ----------
    scales : sequence of Windows
        The windows of each scale; each is of a picture half as large as the one before.
    exponents : sequence of float
        The exponents of the mean similarities.

    Attributes
    ----------
    shape : tuple of int
        Height and width of the pictures.
    dtype : type
        The scalar type in which is computed.
    """

    scales: tuple[Windows, ...]
    exponents: tuple[float, ...]
    shape: tuple[int, ...]
    dtype: type[np.floating[Any]]

    def __init__(self, scales: Sequence[Windows], exponents: ArrayLike) -> None:
        self.scales, self.exponents = tuple(scales), tuple(np.asarray(exponents, np.float64))
        self.shape, self.dtype = self.scales[0].reference.shape, self.scales[0].dtype

    def of(self, planes: FloatArray) -> FloatArray:
        """Return the loss, float64 of shape (S,), of pictures, (S, height, width)."""
        planes = self._check(planes)
        return self._loss([scale.of(p).loss for scale, p in self._pyramid(planes)])

    def credit(self, planes: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the loss and the credit of each pixel.

        A pixel's credit is how much lower the loss would be if all windows that contain the pixel
        were perfectly similar. With a single scale, that is the sum of their terms.

        Parameters
        ----------
        planes : array, shape (S, height, width)
            The pictures.

        Returns
        -------
        loss : array of float64, shape (S,)
            The loss of each picture.
        credit : array, shape (S, height, width)
            The credit.
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

    def gradient(self, planes: FloatArray) -> FloatArray:
        """Return the gradient of the loss by the pixels, (S, height, width)."""
        planes = self._check(planes)
        parts = [(scale, p, scale.of(p)) for scale, p in self._pyramid(planes)]
        similarities = [1 - maps.loss for _, _, maps in parts]
        product = 1 - self._loss([maps.loss for _, _, maps in parts])
        total = np.zeros_like(planes)
        for i, (scale, p, maps) in enumerate(parts):
            by_scale = self.exponents[i] * product / similarities[i]
            if len(parts) > 1:
                by_scale = np.where(similarities[i] > FLOOR, by_scale, 0)
            by_scale = (by_scale / 4**i).astype(self.dtype)[:, None, None]
            total = total + _enlarge(by_scale * scale.gradient(p, maps), i, self.shape)
        return total

    def local(self, planes: FloatArray, change: FloatArray) -> FloatArray:
        """Return the loss if a single pixel is changed, for each pixel and n changes of it.

        Parameters
        ----------
        planes : array, shape (S, height, width)
            The pictures.
        change : array, shape (S, n, height, width)
            What is added to each pixel.

        Returns
        -------
        array of float64, shape (S, n, height, width)
            The losses.
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
        product = np.ones(1)
        for loss, power in zip(losses, self.exponents, strict=True):
            product = product * np.maximum(1 - loss, FLOOR) ** power
        return 1 - product


def _read_only(planes):
    """Return planes as kernels take them: contiguous and read-only (one compiled signature)."""
    return _validate.like(planes, planes.shape, planes.dtype, "planes")


def halve(planes: FloatArray) -> FloatArray:
    """Average pictures, (S, height, width), over 2 x 2 boxes; an odd last row or column is lost."""
    height, width = (n // 2 for n in planes.shape[1:])
    boxes = planes[:, : 2 * height, : 2 * width].reshape(len(planes), height, 2, width, 2)
    return boxes.mean(axis=(2, 4), dtype=planes.dtype)


def _enlarge(planes, scale, shape):
    """Give each pixel the value of the coarse pixel that it is part of, or 0 if there is none."""
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
