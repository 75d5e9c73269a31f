"""Inks that stay solid: pixels whose index is settled by what they are, and take part in no error.

Text and drawings over photographs want the very ink that was asked for, and no grain. A pixel that
is exactly a colour of the palette, or of its device, is settled at that; so is a pixel of a region
that has another mode than a photograph. Everything else is dithered as if these were not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from fastgrad import _validate
from fastgrad._typing import Array, ArrayLike, ByteArray, FloatArray
from fastgrad.dithering.eye.colour import SPACES, to_linear, to_srgb
from fastgrad.dithering.optimiser.flat import FREE, codes_of
from fastgrad.dithering.optimiser.lettering import pieces, written

__all__ = ["MODES", "Labels", "Mode", "lettered", "settled", "shown"]

Mode: TypeAlias = Literal["photo", "text", "line", "untouched"]
Labels: TypeAlias = "npt.NDArray[np.int16]"
MODES: tuple[Mode, ...] = ("photo", "text", "line", "untouched")

WINDOW = 31  # pixels across, over which paper is told from ink
PAPER = (0.7, 0.5)  # of the way from ink to paper, that which is no ink; and on dark paper
BESIDE = 3  # pixels across: ink that is so near to other ink has its colour
BARRED = -2  # where no text is looked for
CONTRAST = 0.25  # of lightness within a window that holds both


def settled(
    image: Array,
    palette: ByteArray,
    *,
    device: ByteArray | None = None,
    solid: bool | ArrayLike = False,
    regions: Mapping[Mode, ArrayLike] | None = None,
) -> Labels | None:
    """Return the indices that are settled before a picture is dithered.

    Parameters
    ----------
    image : array, shape (height, width, 3) or (height, width)
        sRGB or grey values, uint8 or float in [0, 1].
    palette : array of uint8, shape (K, 3)
        The colours in sRGB, as they are seen.
    device : array of uint8, shape (K, 3), optional
        The colours by which a device calls them.
    solid : bool or array_like of uint8, shape (N, 3), optional
        Which colours of the picture stay solid: all of the palette and the device, where a pixel
        has one beside it that is the same; or those that are listed, each as the entry that is it,
        or else looks most like it.
    regions : mapping of str to array_like of bool, shape (height, width), optional
        The pixels that have a mode of their own; True alone stands for all pixels. Of regions
        that overlap, the last one counts.

        - "photo": dithered, even where it has a colour of the palette;
        - "text": paper and ink, told apart by what is around them (Bernsen's threshold), the paper
          in the colour nearest to its own, and each word in that nearest to its darkest parts;
        - "line": the nearest colour of the palette or the device for each pixel;
        - "untouched": the nearest colour of the device.

    Returns
    -------
    array of int16, shape (height, width), or None
        The index of each settled pixel, -1 elsewhere; None if there is none.

    Raises
    ------
    TypeError, ValueError
        If a mode or a mask is wrong.

    References
    ----------
    J. Bernsen, "Dynamic thresholding of grey-level images", Proceedings of the 8th International
    Conference on Pattern Recognition, 1986.

    Examples
    --------
    >>> image = np.full((2, 4, 3), 200, np.uint8)
    >>> image[:, 2:] = [255, 0, 0]
    >>> settled(image, np.uint8([[0, 0, 0], [255, 0, 0]]), solid=True).tolist()
    [[-1, -1, 1, 1], [-1, -1, 1, 1]]
    """
    rgb = _in_bytes(image)
    device = palette if device is None else device
    labels = np.full(rgb.shape[:2], FREE, np.int16)
    if solid is True:
        labels = _exact(rgb, palette, device)
    elif solid is not False:
        _list(labels, rgb, palette, device, np.asarray(solid, np.uint8))
    for name, given in (regions or {}).items():
        mode = _validate.named(name, "regions", MODES)
        mask = _mask(given, labels.shape, mode)
        if not mask.any():
            continue
        if mode == "photo":
            labels[mask] = FREE
        elif mode == "text":
            labels[mask] = _text(rgb, mask, palette, device)[mask]
        else:
            entries = [device] if mode == "untouched" else [palette, device]
            labels[mask] = _nearest(rgb[mask], entries)
    return labels if (labels != FREE).any() else None


def lettered(
    image: Array,
    labels: Labels | None,
    palette: ByteArray,
    *,
    device: ByteArray | None = None,
    solid: bool | ArrayLike = False,
    regions: Mapping[Mode, ArrayLike] | None = None,
) -> tuple[Labels | None, Array]:
    """Return the indices that are settled with those of small text, and the picture around it.

    Parameters
    ----------
    image, palette, device, solid, regions
        As in `settled`.
    labels : array of int16, shape (height, width), or None
        What that has returned.

    Returns
    -------
    labels : array of int16, shape (height, width), or None
        The same with the strokes of text that is in a colour of ``solid`` and in no region.
    image : array
        The picture without the soft edges of that text: see `lettering.written`.

    Examples
    --------
    >>> labels, _ = lettered(np.zeros((9, 9), np.uint8), None, np.uint8([[0, 0, 0], [9, 9, 9]]))
    >>> labels is None
    True
    """
    if solid is False:
        return labels, image
    rgb = _in_bytes(image)
    device = palette if device is None else device
    wanted = np.concatenate([device, palette]) if solid is True else np.asarray(solid, np.uint8)
    both = np.concatenate([device, palette])
    inks, first = np.unique(codes_of(wanted), return_index=True)
    known = codes_of(both).tolist()
    entries = [
        known.index(code) % len(device)
        if code in known
        else int(_nearest(wanted[i : i + 1], [palette, device])[0])
        for code, i in zip(inks.tolist(), first)
    ]
    found = np.full(rgb.shape[:2], FREE, np.int16) if labels is None else labels
    barred = np.zeros(found.shape, bool)
    for name, given in (regions or {}).items():
        barred |= _mask(given, found.shape, name)
    made, shown = written(rgb, np.where(barred, BARRED, found), wanted[first], np.array(entries))
    made = np.where(barred, found, made).astype(np.int16)
    places = np.flatnonzero(shown != rgb) // 3
    if places.size:
        image = image.copy() if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)
        colors = shown.reshape(-1, 3)[places]
        image.reshape(-1, 3)[places] = colors / (1 if image.dtype == np.uint8 else 255)
    return (made if (made != FREE).any() else None), image


def shown(values: Array, settled: Labels, palette: ByteArray) -> Array:
    """Return a picture with settled pixels as they will be shown.

    Parameters
    ----------
    values : array, shape (height, width, 3) or (height, width)
        sRGB or grey values, uint8 or float in [0, 1].
    settled : array of int16, shape (height, width)
        The indices that are settled, -1 elsewhere.
    palette : array of uint8, shape (K, 3)
        The colours.

    Returns
    -------
    array, shape (height, width, 3) or (height, width)
        The picture, of the same dtype.

    Examples
    --------
    >>> shown(np.uint8([[7, 8]]), np.int16([[-1, 0]]), np.uint8([[9, 9, 9]])).tolist()
    [[7, 9]]
    """
    chosen = settled >= 0
    colors = palette[settled[chosen]]
    grey = values.ndim == 2
    if grey and not (colors == colors[:, :1]).all():
        values, grey = np.repeat(values[..., None], 3, axis=2), False
    made = values.copy()
    made[chosen] = (colors[:, 0] if grey else colors) / (1 if values.dtype == np.uint8 else 255)
    return made


def _in_bytes(image: Array) -> ByteArray:
    """Return a picture as sRGB values of one byte, (height, width, 3)."""
    rgb = image if image.dtype == np.uint8 else np.rint(255 * image).astype(np.uint8)
    return rgb if rgb.ndim == 3 else np.repeat(rgb[..., None], 3, axis=2)


def _mask(given: ArrayLike, shape: tuple[int, ...], mode: str) -> npt.NDArray[np.bool_]:
    """Return the checked mask of a region."""
    mask = np.asarray(given)
    if mask.dtype != np.bool_:
        raise TypeError(f"regions[{mode!r}] must be boolean, got dtype {mask.dtype}")
    if mask.ndim and mask.shape != shape:
        raise ValueError(f"regions[{mode!r}] must have shape {shape}, got {mask.shape}")
    return np.broadcast_to(mask, shape)


def _exact(rgb: ByteArray, palette: ByteArray, device: ByteArray) -> Labels:
    """Label pixels that are a colour of the palette or the device, and not alone in that."""
    codes = codes_of(rgb)
    alike = np.zeros(codes.shape, bool)
    for across in (-1, 0, 1):
        for down in (0, 1):
            if down or across > 0:
                one, other = _shifted(codes.shape, down, across)
                same = codes[one] == codes[other]
                alike[one] |= same
                alike[other] |= same
    # What a device calls red is red, whatever looks like it; of entries alike, the first counts.
    both = np.concatenate([codes_of(device), codes_of(palette)])
    known, first = np.unique(both, return_index=True)
    found = np.flatnonzero(alike)
    asked = codes.reshape(-1)[found]
    place = np.minimum(np.searchsorted(known, asked), len(known) - 1)
    same = known[place] == asked
    labels = np.full(codes.shape, FREE, np.int16)
    labels.reshape(-1)[found[same]] = (first % len(device))[place[same]]
    return labels


def _shifted(shape: tuple[int, ...], down: int, across: int) -> tuple[tuple[slice, ...], ...]:
    """Return the slices of pixels and of those so far from them."""
    height, width = shape
    first = slice(max(0, -across), width - max(0, across))
    other = slice(max(0, across), width + min(0, across))
    return (slice(0, height - down), first), (slice(down, height), other)


def _list(labels, rgb, palette, device, wanted):
    """Label pixels of listed colours."""
    codes, asked = codes_of(rgb), codes_of(wanted)
    for code, color in zip(asked, wanted):
        entry = int(_nearest(color[None], [palette, device])[0])
        for entries in (palette, device):
            same = np.flatnonzero(codes_of(entries) == code)
            entry = int(same[0]) if len(same) else entry
        labels[codes == code] = entry


def _nearest(rgb: ByteArray, entries: list[ByteArray], barred: int | None = None) -> Array:
    """Return the index of the entry nearest to each colour, (N, 3), in Oklab."""
    found, places = np.unique(codes_of(rgb), return_inverse=True)
    whole = np.stack([found >> 16, found >> 8, found], axis=1).astype(np.uint8)
    lab = [SPACES["oklab"].into(to_linear(e)) for e in (whole, *entries)]
    best = np.empty(len(found), np.int64)
    for first in range(0, len(found), 4096):
        part = slice(first, first + 4096)
        distance = np.min(
            [np.square(lab[0][part, None] - other).sum(axis=-1) for other in lab[1:]], axis=0
        )
        if barred is not None:
            distance[:, barred] = np.inf
        best[part] = distance.argmin(axis=1)
    return best[places.reshape(-1)].astype(np.int16)


def _text(rgb: ByteArray, mask: Array, palette: ByteArray, device: ByteArray) -> Labels:
    """Label the pixels of a region of text: its paper, and each word of its ink."""
    from scipy import ndimage

    entries = [palette, device]
    labels = np.full(mask.shape, FREE, np.int16)
    light = SPACES["oklab"].into(to_linear(rgb))[..., 0].astype(np.float64)
    areas, count = pieces(mask)
    for area, place in enumerate(ndimage.find_objects(areas, count), 1):
        inside, own = areas[place] == area, rgb[place]
        height = light[place]
        middle = (np.quantile(height[inside], 0.02) + np.quantile(height[inside], 0.98)) / 2
        dark = np.median(height[inside]) < middle  # light text on dark paper
        height = 1 - height if dark else height
        ink = inside & (height < _threshold(height, inside, PAPER[int(dark)]))
        paper = np.median(own[inside & ~ink], axis=0).astype(np.uint8)
        index = int(_nearest(paper[None], entries)[0])
        found = np.where(inside, np.int16(index), np.int16(FREE))
        words, many = pieces(_widened(ink))
        words = np.where(ink, words, 0)
        if many and len(palette) > 1:
            colors = _words(own, words, many, 1 - height)
            found[ink] = _nearest(colors, entries, index)[words[ink] - 1]
        labels[place] = np.where(inside, found, labels[place])
    return labels


def _widened(mask: Array) -> Array:
    """Return a mask with what is near to it."""
    from scipy import ndimage

    return ndimage.binary_dilation(mask, np.ones((BESIDE, BESIDE)))


def _threshold(light: FloatArray, inside: Array, share: float) -> FloatArray:
    """Return Bernsen's threshold at each pixel: a share of the way between the extremes around it.

    Where there is no contrast, which is on paper alone and amid large letters, it is that of the
    nearest place with any; and if there is none anywhere, all is paper.
    """
    from scipy import ndimage

    high = ndimage.maximum_filter(np.where(inside, light, -np.inf), WINDOW, mode="nearest")
    low = ndimage.minimum_filter(np.where(inside, light, np.inf), WINDOW, mode="nearest")
    flat = high - low < CONTRAST
    if flat.all():
        return np.full(light.shape, -np.inf)
    near: Any = ndimage.distance_transform_edt(flat, return_distances=False, return_indices=True)
    return (low + share * (high - low))[tuple(near)]


def _words(rgb: ByteArray, words: Array, many: int, contrast: FloatArray) -> ByteArray:
    """Return the colour of each word, (N, 3), to which its darkest parts give most."""
    ink = words > 0
    which = words[ink] - 1
    weight = np.maximum(contrast[ink], 1e-3) ** 8
    linear = to_linear(rgb[ink]).astype(np.float64)
    sums = np.stack([np.bincount(which, weight * linear[:, i], many) for i in range(3)], axis=1)
    mean = sums / np.bincount(which, weight, many)[:, None]
    return to_srgb(mean)
