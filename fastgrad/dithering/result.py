"""What dithering returns and reports."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from fastgrad import _validate
from fastgrad._typing import ArrayLike, ByteArray
from fastgrad.dithering.metrics.psnr_and_ssim import decibels
from fastgrad.dithering.optimiser.loss import BlurredError
from fastgrad.dithering.optimiser.spare import uses
from fastgrad.dithering.pictures import transparency
from fastgrad.dithering.pictures.inputs import Colors, colors_of, pixels_of
from fastgrad.dithering.pictures.report import Figures, against_others
from fastgrad.dithering.pictures.transparent_entry import Entries, moved

if TYPE_CHECKING:
    from PIL.Image import Image

    from fastgrad.dithering.pictures.device_files import FormatName

__all__ = ["Dithering", "Progress", "Stage", "metrics"]

Stage: TypeAlias = Literal["palette", "annealing", "search"]


@dataclass(frozen=True)
class Dithering:
    """A dithered picture: the result of `fastgrad.dither`.

    Attributes
    ----------
    indices : array of uint8, shape (height, width)
        The palette index of each pixel.
    palette : array of uint8, shape (K, 3)
        The colours in sRGB, as they are seen.
    loss : tuple of float
        The expected loss after each step of annealing and the loss after each sweep of search, of a
        part of the picture as long as that is enough; and the loss of the picture.
    metrics : dict of str to float
        ``"psnr"``, the peak signal-to-noise ratio in decibels for a peak of 1, in the colour space
        of the loss; ``"blurred_psnr"``, the same after the blur of the loss; ``"colors"``, the
        number of colours in use.
    seconds : float
        Time taken, in seconds.
    device : array of uint8, shape (K, 3), or None
        The colours that a file gets in the places of `palette`, if they are others.
    opacity : array of uint8, shape (K,), or None
        The opacity of each colour, 255 for opaque; None if all are.
    """

    indices: ByteArray
    palette: ByteArray
    loss: tuple[float, ...]
    metrics: dict[str, float]
    seconds: float
    device: ByteArray | None = None
    opacity: ByteArray | None = None

    @property
    def image(self) -> ByteArray:
        """The picture in sRGB, shape (height, width, 3); (height, width, 4) with `opacity`."""
        colours = self.palette
        if self.opacity is not None:
            colours = np.concatenate([colours, self.opacity[:, None]], axis=1)
        return np.take(colours, self.indices, axis=0)  # in a quarter of an index's time

    def to_pil(self) -> Image:
        """Return the picture as an image of Pillow's: the one that `save` writes.

        Returns
        -------
        PIL.Image.Image
            An image of mode "P", with the colours of `device` if there are any, and with the
            opacity of each in ``info["transparency"]``.

        Raises
        ------
        FileError
            If Pillow is not installed.

        Examples
        --------
        >>> import numpy as np
        >>> import fastgrad as fg
        >>> result = fg.dither(np.zeros((4, 6), np.uint8), preset="bw")
        >>> image = result.to_pil()
        >>> image.mode, image.size
        ('P', (6, 4))
        """
        from fastgrad.dithering.pictures import indexed

        return indexed.image(self.indices, self._written, self.opacity)

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        format: FormatName | None = None,
        codes: Sequence[int] | None = None,
        transparent_index: int | None = None,
    ) -> None:
        """Write the picture to a file, all of it or nothing.

        Parameters
        ----------
        path : str or path-like
            The file, replaced if it exists. Its ending says the format: ``.png`` with as few bits
            as the palette needs, ``.gif``, or ``.webp`` without loss.
        format : str, optional
            One of `fastgrad.dithering.pictures.device_files.FORMATS`: what devices take, such as
            "grey4", "bmp", "raw", "planes" or "c", whatever the ending.
        codes : sequence of int, optional
            The driver's numbers of the colours in "raw" and "c", such as those of a preset; by
            default their indices.
        transparent_index : int, optional
            Which entry of the file's palette is to be the transparent one, if there is one.

        Raises
        ------
        ValueError
            If the palette has no such entry.
        FileError
            If the name ends otherwise, the file cannot be written, or Pillow is not installed.
        """
        from fastgrad.dithering.pictures import indexed, output_files  # few results need them

        target = Path(path)
        if format is not None:
            from fastgrad.dithering.pictures import device_files

            name = _validate.named(format, "format", device_files.FORMATS)
            output_files.check_targets([target], endings=(target.suffix.lower(),))
            made = device_files.encode(
                self.indices, self._written, name, codes=codes, stem=target.stem
            )
            output_files.replace(made, target)
            return
        output_files.check_targets([target], endings=indexed.ENDINGS)
        entries = Entries(self.indices, self._written, self.opacity)
        if transparent_index is not None:
            place = _validate.integer(transparent_index, "transparent_index", 0, 255)
            entries = moved(entries, place)
        indices, palette, opacity = entries
        data = indexed.encode([indices], palette, opacity, ending=target.suffix.lower())
        output_files.replace(data, target)

    def compare(
        self, original: object, *, palette: Colors | None = None, ppd: float = 67
    ) -> Figures:
        """Measure how near the picture is to its original, and what other tools make of that.

        These are the figures that ``fastgrad dither --compare`` prints.

        Parameters
        ----------
        original : PIL.Image.Image or array_like
            The picture that was dithered.
        palette : array_like, shape (K, 3), optional
            The palette to which the others are bound, if they are; by default they learn one of as
            many colours.
        ppd : float, optional
            Pixels per degree of the visual field, for S-CIELAB and FLIP.

        Returns
        -------
        Figures
            The figures of each tool, by its name: of Pillow and, where it is installed, imagequant.
            As text it is a table in which the best of each line is marked.

        Raises
        ------
        ValueError
            If the original is of another size.

        Examples
        --------
        >>> import numpy as np
        >>> import fastgrad as fg
        >>> ramp = np.tile(np.arange(64, 192, 2, dtype=np.uint8), (64, 1))
        >>> figures = fg.dither(ramp, colors=4).compare(ramp)
        >>> list(figures)[:2]
        ['fastgrad', 'Pillow']
        >>> mark = "S-CIELAB, mean CIE 1976 difference at 67 pixels per degree, low is good"
        >>> figures["fastgrad"][mark] < figures["Pillow"][mark]
        True
        """
        values, alpha = pixels_of(original)
        if values.shape[:2] != self.indices.shape:
            raise ValueError(
                f"original must have shape {self.indices.shape} or a layer for each channel, "
                f"got {values.shape}"
            )
        if values.ndim == 2:
            values = np.repeat(values[..., None], 3, axis=2)
        shown = self.image
        if self.opacity is not None:
            shown = transparency.on_white(shown[..., :3], shown[..., 3])
        compared = against_others(
            shown,
            transparency.on_white(values, alpha),
            colors=len(self.palette),
            palette=None if palette is None else colors_of(palette),
            ppd=ppd,
            seconds=self.seconds,
        )
        return compared.figures

    @property
    def _written(self) -> ByteArray:
        """The colours that a file gets."""
        return self.palette if self.device is None else self.device


@dataclass(frozen=True)
class Progress:
    """The state of a running `fastgrad.dither`, passed to its callback.

    Attributes
    ----------
    step, steps : int
        Number of steps done, and of steps in all as far as it is known. The first step is a quick
        picture, in the given palette or in the first that is tried out; then come the steps of
        annealing and the sweeps of search, some of which may not be necessary. Of a picture that is
        dithered in strips, ``steps`` is the number of its pixels, and ``step`` that of the pixels
        that are finished, after a few steps of learning.
    loss : float
        The present loss, which in annealing is an expectation.
    snapshot : callable
        ``snapshot()`` returns the `Dithering` that would result if the work ended now.
    stage : {"palette", "annealing", "search"}
        What is being done: palettes are tried out; a distribution for each pixel is annealed; or
        pixels are moved, and the palette is fitted in turns.
    """

    step: int
    steps: int
    loss: float
    snapshot: Callable[[], Dithering] = field(repr=False)
    stage: Stage


def metrics(
    loss: BlurredError,
    indices: ByteArray,
    palette: ArrayLike,
    errors: tuple[float, float] | None = None,
) -> dict[str, float]:
    """Return the `Dithering.metrics` of a picture.

    Parameters
    ----------
    loss : BlurredError
        The loss, which holds the original.
    indices : array of uint8, shape (height, width)
        The palette index of each pixel.
    palette : array_like, shape (K, channels)
        The colours in the space of the loss.
    errors : tuple of float, optional
        What ``loss.errors(indices, palette, counted=True)`` returns, if it is known.

    Returns
    -------
    dict of str to float
        The figures by name.

    Examples
    --------
    >>> from fastgrad.dithering.optimiser.loss import BlurredError
    >>> loss = BlurredError(np.full((8, 8, 1), 0.1))
    >>> round(metrics(loss, np.zeros((8, 8), np.uint8), np.zeros((2, 1)))["psnr"], 6)
    20.0
    """
    whole, plain = errors or loss.errors(indices, palette, counted=True)
    return {
        "psnr": decibels(plain / len(loss.planes)),
        "blurred_psnr": decibels((whole - float(loss.nu) * plain) / len(loss.planes)),
        "colors": int(np.count_nonzero(uses(indices, np.shape(palette)[0]))),
    }
