"""The function `fastgrad.dither`: the story of a picture, whose stages are told elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fastgrad import _validate
from fastgrad._typing import ArrayLike, ByteArray
from fastgrad.dithering import together
from fastgrad.dithering.chosen import swatches_for
from fastgrad.dithering.criterion import Criterion
from fastgrad.dithering.eye.colour import SpaceName
from fastgrad.dithering.eye.viewing import Viewing
from fastgrad.dithering.given import Given
from fastgrad.dithering.optimiser.patterns import PATTERNS, PatternName
from fastgrad.dithering.optimiser.problem import Problem
from fastgrad.dithering.optimiser.solid import Mode as Region
from fastgrad.dithering.optimiser.tile_limits import Tiles
from fastgrad.dithering.optimiser.tones import Fit, ToneMap
from fastgrad.dithering.pace import Pace
from fastgrad.dithering.pictures.consoles import Console
from fastgrad.dithering.pictures.dot_gains import Gain, dot_gain_for
from fastgrad.dithering.pictures.inputs import Colors
from fastgrad.dithering.pictures.presets import Preset
from fastgrad.dithering.pictures.transparency import Mode
from fastgrad.dithering.pictures.transparent_entry import key_of
from fastgrad.dithering.progress import shown
from fastgrad.dithering.result import Dithering, Progress
from fastgrad.dithering.soft_edges import dither_soft
from fastgrad.dithering.strips.strips import dither_strips, source_of
from fastgrad.dithering.thrift import Thrift, rated, thrifty
from fastgrad.dithering.thrifty_run import ThriftyRun
from fastgrad.dithering.tiled import dither_console
from fastgrad.random import RNG

if TYPE_CHECKING:
    from PIL.Image import Image

    from fastgrad.estimators import Estimator, EstimatorName
    from fastgrad.objectives import Objective

__all__ = ["dither"]

QUICK = 10  # speed of runs that tell what others will be like


def dither(
    image: ArrayLike | Image,
    *,
    colors: int | None = None,
    palette: Colors | None = None,
    preset: str | Preset | None = None,
    lock_colors: bool = False,
    choose: int | None = None,
    tiles: Tiles | Console | None = None,
    pattern: PatternName | None = None,
    dot_gain: Gain | None = None,
    alpha: Mode | str | None = None,
    hidden: bool = False,
    fit: Fit | ToneMap | None = None,
    solid: bool | Colors | None = None,
    regions: Mapping[Region, ArrayLike] | None = None,
    space: SpaceName | None = None,
    sigma: float | None = None,
    ppd: float | None = None,
    nu: float | None = None,
    weights: ArrayLike | None = None,
    local_weights: bool | None = None,
    previous: Dithering | ArrayLike | None = None,
    flicker: ArrayLike = 0.1,
    structure: float = 0.0,
    objective: Objective | Callable[[ByteArray], Objective] | None = None,
    estimator: EstimatorName | Estimator | None = None,
    speed: int | None = None,
    time_budget: float | None = None,
    rate: float | None = None,
    max_bytes: int | None = None,
    quality: float | None = None,
    ending: str = ".png",
    rng: RNG = 0,
    callback: Callable[[Progress], object] | None = None,
    progress: bool = False,
) -> Dithering:
    """Dither a picture: choose the colours of a palette, and one of them for each pixel.

    The loss is the squared error of luminance and, with less weight, of two colour differences,
    after the blur of the viewer's eye; plus ``nu`` times the squared error without blur. It is
    measured in linear light, and dark places weigh more, since the eye sees errors better there.
    First the palette is learned while one categorical distribution per pixel is annealed by the
    gradient of the expected loss; of a large picture, a part is enough for that. Then error
    diffusion gives every pixel a colour, an exact search and least-squares fits of the palette
    lower the loss in turns, and the search ends in the rounded palette. The same arguments give the
    same picture, for any number of threads.

    An array of more than 33,554,432 pixels is dithered in strips: its palette and all that concerns
    the whole of it are learned on a sample, and beside the result, a byte for each pixel, little
    more than a thousand rows are in memory. There it may be anything that is sliced like an array,
    such as a memory map, or an array of Zarr's or Dask's. With ``previous``, ``structure``,
    ``choose``, ``pattern``, ``dot_gain``, ``rate``, ``max_bytes``, ``quality``, a ``time_budget``,
    a text region, a colour as ``alpha``, or opacity kept in a given palette or with ``weights``,
    it is done in memory.

    Parameters
    ----------
    image : array_like or PIL.Image.Image
        sRGB or grey values of shape (height, width, 3) or (height, width), or with a layer of
        opacity more, (height, width, 4) or (height, width, 2): floats in [0, 1], uint16 up to
        65535, booleans, or other integers up to 255. Or an image of Pillow's of any mode but "F":
        it is turned upright, and converted to sRGB from the colour space of its profile.
    colors : int, optional
        Number K of colours in a learned palette, 2 to 256; by default 16.
    palette : array_like, shape (K, 3), or sequence of str, or path-like, optional
        A fixed palette in sRGB, which excludes ``colors``: integers from 0 to 255, text like
        ``"#rrggbb"``, or the `pathlib.Path` of a palette's file, see `fastgrad.palettes`. By
        default the palette is learned.
    preset : str or Preset, optional
        The name of one of `fastgrad.presets.PRESETS`, or what `fastgrad.presets.measured` makes of
        a panel of one's own: its colours are the palette, and its options are the defaults here.
        `Dithering.save` then writes the colours of the device.
    lock_colors : bool, optional
        Keep the colours of ``palette`` or ``preset`` and learn others after them, up to ``colors``
        in all.
    choose : int, optional
        Take so many colours of ``palette`` or ``preset``, 2 or more, those in which the picture
        dithers best: see `fastgrad.dithering.choose_colors`. They keep their order.
    tiles : Tiles or {"nes", "snes", "gbc", "mega-drive", "sms"}, optional
        The limits of a console: each tile of the picture has one of a few palettes, which are
        learned together with the palettes of the tiles and the dither. Entry m of palette p has the
        index ``p * tiles.colors + m``. Without ``space``, three ways to measure errors are tried,
        and the best picture by SSIMULACRA2 is taken. Opacity is laid on white, and options of the
        palette, solid colours, other frames, other objectives and the file's size are left out.
    pattern : {"ordered", "blue-noise"}, optional
        Give each pixel its colour by a threshold for its place, instead of a search: a matrix of
        Bayer's, or blue noise. There is more grain, but frames of an animation differ only where
        the picture does, so that ``previous`` has no say.
    dot_gain : float, DotGain or path-like, optional
        By how much the dots of a printer are larger than pixels: how many percent of the whole are
        seen covered, beyond the half, where every second pixel has a dot, 0 to 50. Or any response
        of a pixel to the nine dots around it, or its file of JSON: see
        `fastgrad.dithering.DotGain`. The picture is such that what is seen of it is right. It needs
        a palette of two colours, and a space of light: "opponent", "linear" or "yycxcz".
    alpha : {"keep", "key", "blend"} or str, optional
        What becomes of opacity: it stays as far as the palette has room, turns into all or
        nothing, or the picture is laid on white. By default "keep", and "blend" with a preset.
        Where nothing is given of the palette, its colours are learned together with their opacity,
        of premultiplied sRGB values; a transparent entry is one of ``colors``. Or a colour such as
        ``"#ff00ff"``, that of transparent pixels alone: one of a given palette, else the first.
    hidden : bool, optional
        Keep the colours of transparent pixels, which are lost by default: one in eight of the
        entries, at most, is for them.
    fit : {"all", "tone", "gamut", "clip", "none"} or ToneMap, optional
        How the picture is brought into the range of a fixed palette, whose black may be a grey and
        whose colours may be pale: by a curve of lightness, by scales of chroma, or by both, which
        are fitted to the picture, see `fastgrad.dithering.fit_tones`; with "clip", what is beyond
        the palette's reach goes to the colour there that looks most like it; with "none" the
        picture stays as it is. By default "all" for panels, "clip" for greys, else "none".
    solid : bool, sequence of str, or array_like of integers, shape (N, 3), optional
        Colours of the picture that become one entry of a fixed palette without any grain, and hand
        no error on: True for those of the palette and of the device, where a pixel has another one
        like it beside it; or a list. Small text in them loses its soft edges, except in strips. By
        default True for presets, else False.
    regions : mapping of str to array_like of bool, shape (height, width), optional
        Pixels that have a mode of their own, with a fixed palette: "text" is paper and ink, "line"
        and "untouched" have the nearest colour of the palette or the device, and "photo" is
        dithered. True alone stands for all pixels: so is a scan made black and white by
        ``regions={"text": True}``. See `fastgrad.dithering.optimiser.solid.settled`.
    space : {"opponent", "linear", "srgb", "oklab", "screen", "yycxcz"}, optional
        Colour space in which errors are measured and blurred: luminance and two differences of
        linear light with half its weight, linear light itself, sRGB values, Oklab, the same with
        the light of a room over it, or the slopes of CIE L*a*b* at white. By default "opponent",
        the preset's, "screen" for what is drawn, or "oklab" for what is smooth.
    sigma : float, optional
        Standard deviation of the eye's Gaussian blur in pixels, 0 to 8; by default 1.
    ppd : float, optional
        Pixels per degree of the visual field, 1 to 200, which excludes ``sigma``. The blur is then
        Nasanen's model of the eye at this distance instead of a Gaussian.
    nu : float, optional
        Weight of the squared error without blur, 0 to 1e9. More of it gives less grain, and tones
        that are less true. By default 0.05, 0.055 where all of a palette is learned, 0.8 of
        drawings in 16 colours or more, 0.35 where colours are dense; and less for fewer of them.
    weights : array_like, shape (height, width), optional
        Weights of the pixels' errors, 0 to 1e6, or a boolean mask. Pixels of weight 0 do not count
        and get an arbitrary index; others weigh at least a thousandth of the largest weight.
    local_weights : bool, optional
        Multiply errors by the eye's local sensitivity to light, see
        `fastgrad.dithering.eye.lightness.sensitivity`. By default True in the linear spaces,
        "opponent", "linear" and "yycxcz".
    previous : Dithering or array_like of uint8, shape (height, width), optional
        The previous frame, or its indices, with the same palette.
    flicker : float or array_like, shape (height, width), optional
        Reward for keeping the previous frame's colour, as a fraction of the mean squared distance
        between neighbouring palette colours: the same for all pixels, or one for each, such as 0
        where the picture moves. There is none where a fixed palette has exactly the picture's
        colour, and the previous frame has another.
    structure : float, optional
        Weight of ``objective``. Where it is above 0, a second annealing and descent lower the sum
        of the loss and the weighted objective, and keep the palette. Useful are 0.01 to 0.1 for
        colour pictures, up to 0.3 for two colours.
    objective : Objective or callable, optional
        What is lowered beside the loss: an objective over the pixels' palette indices, or a
        function that takes the palette, uint8 of shape (K, 3), and returns one. By default 1 -
        CSSIM, see `fastgrad.dithering.metrics.structure.cssim`. It requires ``structure``.
    estimator : str or Estimator, optional
        Estimator of the objective's expected gradient, see
        `fastgrad.dithering.optimiser.refinement.refine`. It requires ``structure``.
    speed : int, optional
        From 1, slow and good, to 10, fast; by default 4.
    time_budget : float, optional
        Seconds to work, which excludes ``speed``: how much is done then depends on the speed of the
        machine, and so does the result. What one picture leaves goes to another, and the better is
        kept; with a given palette, or flat fields, a run ends when hardly a pixel moves any more.
    rate : float, optional
        Weight of the file's size, 0 to 1000: a further search lowers the loss plus ``rate`` times
        the bits per pixel that the indices take, see
        `fastgrad.dithering.optimiser.rate.RowModel`. Useful are 0.00001 to 0.001, which saves a
        tenth to a half of the bytes of most photographs; an eighth of that for a GIF of over 32
        colours with ``nu`` from 0.2 on, see `optimiser.lzw.StringSearch`. Entries of a learned
        palette that do not pay for their place go, and the others are sorted by luminance.
    max_bytes : int, optional
        Bytes that the picture's file may have, which excludes ``rate``: the least rate is searched
        at which the file is small enough, and more than 98 % of it, if the picture needs as much.
        Without ``colors`` and a palette, their number, ``nu`` and ``space`` are chosen too.
    quality : float, optional
        The score by SSIMULACRA2 that the picture must have at least, 0 to 100, which excludes
        ``rate`` and ``max_bytes``: 90 is hardly visible, 70 high, 50 medium. It is to have a small
        file; what is not given is chosen as for ``max_bytes``. ``nu`` is also chosen where
        ``colors`` are given. See `fastgrad.dithering.metrics.ssimulacra2.Ssimulacra2`.
    ending : {".png", ".gif", ".webp"}, optional
        What ``Dithering.save`` is to write when there is a rate, a size or a quality.
    rng : int, Key, SeedSequence or Generator, optional
        Source of randomness.
    callback : callable, optional
        Called with a `Progress` as soon as there is a first, quick picture, and after each step.
    progress : bool, optional
        Show a bar of tqdm's, a `fastgrad.dithering.ProgressBar`.

    Returns
    -------
    Dithering
        The picture, its palette, the history of the loss, and the time taken. With a rate, a size
        or a quality, ``metrics["bytes"]`` is that of the file, without what a program adds to it;
        with a quality, ``metrics["ssimulacra2"]`` is the score.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type, shape or range, or excludes another one; or if no picture
        has so few bytes, or such a quality.
    ImportError
        If a bar is asked for, and tqdm is not installed.

    References
    ----------
    J. Puzicha, M. Held, J. Ketterer, J. M. Buhmann and D. W. Fellner, "On spatial quantization of
    color images", IEEE Transactions on Image Processing 9(4), 2000.

    M. Analoui and J. P. Allebach, "Model-based halftoning using direct binary search", Proc. SPIE
    1666, 1992.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgrad.dithering import dither
    >>> ramp = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (16, 1))
    >>> result = dither(ramp, colors=2)
    >>> result.image.shape
    (16, 64, 3)
    >>> bool(result.indices[:, :8].mean() == result.indices[:, -8:].mean())
    False
    """
    pace = Pace(speed, time_budget)
    criterion = Criterion(structure, objective, estimator)
    thrift = Thrift(rate, max_bytes, quality, ending)
    thrift.alone(structure=structure, time_budget=time_budget)
    eye: dict[str, Any] = {"space": space, "sigma": sigma, "ppd": ppd, "nu": nu}
    asked: dict[str, Any] = {"colors": colors, "palette": palette, "preset": preset, "fit": fit}
    asked |= {"lock_colors": lock_colors, "choose": choose, "tiles": tiles, "pattern": pattern}
    asked |= {"dot_gain": dot_gain, "alpha": alpha, "hidden": hidden, "solid": solid}
    asked |= {"regions": regions, "previous": previous, "structure": structure, "rate": rate}
    together.check(asked | {"max_bytes": max_bytes, "quality": quality, "space": space})
    if tiles is not None:
        eye |= {"weights": weights, "local_weights": local_weights}
        with shown(progress, callback) as call:
            return dither_console(image, tiles, **eye, pace=pace, rng=rng, callback=call)
    if pattern is not None:
        pattern = _validate.named(pattern, "pattern", PATTERNS)
        alpha = "key" if alpha is None and preset is None else alpha
    gain = dot_gain_for(dot_gain, palette, preset)
    chosen, key = None, key_of(alpha)[1]
    if choose is not None:
        how = {"weights": weights, "local_weights": local_weights, "rng": rng}
        alpha = "blend" if alpha is None and preset is not None else alpha
        chosen = swatches_for(image, choose, palette, preset, **eye, **how)
    same: dict[str, Any] = {"colors": colors, "lock_colors": lock_colors, "alpha": alpha}
    same |= {"fit": fit, "solid": solid, "regions": regions, "hidden": hidden, "weights": weights}
    text = "text" in (regions or {}) or None  # which sees whole words
    whole = [criterion.structure or None, previous, time_budget, text, choose, pattern, gain, key]
    whole_only = bool(thrift.asked) or any(option is not None for option in whole)
    source = source_of(image, whole=whole_only)
    mode = alpha or ("keep" if preset is None else "blend")
    given_too = any(option is not None for option in (palette, preset, weights))
    kept = mode == "keep" and given_too  # degrees of opacity that no palette is learned with
    if source is not None and (source.opaque or not kept):
        with shown(progress, callback) as call:
            same |= {"local_weights": local_weights, "pace": pace, "rng": rng, "callback": call}
            return dither_strips(source, palette=palette, preset=preset, **same, **eye)
    same |= {"palette": palette, "preset": preset} if chosen is None else {"palette": chosen}
    given = Given(image, previous=previous, structure=structure, **same)
    viewing = Viewing(local_weights=local_weights, **given.options(**eye))
    with shown(progress, None if callback is None else given.watched(callback)) as call:
        soft = given.soft
        if soft is not None:

            def softened(rate: float) -> Dithering:
                how = {"viewing": viewing, "pace": pace, "rng": rng, "callback": call}
                result = dither_soft(given.values, soft, given.entries, rate=rate, **how)
                return given.dressed(result)

            return rated(thrift, softened, given.values, soft)

        def searched(count: int | None, *, quick: bool = False, **own: Any) -> ThriftyRun:
            problem = Problem(
                given.values,
                palette=own.pop("palette", given.palette),
                viewing=replace(viewing, **own),
                colors=count,
                lock_colors=lock_colors,
                weights=given.weights,
                previous=given.previous,
                settled=given.settled,
                fitted=given.fit != "none",
                dot_gain=gain,
            )
            how = {"flicker": flicker, "rng": rng, "callback": call}
            run = ThriftyRun(problem, Pace(QUICK) if quick else pace, **how)
            run.ending = thrift.ending
            run.all(pattern)
            return run

        if thrift.asked:
            return thrifty(thrift, given, searched, nu=nu, space=space)
        run = searched(given.colors)
        if criterion.structure:
            run.refine(criterion)
        return given.dressed(run.result())
