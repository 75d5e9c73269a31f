"""Colour profiles: built from primaries and curves, compared by what they do, and applied.

A picture's colours are described in several ways: an ICC profile, a gamma, primaries, or code
points of ITU-T H.273. Each becomes an ICC profile here, which LittleCMS applies. ImageCms, the part
of Pillow that calls it, is imported only inside functions.
"""

from __future__ import annotations

import functools
import io
import struct
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastgrad._typing import Array, ArrayLike

__all__ = ["build", "colorants", "from_code_points", "from_gamma", "to_srgb"]

D50 = (0.9642, 1.0, 0.8249)  # the white of every profile
D65, ILLUMINANT_C = (0.3127, 0.3290), (0.310, 0.316)
BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
SRGB = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)  # (ax + b)^g, or cx below d
REC709 = (1 / 0.45, 1 / 1.099, 0.099 / 1.099, 1 / 4.5, 0.081)
SAME = 2  # steps of 8 bits: profiles that differ by no more from sRGB are meant to be sRGB
USUAL_GAMMA = (0.4535, 0.4555)  # with which files say that they are sRGB: 0.45455
# LittleCMS's flag NOOPTIMIZE. Without it some transforms are sampled coarsely: greys near black are
# off by 9 of 255, and Lab by as much near the surface of sRGB.
EXACTLY = 0x0100
WHITE_LUMINANCE = 203.0  # cd/m2 of a white page in a picture of high dynamic range (ITU-R BT.2408)

# Code points of ITU-T H.273: white, red, green, blue; and curves.
PRIMARIES = {
    1: (D65, (0.64, 0.33), (0.30, 0.60), (0.15, 0.06)),
    4: (ILLUMINANT_C, (0.67, 0.33), (0.21, 0.71), (0.14, 0.08)),
    5: (D65, (0.64, 0.33), (0.29, 0.60), (0.15, 0.06)),
    6: (D65, (0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),
    7: (D65, (0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),
    8: (ILLUMINANT_C, (0.681, 0.319), (0.243, 0.692), (0.145, 0.049)),
    9: (D65, (0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    11: ((0.314, 0.351), (0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
    12: (D65, (0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
    22: (D65, (0.630, 0.340), (0.295, 0.605), (0.155, 0.077)),
}
CURVES: dict[int, tuple[float, ...]] = {
    **dict.fromkeys((1, 6, 11, 14, 15), REC709),
    4: (2.2,),
    5: (2.8,),
    7: (1 / 0.45, 1 / 1.1115, 0.1115 / 1.1115, 1 / 4, 0.0912),
    8: (1.0,),
    13: SRGB,
}


def from_gamma(
    gamma: float | None, chromaticities: Sequence[float] | None, *, grey: bool = False
) -> bytes:
    """Describe values by the gamma and the chromaticities that a PNG states.

    Parameters
    ----------
    gamma : float or None
        The exponent with which light was encoded. By default sRGB's own curve, for which 0.45455
        stands too where the chromaticities are those of sRGB: so the PNG specification asks
        writers to describe sRGB to readers that know nothing else.
    chromaticities : sequence of 8 floats, or None
        x and y of white, red, green and blue in CIE 1931. By default those of sRGB.
    grey : bool, optional
        Whether the picture is grey: it then has no primaries.

    Returns
    -------
    bytes
        An ICC profile; empty if the numbers describe no colours.
    """
    points = PRIMARIES[1]
    if chromaticities is not None:
        points = tuple(zip(chromaticities[::2], chromaticities[1::2], strict=True))
    usual = grey or np.allclose(points, PRIMARIES[1], rtol=0, atol=0.002)
    if gamma is None or (usual and USUAL_GAMMA[0] <= gamma <= USUAL_GAMMA[1]):
        curve = SRGB
    elif 0.01 <= gamma <= 100:
        curve = (1 / gamma,)
    else:
        return b""
    return build(curve, None if grey else points)


def from_code_points(
    primaries: int, transfer: int, full_range: bool = True, *, grey: bool = False
) -> bytes:
    """Describe values by code points of ITU-T H.273, as the cICP chunk of a PNG does.

    Parameters
    ----------
    primaries : int
        The code point of the primaries, 1 for those of sRGB, 9 of BT.2020 and 12 of P3.
    transfer : int
        The code point of the curve: 8 is linear, 13 sRGB, 16 PQ and 18 HLG. With the last two,
        white is the white of a page, 203 cd/m2, and what is brighter is cut off.
    full_range : bool, optional
        Whether black is 0 and white 255, and not 16 and 235.
    grey : bool, optional
        Whether the picture is grey.

    Returns
    -------
    bytes
        An ICC profile; empty if a code point is unknown.
    """
    signal = np.linspace(0, 1, 4096)
    if not full_range:
        signal = np.clip((255 * signal - 16) / 219, 0, 1)
    curve: Sequence[float] | Array
    if transfer in CURVES:
        curve = CURVES[transfer]
        if not full_range:
            curve = _evaluate(curve, signal)
    elif transfer == 16:
        root = signal ** (32 / 2523)
        light = np.maximum(root - 3424 / 4096, 0) / (2413 / 128 - 2392 / 128 * root)
        curve = 10000 / WHITE_LUMINANCE * light ** (16384 / 2610)
    elif transfer == 17:
        curve = np.minimum(52.37 / 48 * signal**2.6, 1)
    elif transfer == 18:
        bright = (np.exp((signal - 0.55991073) / 0.17883277) + 0.28466892) / 12
        light = np.where(signal <= 0.5, signal**2 / 3, bright)
        curve = 1000 / WHITE_LUMINANCE * light**1.2
    else:
        return b""
    if primaries not in PRIMARIES:
        return b""
    return build(curve, None if grey else PRIMARIES[primaries])


def build(
    curve: Sequence[float] | Array, chromaticities: Sequence[Sequence[float]] | None = None
) -> bytes:
    """Build an ICC profile of a curve and primaries.

    Parameters
    ----------
    curve : sequence of float, or array
        The curve from values to light: an exponent ``(g,)``; ``(g, a, b, c, d)`` for
        ``(a x + b)^g``, and ``c x`` where x is below d; or an array of its values at evenly
        spaced places from 0 to 1, which are cut off there.
    chromaticities : sequence of (x, y), optional
        Those of white, red, green and blue in CIE 1931. Without them the profile is of greys.

    Returns
    -------
    bytes
        The profile, of version 4; empty if the chromaticities enclose no colours.
    """
    if isinstance(curve, np.ndarray):
        table = np.rint(65535 * np.clip(curve, 0, 1)).astype(">u2")
        body = b"curv\0\0\0\0" + struct.pack(">I", len(table)) + table.tobytes()
    else:
        form = 0 if len(curve) == 1 else 3
        body = b"para\0\0\0\0" + struct.pack(">HH", form, 0) + b"".join(map(_fixed, curve))
    tags = {b"wtpt": _xyz(D50)}
    if chromaticities is None:
        tags[b"kTRC"] = body
    else:
        columns = colorants(chromaticities)
        if columns is None:
            return b""
        tags |= {b"%cXYZ" % name: _xyz(column) for name, column in zip(b"rgb", columns.T)}
        tags |= {b"%cTRC" % name: body for name in b"rgb"}
    offset, table, bodies = 132 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        table += name + struct.pack(">II", offset + len(bodies), len(data))
        bodies += data + bytes(-len(data) % 4)
    space = b"GRAY" if chromaticities is None else b"RGB "
    head = struct.pack(">I", offset + len(bodies)) + bytes(4) + b"\x04\x30\0\0mntr" + space
    head += b"XYZ " + struct.pack(">6H", 2000, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    return (head + b"".join(map(_fixed, D50))).ljust(128, b"\0") + table + bodies


def colorants(chromaticities: ArrayLike) -> Array | None:
    """Return the colours of primaries under the white of profiles.

    Parameters
    ----------
    chromaticities : array_like, shape (4, 2)
        x and y of white, red, green and blue in CIE 1931.

    Returns
    -------
    array, shape (3, 3), or None
        XYZ of the primaries as columns, adapted to D50 by Bradford's transform; None if they
        enclose no colours.
    """
    x, y = np.asarray(chromaticities, float).T
    if not np.all(np.isfinite(x)) or np.min(y) <= 0:
        return None
    white, *primaries = (np.array([x, y, 1 - x - y]) / y).T
    columns = np.transpose(primaries)
    if not 1e-6 < abs(np.linalg.det(columns)) < 1e9:
        return None
    columns = columns * np.linalg.solve(columns, white)
    gain = (BRADFORD @ np.array(D50)) / (BRADFORD @ white)
    adapted = np.linalg.solve(BRADFORD, gain[:, None] * (BRADFORD @ columns))
    return adapted if np.abs(adapted).max() < 32000 else None


def to_srgb(image: Any, profile: bytes) -> Any:
    """Convert the colours of an image to sRGB.

    Parameters
    ----------
    image : PIL.Image.Image
        An image of mode L, I;16, RGB, CMYK or LAB.
    profile : bytes
        The ICC profile of its values. It is not applied if it is empty, broken, for another number
        of channels, or does the same as that of sRGB, whatever its name is.

    Returns
    -------
    PIL.Image.Image
        An image of mode L, I;16 or RGB.
    """
    transform = _transform(profile, image.mode) if profile or image.mode == "LAB" else None
    if transform is not None:
        image = transform(image)
    return image if image.mode in ("L", "I;16", "RGB") else image.convert("RGB")


@functools.lru_cache(maxsize=8)  # every frame of an animation has the same
def _transform(profile: bytes, mode: str) -> Callable[[Any], Any] | None:
    """Return what converts images of a mode to sRGB, or None if nothing has to be done."""
    try:
        from PIL import Image, ImageCms
    except ImportError:
        return None
    try:
        srgb = ImageCms.createProfile("sRGB")
        exact: Any = EXACTLY
        if mode == "LAB":
            lab = ImageCms.createProfile("LAB")
            return ImageCms.buildTransform(lab, srgb, mode, "RGB", flags=exact).apply
        source: Any = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = source.profile.xcolor_space.strip()
        if space == "CMYK" == mode:
            return ImageCms.buildTransform(source, srgb, mode, "RGB").apply
        if space == "RGB" and mode in ("RGB", "L"):  # grey ones often keep the profile they had
            made = ImageCms.buildTransform(source, srgb, "RGB", "RGB")
            step = np.arange(0, 256, 51, dtype=np.uint8)
            grid = np.stack(np.meshgrid(step, step, step), axis=-1).reshape(1, -1, 3)
            greys = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
            probe = np.concatenate([greys, grid], axis=1)
            found = np.asarray(made.apply(Image.fromarray(probe)))
            return None if _same(found, probe) else lambda x: made.apply(x.convert("RGB"))
        if space == "GRAY" and mode in ("L", "I;16", "RGB"):
            target = ImageCms.ImageCmsProfile(io.BytesIO(build(SRGB)))

            def table(ramp, kind):
                made = ImageCms.buildTransform(source, target, kind, kind, flags=exact)
                return np.asarray(made.apply(Image.fromarray(ramp[None])))[0]

            greys = np.arange(256, dtype=np.uint8)
            found = table(greys, "L")
            if _same(found, greys):
                return None
            if mode == "I;16":
                fine, coarse = np.arange(65536, dtype=np.uint16), found * 257.0
                found = table(fine, mode)
                if np.abs(found[::257] - coarse).max() > 257:  # as by Pillow before 10.3
                    found = np.interp(fine / 257, greys, coarse).astype(np.uint16)
            return functools.partial(_look_up, found)
    except (ImageCms.PyCMSError, OSError, ValueError):  # it is broken
        pass
    return None


def _same(found: Array, probe: Array) -> bool:
    """Return whether a profile leaves values as they are, as nearly as matters."""
    return bool(np.abs(found.astype(float) - probe).max() <= SAME)


def _look_up(table: Array, image: Any) -> Any:
    """Convert greys, be they in three channels; other colours have no profile of greys."""
    from PIL import Image

    values = np.asarray(image)
    if values.ndim == 3 and np.any(values != values[..., :1]):
        return image
    return Image.fromarray(table[values])


def _evaluate(curve: Sequence[float], x: Array) -> Array:
    """Return the values of a curve, as `build` takes it."""
    if len(curve) == 1:
        return x ** curve[0]
    g, a, b, c, d = curve
    return np.where(x >= d, (a * x + b) ** g, c * x)


def _fixed(x: float) -> bytes:
    """Encode a number with 16 bits before and 16 after the point."""
    return struct.pack(">i", round(65536 * x))


def _xyz(values: ArrayLike) -> bytes:
    """Encode a colour as the content of a tag."""
    return b"XYZ \0\0\0\0" + b"".join(_fixed(float(x)) for x in np.asarray(values))
