"""All that strips of a picture have in common: its palette, and what the eye is adapted to."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np

from fastgrad._typing import ArrayLike, ByteArray, FloatArray
from fastgrad.dithering.eye import colour
from fastgrad.dithering.eye.lightness import REACH, Adaptation, adaptation
from fastgrad.dithering.eye.viewing import Viewing
from fastgrad.dithering.given import Given
from fastgrad.dithering.optimiser.loss import BlurredError
from fastgrad.dithering.optimiser.problem import Problem
from fastgrad.dithering.optimiser.solid import Mode
from fastgrad.dithering.optimiser.tones import ToneMap, fit_pairs
from fastgrad.dithering.pace import Pace
from fastgrad.dithering.pictures.inputs import Pixels
from fastgrad.dithering.pictures.sources import Source
from fastgrad.dithering.result import Progress
from fastgrad.dithering.run import Run
from fastgrad.dithering.strips.sample import TILE, Survey, apart, pairs, sample, survey
from fastgrad.random import RNG

__all__ = ["Learned", "learn"]

MOST_SWEEPS = 8  # of the search: later ones move next to nothing, and each needs memory

Pinning: TypeAlias = Literal["none", "exact", "near", "all"]


@dataclass(frozen=True)
class Learned:
    """What every strip of a picture is dithered with.

    Attributes
    ----------
    palette : array of uint8, shape (K, 3)
        The colours in sRGB, without an entry for what is transparent.
    device : array of uint8, shape (K, 3)
        Those that a file gets in their places.
    viewing : Viewing
        The viewing conditions.
    grey : bool
        Whether one channel says it all.
    adapted : Adaptation or None
        What the eye is adapted to, if its sensitivity counts.
    pinning : {"none", "exact", "near", "all"}
        Which pixels are not searched: none; those that have exactly a colour of the palette, or
        nearly; or all of them, which have the nearest colour.
    alpha : {"keep", "key", "blend"}
        What becomes of opacity.
    clear : bool
        Whether there is an entry for what is transparent, which is the last one.
    sweeps : int
        Number of sweeps of the search.
    tones : ToneMap or None
        How the picture is brought into the range of the palette.
    solid : bool or array of uint8, shape (N, 3)
        The colours that stay solid.
    """

    palette: ByteArray
    device: ByteArray
    viewing: Viewing
    grey: bool
    adapted: Adaptation | None
    pinning: Pinning
    alpha: Literal["keep", "key", "blend"]
    clear: bool
    sweeps: int
    tones: ToneMap | None = None
    solid: bool | ByteArray = False

    @property
    def space(self) -> colour.Space:
        """The colour space of the loss."""
        grey = self.grey and self.viewing.space == "opponent"
        return colour.SPACES["linear" if grey else self.viewing.space]

    @property
    def colors(self) -> FloatArray:
        """The palette in the space of the loss, shape (K, channels)."""
        linear = colour.to_linear(self.palette[:, : 1 if self.grey else 3])
        return np.ascontiguousarray(self.space.into(linear), np.float32)

    @property
    def entries(self) -> tuple[ByteArray, ByteArray | None]:
        """The colours, and their opacity: None if all are opaque, else the last one is not."""
        if not self.clear:
            return self.palette, None
        opacity = np.full(len(self.palette) + 1, 255, np.uint8)
        opacity[-1] = 0
        return np.concatenate([self.palette, np.zeros((1, 3), np.uint8)]), opacity

    @property
    def written(self) -> ByteArray | None:
        """The colours that a file gets in the places of `entries`, if they are others."""
        if np.array_equal(self.device, self.palette):
            return None
        return np.concatenate([self.device, self.entries[0][len(self.device) :]])

    def loss(self) -> BlurredError:
        """Return a loss of one pixel, under the same conditions."""
        image = np.zeros((1, 1, self.colors.shape[1]), np.float32)
        return BlurredError(image, **self.viewing.blur)

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` takes: numbers, text and lists."""
        return {
            **asdict(self),
            "palette": self.palette.tolist(),
            "device": self.device.tolist(),
            "adapted": None if self.adapted is None else list(self.adapted),
            "tones": None if self.tones is None else _said(self.tones),
            "solid": self.solid if isinstance(self.solid, bool) else self.solid.tolist(),
        }

    @classmethod
    def from_json(cls, said: dict[str, Any]) -> Learned:
        """Return what `to_json` was called of.

        Raises
        ------
        TypeError, ValueError, KeyError
            If it is something else.
        """
        palette, device = (
            np.array(said[n], np.uint8).reshape(-1, 3) for n in ("palette", "device")
        )
        adapted = None if said["adapted"] is None else Adaptation(*said["adapted"])
        viewing = Viewing(**said["viewing"])
        tones, solid = said["tones"], said["solid"]
        more = {"palette": palette, "device": device, "viewing": viewing, "adapted": adapted}
        more["tones"] = None if tones is None else _heard(tones)
        more["solid"] = solid if isinstance(solid, bool) else np.array(solid, np.uint8)
        return cls(**{**said, **more})


def _said(tones: ToneMap) -> dict[str, Any]:
    """Return a map of tones as JSON has it."""
    table = base64.b64encode(tones.table.astype("<f4").tobytes()).decode()
    curve, chroma = tones.curve.tolist(), tones.chroma.tolist()
    return {"curve": curve, "chroma": chroma, "table": table, "grey": tones.grey}


def _heard(said: dict[str, Any]) -> ToneMap:
    """Return the map that `_said` was called of."""
    table = np.frombuffer(base64.b64decode(said["table"]), "<f4").astype(np.float32)
    nodes = round((table.size / 3) ** (1 / 3))
    curve, chroma = np.array(said["curve"]), np.array(said["chroma"])
    return ToneMap(curve, chroma, table.reshape(nodes, nodes, nodes, 3), bool(said["grey"]))


def learn(
    source: Source,
    *,
    space: colour.SpaceName | None = None,
    local_weights: bool | None = None,
    sigma: float | None = None,
    ppd: float | None = None,
    nu: float | None = None,
    pace: Pace | None = None,
    rng: RNG = 0,
    callback: Callable[[Progress, Callable[[], Learned]], object] | None = None,
    regions: Mapping[Mode, Any] | None = None,
    **given: Any,
) -> Learned:
    """Learn the palette of a picture, and what else its strips have in common, on a sample of it.

    Parameters
    ----------
    source : Source
        The picture.
    space, local_weights, sigma, ppd, nu, rng
        Options of `fastgrad.dither`.
    pace : Pace, optional
        How long to work.
    callback : callable, optional
        Called with the progress of the work on the sample, and with a function that returns what
        has been learned so far.
    regions : mapping of str to array_like of bool, shape (height, width), optional
        Pixels that have a mode of their own, which is checked here.
    **given
        Further options of `fastgrad.dither`: those of `fastgrad.dithering.given.Given`.

    Returns
    -------
    Learned
        What was learned.

    Raises
    ------
    TypeError, ValueError
        If an option is wrong, or degrees of opacity would have to be kept.

    Examples
    --------
    >>> from fastgrad.dithering.pictures.sources import ArraySource
    >>> image = np.zeros((90, 90, 3), np.uint8)
    >>> image[50:] = 255, 0, 0
    >>> learn(ArraySource(image), colors=2).palette.tolist()
    [[0, 0, 0], [255, 0, 0]]
    """
    pace = Pace() if pace is None else pace
    # What is wrong is said before anything is read.
    modes: Any = {
        name: _checked(mask, name, source.shape) for name, mask in (regions or {}).items()
    }
    options = Given(np.zeros((1, 1, 3), np.uint8), **given, regions=modes)
    mode, fit = options.mode, options.fit
    if isinstance(fit, str) and fit != "none":
        assert options.palette is not None
        fit = fit_pairs(pairs(source, mode), options.palette, fit)
    given["fit"] = fit
    found = survey(source, 256, below=128 if mode == "key" else 1)
    picture = Given(_layers(sample(source, found)), **given)
    if mode != "blend" and (picture.soft is not None or (mode == "keep" and found.partial)):
        raise ValueError(
            "alpha must be 'key' with more than 2 colours, or 'blend', for the opacity of a large "
            f"picture, got {mode!r}"
        )
    viewing = Viewing(
        local_weights=local_weights,
        **picture.options(sigma=sigma, ppd=ppd, nu=nu, space=space),
    )
    lock = bool(given.get("lock_colors"))
    palette = picture.palette
    if palette is None and (mode != "blend" or source.opaque):
        palette = _few(found, picture.colors or 16)
    problem = Problem(
        picture.values,
        viewing,
        colors=picture.colors if palette is None or lock else None,
        palette=palette,
        lock_colors=lock,
        weights=picture.weights,
    )
    adapted = _adapted(problem, source) if problem.viewing.local_weights else None
    plain = Learned(
        np.empty((0, 3), np.uint8),
        np.empty((0, 3), np.uint8),
        problem.viewing,
        problem.linear.shape[2] == 1,
        adapted,
        "none",
        mode,
        found.clear is not None and mode != "blend",
        min(pace.plan.whole + pace.plan.sweeps, MOST_SWEEPS),
        fit if isinstance(fit, ToneMap) else None,
        picture.solid,
    )

    def learned(colors: ByteArray) -> Learned:
        first = colors[:0] if picture.swatches is None else picture.swatches.device
        device = np.concatenate([first, colors[len(first) :]])
        pinning = _pinning(problem, palette is not None and not lock)
        return replace(plain, palette=colors, device=device, pinning=pinning)

    if problem.fixed is not None:
        return learned(problem.fixed)

    def watched(progress: Progress) -> None:
        if callback is not None:
            callback(progress, lambda: learned(progress.snapshot().palette))

    run = Run(problem, pace, rng=rng, callback=watched)
    run.start()
    run.anneal()
    run.search()
    return learned(run.result().palette)


def _checked(mask: Any, mode: str, shape: tuple[int, int]) -> bool:
    """Return True for a mask that may be one of a large picture."""
    if mode == "text":
        raise ValueError("regions must not have 'text' in a picture that is dithered in strips")
    if getattr(mask, "dtype", np.asarray(mask).dtype) != np.bool_:
        raise TypeError(f"regions[{mode!r}] must be boolean, got dtype {np.asarray(mask).dtype}")
    if np.ndim(mask) and tuple(mask.shape) != shape:
        raise ValueError(f"regions[{mode!r}] must have shape {shape}, got {tuple(mask.shape)}")
    return True


def _adapted(problem: Problem, source: Source) -> Adaptation:
    """Return what the eye is adapted to that looks at the tiles of a sample, each by itself."""
    tile = min(TILE, source.shape[0]), min(TILE, source.shape[1])
    linear, weights = problem.linear, problem.weights
    weights = np.ones(linear.shape[:2], linear.dtype) if weights is None else weights
    return adaptation(apart(linear, tile, REACH), apart(weights, tile, REACH))


def _layers(pixels: Pixels) -> ArrayLike:
    """Return a picture as one array, with a layer for its opacity."""
    values, alpha = pixels
    if alpha is None:
        return values
    if values.dtype != np.uint8:
        return np.dstack([values, (alpha / 255).astype(values.dtype)])
    return np.dstack([values, alpha])


def _few(found: Survey, colors: int) -> ByteArray | None:
    """Return the colours of a picture as a palette of so many, if they are no more."""
    few = found.few
    if few is None or len(few) > colors:
        return None
    return np.concatenate([few, np.repeat(few[:1], colors - len(few), axis=0)])


def _pinning(problem: Problem, given: bool) -> Pinning:
    """Return which pixels are pinned."""
    if problem.pins is None:
        return "none"
    if given:
        return "exact"
    return "all" if problem.pins.whole else "near"
