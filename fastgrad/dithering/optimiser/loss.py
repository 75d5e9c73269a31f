"""The error of a dithered picture as the eye sees it: expectation and gradient in closed form."""

import copy
from functools import cached_property
from typing import NamedTuple

import numpy as np

from fastgrad import _validate
from fastgrad._typing import ArrayLike, FloatArray
from fastgrad.dithering.eye.blur import convolve
from fastgrad.dithering.eye.viewing import Viewing
from fastgrad.kernels.dithering.optimiser import loss as kernels

MOST = 1e6  # of a weight
LEAST = 1e-3  # share of the largest weight that pixels which count have: float32 bears its square


class Gradient(NamedTuple):
    """An expected error and its derivatives."""

    value: float
    logits: np.ndarray
    palette: np.ndarray


class BlurredError:
    """Squared error of a picture y of an image x under a blur h, plus a little of the plain one.

    The loss is ``(|h * (y - x)|^2 + nu |y - x|^2) / pixels``, summed over pixels and channels. The
    error is taken as zero outside the image, and the blurred one counts there too: so the loss is a
    quadratic form that depends on differences of positions alone,
    ``sum_ij b(i - j) <e_i, e_j> + nu sum_i |e_i|^2``, where e = y - x and b is the autocorrelation
    of h. A pixel's error meets itself with the weight ``own = b(0) + nu``. Where pixels weigh more
    or less than 1, e is ``weights (y - x)``.

    Parameters
    ----------
    image : array_like, shape (height, width, channels)
        The image x in linear light, float32 or float64: the type in which all is computed.
    sigma : float, optional
        Standard deviation in pixels of the Gaussian h.
    nu : float, optional
        Weight of the plain squared error: larger is less grainy, and tones are less true.
    ppd : float, optional
        Pixels per degree of the visual field: h is Nasanen's model of the eye, not a Gaussian.
    weights : array_like, shape (height, width), optional
        What the error of each pixel is multiplied by, 0 to 1e6; by default 1. Pixels of weight 0
        (False) do not count; others weigh a thousandth of the largest at least.

    Attributes
    ----------
    planes : numpy.ndarray, shape (channels, height, width)
        The image, one plane per channel; zero where pixels do not count.
    weights : numpy.ndarray, shape (height, width)
    terms : numpy.ndarray, shape (n, 2, 2 r + 1)
        Kernels down and across: b is the sum of their products.
    own : float
        ``b(0) + nu``.

    References
    ----------
    .. [1] J. Puzicha, M. Held, J. Ketterer, J. M. Buhmann and D. W. Fellner, "On spatial
       quantization of color images", IEEE Transactions on Image Processing 9(4), 2000.

    Examples
    --------
    Between black and white, a grey of one half is met best by an even chance:

    >>> import numpy as np
    >>> loss = BlurredError(np.full((32, 32, 3), 0.5), sigma=1.0, nu=0.0)
    >>> palette = np.array([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    >>> gradient = loss.gradient(np.zeros((32, 32, 2)), palette)
    >>> bool(np.abs(gradient.logits).max() < 1e-15)
    True
    """

    def __init__(self, image, *, sigma=1.0, nu=0.05, ppd=None, weights=None):
        image = _validate.array(image, "image")
        if image.ndim != 3 or image.size == 0:
            raise ValueError(f"image must have shape (height, width, channels), got {image.shape}")
        if image.dtype not in _validate.REALS:
            raise TypeError(f"image must be float32 or float64, got dtype {image.dtype}")
        viewing = Viewing(sigma=sigma, ppd=ppd, nu=nu)
        self.planes = np.ascontiguousarray(image.transpose(2, 0, 1))
        self.weights = np.ones(image.shape[:2], image.dtype)
        if weights is not None:
            self.weights[:] = check_weights(weights, image.shape[:2])
            self.planes = np.where(self.weights > 0, self.planes, image.dtype.type(0))
        self.dtype = image.dtype.type
        self.nu = self.dtype(viewing.blur["nu"])
        self.terms = viewing.blurred_twice().astype(self.dtype)
        self.own = self.table.max() + self.nu

    @cached_property
    def table(self):
        """The kernel b, shape (2 r + 1, 2 r + 1)."""
        return np.einsum("ti,tj->ij", self.terms[:, 0], self.terms[:, 1])

    @property
    def radius(self):
        """The radius r of b."""
        return self.terms.shape[2] // 2

    @property
    def shape(self):
        """Height and width."""
        return self.planes.shape[1:]

    @cached_property
    def pixels(self):
        """Number of pixels that count; 1 if none does."""
        return max(1, int(np.count_nonzero(self.weights)))

    def unweighted(self):
        """Return the loss in which all pixels that count weigh the same."""
        plain = copy.copy(self)
        plain.weights = (self.weights > 0).astype(self.dtype)
        return plain

    def field(self, error):
        """Return half the gradient of the unnormalised loss: ``b * error + nu error``.

        Parameters
        ----------
        error : numpy.ndarray, shape (n, height, width)
            The error ``weights (y - x)``, in planes; of any size.

        Returns
        -------
        numpy.ndarray, shape (n, height, width)
            The field.
        """
        return convolve(error, self.terms, nu=self.nu)

    def of(self, indices, palette):
        """Return the loss of one picture.

        Parameters
        ----------
        indices : array_like of integers, shape (height, width)
            The palette index of each pixel.
        palette : array_like, shape (K, channels)
            The colours in linear light.

        Returns
        -------
        float
            The loss.
        """
        error = self.error(indices, palette)
        return self._quadratic(error, self.field(error))

    def error(self, indices, palette):
        """Return ``weights (y - x)`` of a picture, arguments as of `of`, in planes."""
        error = np.asarray(palette, self.dtype).T[:, indices] - self.planes
        error *= self.weights
        return error

    def expected(self, logits, palette):
        """Return the expected loss of a picture whose pixels are drawn independently.

        Parameters
        ----------
        logits : array_like, shape (height, width, K)
            The logits of each pixel; -inf is a colour that the pixel never takes.
        palette : array_like, shape (K, channels)
            The colours in linear light.

        Returns
        -------
        float
            ``(|h * e|^2 + nu |e|^2 + own sum_i weights_i^2 v_i) / pixels`` with ``e = weights (m -
            x)``, m the means and v the variances of the pixels' colours.
        """
        logits, palette = self._check(logits, palette)
        mean, variance = self._moments(logits, palette)
        error = (mean - self.planes) * self.weights
        return self._quadratic(error, self.field(error)) + float(self.own) * variance

    def gradient(self, logits, palette):
        """Return the expected loss and its gradient.

        Parameters
        ----------
        logits : array_like, shape (height, width, K)
            The logits of each pixel; -inf is a colour that the pixel never takes.
        palette : array_like, shape (K, channels)
            The colours in linear light.

        Returns
        -------
        Gradient
            ``value``, ``logits`` of shape (height, width, K), ``palette`` of shape
            (K, channels).
        """
        logits, palette = self._check(logits, palette)
        mean, variance = self._moments(logits, palette)
        error = (mean - self.planes) * self.weights
        field = self.field(error)
        value = self._quadratic(error, field) + float(self.own) * variance
        squares = np.square(self.weights)
        slope = 2 * (self.weights * field - self.own * squares * mean)
        out = np.empty_like(logits)
        sums = np.zeros((kernels.BLOCKS, palette.shape[0], palette.shape[1] + 1))
        scale = self.dtype(1 / self.pixels)
        kernels.gradient(out, sums, logits, palette, squares, slope, self.own, scale)
        sums = sums.sum(axis=0)
        colours = (sums[:, :-1] + 2 * self.own * sums[:, -1:] * palette) / self.pixels
        return Gradient(value, out, colours.astype(self.dtype))

    def _quadratic(self, error, field):
        rows = np.einsum("chw,chw->h", error, field, dtype=np.float64)
        return float(rows.sum()) / self.pixels

    def _moments(self, logits, palette):
        mean = np.empty_like(self.planes)
        variances = np.empty(self.shape[0])
        kernels.moments(mean, variances, logits, palette, self.weights)
        return mean, float(variances.sum()) / self.pixels

    def _check(self, logits, palette):
        logits = np.ascontiguousarray(logits, self.dtype)
        palette = np.ascontiguousarray(palette, self.dtype)
        if palette.ndim != 2 or palette.shape[1] != len(self.planes) or palette.size == 0:
            raise ValueError(
                f"palette must have shape (K, {len(self.planes)}), got {palette.shape}"
            )
        if logits.shape != (*self.shape, palette.shape[0]):
            expected = (*self.shape, palette.shape[0])
            raise ValueError(f"logits must have shape {expected}, got {logits.shape}")
        low = logits.max(axis=-1)
        if not np.isfinite(low).all():
            raise ValueError("logits must have a finite maximum in every pixel, and no NaN")
        return logits, palette


def check_weights(weights: ArrayLike, shape: tuple[int, ...]) -> FloatArray:
    """Return weights of pixels, float64 of this shape: those above 0 are `LEAST` or more."""
    weights = _validate.like(weights, shape, np.dtype(np.float64), "weights")
    outside = ~((weights >= 0) & (weights <= MOST))
    if outside.any():
        raise ValueError(f"weights must be from 0 to {MOST:g}, got {weights[outside][0]}")
    if 0 < weights.max() < 1 / MOST:
        raise ValueError(
            f"weights must be at least {1 / MOST:g} somewhere, or all 0, got {weights.max()}"
        )
    return np.where(weights > 0, np.maximum(weights, LEAST * weights.max()), 0.0)
