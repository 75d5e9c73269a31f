"""Dithering: choose a palette, and one of its colours for each pixel, by optimisation.

`dither` does it all; the folders hold its parts. `eye` models how errors are seen, `metrics`
measures how near a picture is to its original, and `optimiser` brings it nearer; `pictures` has
palettes, presets and animations; `files` plans and does the work on picture files, which is that of
`dither_files` and of the command ``fastgrad dither``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastgrad._lazy import attach

if TYPE_CHECKING:
    from fastgrad.dithering.chosen import choose_colors
    from fastgrad.dithering.dithering import dither
    from fastgrad.dithering.eye.viewing import Viewing
    from fastgrad.dithering.files.batch import DitheredFile, dither_files
    from fastgrad.dithering.optimiser.dot_gain import DotGain
    from fastgrad.dithering.optimiser.loss import BlurredError, Gradient
    from fastgrad.dithering.optimiser.tile_limits import Tiles
    from fastgrad.dithering.optimiser.tones import ToneMap, fit_tones
    from fastgrad.dithering.progress import ProgressBar
    from fastgrad.dithering.result import Dithering, Progress

__all__ = [
    "BlurredError",
    "DitheredFile",
    "Dithering",
    "DotGain",
    "Gradient",
    "Progress",
    "ProgressBar",
    "Tiles",
    "ToneMap",
    "Viewing",
    "choose_colors",
    "dither",
    "dither_files",
    "fit_tones",
]

# Where they stand: imported when they are asked for, for most programs do not dither.
_HOMES = {
    "BlurredError": "optimiser.loss",
    "DitheredFile": "files.batch",
    "Dithering": "result",
    "DotGain": "optimiser.dot_gain",
    "Gradient": "optimiser.loss",
    "Progress": "result",
    "ProgressBar": "progress",
    "Tiles": "optimiser.tile_limits",
    "ToneMap": "optimiser.tones",
    "Viewing": "eye.viewing",
    "choose_colors": "chosen",
    "dither": "dithering",
    "dither_files": "files.batch",
    "fit_tones": "optimiser.tones",
}

__getattr__, __dir__ = attach(__name__, _HOMES, {}, __all__)
