"""What is to be dithered: the arguments of `dither`, checked and converted."""

import numpy as np

from fastgrad.dithering.eye import colour
from fastgrad.dithering.eye.lightness import slopes
from fastgrad.dithering.optimiser.loss import BlurredError, check_weights
from fastgrad.dithering.optimiser.palette import distinct

NU = 0.05  # for 16 colours or more; with fewer, grain is all there is to make tones of
LIGHT = ("linear", "opponent")  # spaces whose numbers are light, not its lightness


class Problem:
    """An image, how its errors are seen, and what is known of the palette.

    Parameters
    ----------
    image, colors, palette, lock_colors, space, sigma, ppd, nu, weights, local_weights, previous
        See `dither`.

    Attributes
    ----------
    linear : numpy.ndarray of float32, shape (height, width, channels)
        The image in linear light; of one channel if the image and all given colours are grey.
    fixed : numpy.ndarray of uint8, shape (K, 3), or None
        The palette, if it need not be learned.
    locked : numpy.ndarray of float32, shape (L, channels)
        The colours that a learned palette begins with, in linear light.
    colors : int
        The size of the palette.
    blur : dict
        The arguments of `BlurredError` of these names.
    """

    def __init__(
        self,
        image,
        *,
        colors,
        palette,
        lock_colors,
        space,
        sigma,
        ppd,
        nu,
        weights,
        local_weights,
        previous,
    ):
        image = np.asarray(image)
        if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3) or not image.size:
            raise ValueError(
                f"image must have shape (height, width) or (height, width, 3), not {image.shape}"
            )
        if space not in colour.SPACES:
            raise ValueError(f"space must be one of {sorted(colour.SPACES)}, not {space!r}")
        self.space = colour.SPACES[space]
        given = None if palette is None else _colours(palette, 1 if lock_colors else 2)
        if lock_colors and given is None:
            raise ValueError("lock_colors needs a palette")
        colors = count("colors", colors, 2, 256)
        if lock_colors and len(given) > colors:
            raise ValueError(f"colors must be at least the {len(given)} of palette, not {colors}")
        self.fixed = None if lock_colors else given
        self.colors = colors if self.fixed is None else len(given)
        if nu is None:
            nu = NU * min(1.0, (self.colors / 16) ** 0.5)
        self.blur = {"sigma": sigma, "ppd": ppd, "nu": nu}
        self._local = space in LIGHT if local_weights is None else local_weights
        self.weights = None
        if weights is not None:
            self.weights = check_weights(weights, image.shape[:2]).astype(np.float32)
        self.previous = None
        if previous is not None:
            previous = getattr(previous, "indices", previous)
            self.previous = _plane("previous", previous, image, np.uint8)
            if self.previous.max() >= self.colors:
                raise ValueError(
                    f"previous must hold indices below {self.colors}, not {self.previous.max()}"
                )
        image = image if image.ndim == 3 else image[..., None]
        grey = (given is None or _is_grey(given)) and _is_grey(image)
        if grey and space == "opponent":
            self.space = colour.SPACES["linear"]  # luminance is all there is
        if grey and not self.space.mixed:
            image = image[..., :1]
        elif image.shape[2] == 1:
            image = np.repeat(image, 3, axis=2)
        self.linear = colour.to_linear(image)
        if given is None and self.weights is None and image.dtype == np.uint8:
            self.fixed = distinct(np.broadcast_to(image, (*image.shape[:2], 3)), self.colors)
        self._channels = slice(0, image.shape[2])
        self._kept = given if lock_colors else np.empty((0, 3), np.uint8)
        self.locked = colour.to_linear(self._kept[:, self._channels])

    def loss(self, linear=None, weights=None):
        """Return the loss of the image, or of another in linear light."""
        if linear is None:
            linear, weights = self.linear, self.weights
        if self._local:
            weights = slopes(linear, weights)
        return BlurredError(self.space.into(linear), weights=weights, **self.blur)

    def colours(self, palette):
        """Convert sRGB values, uint8 of shape (K, 3), to colours in the space of the loss."""
        linear = colour.to_linear(palette[:, self._channels])
        return np.ascontiguousarray(self.space.into(linear), np.float32)

    def rounded(self, colours):
        """Convert colours in the space of the loss to sRGB values, uint8 of shape (K, 3)."""
        rgb = colour.to_srgb(self.space.back(np.asarray(colours, np.float64)))
        rgb = np.array(np.broadcast_to(rgb, (len(rgb), 3)))
        rgb[: len(self._kept)] = self._kept
        return rgb


def _is_grey(values):
    """Return whether the channels, the last axis, are all the same."""
    first = values[..., 0]
    return all(np.array_equal(first, values[..., i]) for i in range(1, values.shape[-1]))


def _colours(palette, least):
    """Check colours in sRGB."""
    palette = np.asarray(palette)
    if palette.dtype != np.uint8:
        raise TypeError(f"palette must be uint8, not {palette.dtype}")
    if palette.ndim != 2 or palette.shape[1] != 3 or not least <= len(palette) <= 256:
        raise ValueError(f"palette must have shape ({least} to 256, 3), not {palette.shape}")
    return palette


def _plane(name, values, image, dtype):
    """Check an array of one number a pixel."""
    values = np.asarray(values)
    if values.dtype != dtype:
        raise TypeError(f"{name} must be {np.dtype(dtype)}, not {values.dtype}")
    if values.shape != image.shape[:2]:
        raise ValueError(f"{name} must have shape {image.shape[:2]}, not {values.shape}")
    return np.ascontiguousarray(values)


def count(name, value, low, high):
    """Check an integer argument."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be an integer, not {value!r}")
    if value < low or (high is not None and value > high):
        wanted = f"at least {low}" if high is None else f"{low} to {high}"
        raise ValueError(f"{name} must be {wanted}, not {value}")
    return int(value)


def amount(name, value, low, high):
    """Check a number."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name} must be a number, not {value!r}")
    if not low <= value <= high:
        raise ValueError(f"{name} must be between {low} and {high}, not {value}")
    return float(value)
