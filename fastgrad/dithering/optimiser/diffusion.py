"""Pictures by error diffusion: where the search for a better one starts."""

from __future__ import annotations

import numpy as np

from fastgrad._typing import ArrayLike, ByteArray, FloatArray
from fastgrad.dithering.eye.blur import convolve, gaussian
from fastgrad.dithering.optimiser.loss import BlurredError
from fastgrad.dithering.optimiser.search import in_vectors
from fastgrad.kernels.dithering.optimiser import diffusion as kernels

__all__ = ["SPAN", "WIDE", "begin", "diffuse", "diffuse_rows", "limits_of"]

WIDE = 8192  # columns beyond which a picture is worked on in parts
SPAN = 512  # columns of such a picture between which no error passes, as none does between bands
LIMIT = 0.5  # share of a channel's range that an error handed on may have,
WIDE_LIMIT = 8.0  # and where a picture is fitted to few colours: mixtures of them may have that
FEW = 16  # colours
AROUND = 2.0  # pixels over which two pictures are compared


def diffuse(loss: BlurredError, palette: ArrayLike, *, fitted: bool = False) -> ByteArray:
    """Dither by error diffusion, in the space of a loss.

    Rows are scanned in alternating directions. No errors pass from one band of 128 rows to the
    next, so that bands can be worked on at the same time; nor from one span of 512 columns to the
    next, if the picture has more than 8192. `Search` repairs the seams.

    Parameters
    ----------
    loss : BlurredError
        The loss, which holds the image and the weights of its pixels.
    palette : array_like, shape (K, channels)
        The colours in the space of the loss.
    fitted : bool, optional
        Whether the picture has been brought into the palette's range: see `limits_of`.

    Returns
    -------
    array of uint8, shape (height, width)
        Palette indices.

    References
    ----------
    R. W. Floyd and L. Steinberg, "An adaptive algorithm for spatial greyscale", Proceedings of the
    Society for Information Display 17(2), 1976.

    S. Hocevar and G. Niger, "Reinstating Floyd-Steinberg: improved metrics for quality assessment
    of error diffusion algorithms", ICISP 2008: the weights for alternating directions.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgrad.dithering.optimiser.loss import BlurredError
    >>> loss = BlurredError(np.full((30, 40, 1), 0.25))
    >>> round(float(diffuse(loss, [[0.0], [1.0]]).mean()), 2)
    0.25
    """
    palette = np.asarray(palette, loss.dtype)
    indices = np.empty(loss.shape, np.uint8)
    colours = in_vectors(palette), limits_of(palette, fitted=fitted)
    diffuse_rows(indices, loss.planes, loss.weights, colours, loss.shape[1])
    return indices


def diffuse_rows(
    labels: ByteArray,
    planes: FloatArray,
    weights: FloatArray,
    colours: tuple[FloatArray, FloatArray],
    width: int,
) -> None:
    """Dither some rows of a picture by error diffusion, or some columns of them.

    Parameters
    ----------
    labels : array of uint8, shape (rows, columns)
        The array for the palette indices. Its first row is that of a band, and its first column, in
        a picture of more than `WIDE`, that of a span.
    planes : array, shape (channels, rows or more, columns)
        The pixels in the space of the loss.
    weights : array, shape (rows, columns)
        Their weights: those of weight 0 hand no error on.
    colours : tuple of array
        The palette, by `in_vectors`, and its `limits_of`.
    width : int
        Columns of the picture.

    Examples
    --------
    >>> import numpy as np
    >>> labels, palette = np.empty((2, 3), np.uint8), np.float32([[0], [1]])
    >>> grey, ones = np.full((1, 2, 3), 0.5, np.float32), np.ones((2, 3), np.float32)
    >>> diffuse_rows(labels, grey, ones, (in_vectors(palette), limits_of(palette)), 3)
    >>> labels.sum()
    np.uint64(3)
    """
    colored = *colours, (0,) * len(planes)
    if width <= WIDE:
        kernels.diffuse(labels, planes, weights, colored)
        return
    rows, columns = labels.shape
    bands, spans = -(-rows // kernels.BAND), -(-columns // SPAN)

    def stacked(plane: FloatArray) -> FloatArray:
        """Return spans one below the other, as if they were bands, filled up with zeros."""
        whole = np.zeros((bands * kernels.BAND, spans * SPAN), plane.dtype)
        whole[:rows, :columns] = plane
        return whole.reshape(bands, kernels.BAND, spans, SPAN).swapaxes(1, 2).reshape(-1, SPAN)

    layers, weight = np.stack([stacked(plane[:rows]) for plane in planes]), stacked(weights)
    found = np.empty(weight.shape, np.uint8)
    kernels.diffuse(found, layers, weight, colored)
    found = found.reshape(bands, spans, kernels.BAND, SPAN).swapaxes(1, 2)
    labels[:] = found.reshape(bands * kernels.BAND, -1)[:rows, :columns]


def limits_of(palette: FloatArray, *, fitted: bool = False) -> FloatArray:
    """Return the greatest errors that are handed on, for each channel of a palette.

    Errors beyond the limit are mostly those that nothing can make up for. A picture that has been
    fitted to few colours, such as inks, has none of these. But mixtures may have as large ones,
    since inks lie anywhere: cut off, they would leave a cast.
    """
    limit = WIDE_LIMIT if fitted and len(palette) <= FEW else LIMIT
    return palette.dtype.type(limit) * np.ptp(palette, axis=0)


def begin(
    loss: BlurredError,
    palette: ArrayLike,
    *,
    fitted: bool = False,
    previous: ByteArray | None = None,
    gap: ArrayLike = 0.0,
) -> ByteArray:
    """Return the picture to start from: the previous frame where it is still good, else a new one.

    Parameters
    ----------
    loss, palette, fitted
        As in `diffuse`, which makes the new picture.
    previous : array of uint8, shape (height, width), optional
        The previous frame's indices.
    gap : float or array_like, shape (height, width), optional
        Reward for keeping a pixel's previous colour, as a squared distance: a pixel keeps it if the
        mean error around it is larger than in the new picture by no more than that.

    Returns
    -------
    array of uint8, shape (height, width)
        Palette indices.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgrad.dithering.optimiser.loss import BlurredError
    >>> loss, white = BlurredError(np.ones((30, 40, 1))), np.ones((30, 40), np.uint8)
    >>> white[:15] = 0
    >>> begin(loss, [[0.0], [1.0], [1.0]], previous=white)[::29, 0]
    array([1, 1], dtype=uint8)
    """
    fresh = diffuse(loss, palette, fitted=fitted)
    if previous is None:
        return fresh
    kept, new = (_around(loss, indices, palette) for indices in (previous, fresh))
    return np.where(kept <= new + loss.own * np.asarray(gap, loss.dtype), previous, fresh)


def _around(loss, indices, palette):
    """Return the mean share in the loss of the pixels around each."""
    error = loss.error(indices, palette)
    share = (error * loss.field(error)).sum(axis=0, keepdims=True)
    return convolve(share, gaussian(AROUND))[0]
