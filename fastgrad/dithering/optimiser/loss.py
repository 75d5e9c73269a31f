"""The error of a dithered picture as the eye sees it: expectation and gradient in closed form."""

from __future__ import annotations

import copy
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastgrad import _validate
from fastgrad._typing import ArrayLike, FloatArray
from fastgrad.dithering.eye.blur import convolve
from fastgrad.dithering.eye.viewing import Viewing
from fastgrad.dithering.optimiser.residual import labels_of, laid
from fastgrad.dithering.optimiser.weights import check_weights
from fastgrad.kernels.dithering.optimiser import loss as kernels
from fastgrad.kernels.dithering.optimiser import loss_rows

__all__ = ["BlurredError", "Gradient"]


class Gradient(NamedTuple):
    """An expected loss and its derivatives.

    Attributes
    ----------
    value : float
        The expected loss.
    logits : array, shape (height, width, K)
        Derivative by the logits of each pixel.
    palette : array, shape (K, channels)
        Derivative by the colours.
    """

    value: float
    logits: FloatArray
    palette: FloatArray


class BlurredError:
    """Squared error of a dithered picture after a blur, plus a little of the error without blur.

    For a picture y of an image x and a blur h, the loss is
    ``(|h * (y - x)|^2 + nu |y - x|^2) / pixels``, summed over pixels and channels. The error is
    zero outside the image, but its blur counts there too. So the loss is a quadratic form that
    depends only on differences of positions,
    ``sum_ij b(i - j) <e_i, e_j> + nu sum_i |e_i|^2``, with the error e = y - x and the
    autocorrelation b of h. The square of a pixel's own error has the factor ``own = b(0) + nu``. If
    pixels have weights, e is ``weights (y - x)``.

    Parameters
    ----------
    image : array_like, shape (height, width, channels)
        The image x in linear light, float32 or float64. Everything is computed in this type. (For
        sRGB values, see `fastgrad.dithering.eye.colour.to_linear`.)
    sigma : float, optional
        Standard deviation in pixels of the Gaussian h, 0 to 8.
    nu : float, optional
        Weight of the squared error without blur, 0 to 1e9. More of it gives less grain, and tones
        that are less true.
    ppd : float, optional
        Pixels per degree of the visual field, 1 to 200: h is then Nasanen's model of the eye
        instead of a Gaussian.
    weights : array_like, shape (height, width), optional
        Factors of the pixels' errors, 0 to 1e6, or a boolean mask; by default 1. Pixels of weight 0
        do not count; others weigh at least a thousandth of the largest weight.

    Attributes
    ----------
    planes : array, shape (channels, height, width)
        The image, one plane per channel; zero where pixels do not count.
    weights : array, shape (height, width)
        The weights of the pixels.
    terms : array, shape (n, 2, 2 r + 1)
        Kernels down and across; b is the sum of their outer products.
    nu, own : float
        The weight nu, and ``b(0) + nu``, as scalars of the image's dtype.
    dtype : type
        The scalar type of the image, `numpy.float32` or `numpy.float64`.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type, shape or range.

    References
    ----------
    J. Puzicha, M. Held, J. Ketterer, J. M. Buhmann and D. W. Fellner, "On spatial quantization of
    color images", IEEE Transactions on Image Processing 9(4), 2000.

    Examples
    --------
    For a grey of one half, even chances of black and white are optimal:

    >>> import numpy as np
    >>> loss = BlurredError(np.full((32, 32, 3), 0.5), sigma=1.0, nu=0.0)
    >>> palette = np.array([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    >>> gradient = loss.gradient(np.zeros((32, 32, 2)), palette)
    >>> bool(np.abs(gradient.logits).max() < 1e-15)
    True
    """

    planes: FloatArray
    weights: FloatArray
    terms: FloatArray
    dtype: type[np.floating[Any]]
    nu: np.floating[Any]
    own: np.floating[Any]

    def __init__(
        self,
        image: ArrayLike,
        *,
        sigma: float = 1.0,
        nu: float | None = 0.05,
        ppd: float | None = None,
        weights: ArrayLike | None = None,
    ) -> None:
        image = _validate.array(image, "image")
        if image.ndim != 3 or image.size == 0:
            raise ValueError(f"image must have shape (height, width, channels), got {image.shape}")
        if image.dtype not in _validate.REALS:
            raise TypeError(f"image must be float32 or float64, got dtype {image.dtype}")
        viewing = Viewing(sigma=sigma, ppd=ppd, nu=nu)
        self.planes = np.ascontiguousarray(image.transpose(2, 0, 1))
        if weights is None:
            self.weights = np.ones(image.shape[:2], image.dtype)
        else:
            given = check_weights(weights, image.shape[:2])
            self.weights = np.array(given, image.dtype, order="C")
            if not given.all():
                self.planes = np.where(self.weights > 0, self.planes, image.dtype.type(0))
        self.dtype = image.dtype.type
        self.nu = self.dtype(viewing.blur["nu"])
        self.terms = viewing.blurred_twice().astype(self.dtype)
        self.own = self.table.max() + self.nu

    @cached_property
    def table(self) -> FloatArray:
        """The autocorrelation b of the blur, shape (2 r + 1, 2 r + 1)."""
        return np.einsum("ti,tj->ij", self.terms[:, 0], self.terms[:, 1])

    @property
    def radius(self) -> int:
        """The radius r of the autocorrelation b."""
        return self.terms.shape[2] // 2

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the image."""
        return self.planes.shape[1], self.planes.shape[2]

    @cached_property
    def pixels(self) -> int:
        """Number of pixels that count; 1 if none does."""
        return max(1, int(np.count_nonzero(self.weights)))

    def unweighted(self) -> BlurredError:
        """Return the same loss with weight 1 for all pixels that count."""
        plain = copy.copy(self)
        plain.weights = (self.weights > 0).astype(self.dtype)
        return plain

    def within(self, chosen: npt.NDArray[np.bool_]) -> BlurredError:
        """Return the same loss with weight 0 for all pixels that are not chosen, (height, width).

        It is still divided by the number of pixels that count here.
        """
        part = copy.copy(self)
        part.weights = np.where(chosen, self.weights, self.dtype(0))
        part.pixels = self.pixels
        return part

    def field(self, error: FloatArray) -> FloatArray:
        """Return the blurred error ``b * error + nu error``: half the gradient of the sum of loss.

        Parameters
        ----------
        error : array, shape (n, height, width)
            The error ``weights (y - x)`` in planes, of any height and width.

        Returns
        -------
        array, shape (n, height, width)
            The field.
        """
        error = _validate.array(error, "error")
        if error.ndim != 3 or error.dtype not in _validate.REALS:
            got = f"{error.shape} {error.dtype}"
            raise ValueError(f"error must be planes (n, height, width) of real numbers, got {got}")
        return convolve(error, self.terms, nu=self.nu)

    def of(self, indices: ArrayLike, palette: ArrayLike) -> float:
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
            The loss per pixel.
        """
        return self.errors(indices, palette)[0]

    def errors(
        self,
        indices: ArrayLike,
        palette: ArrayLike,
        *,
        counted: bool = False,
        out: FloatArray | None = None,
        margin: int = 0,
    ) -> tuple[float, float]:
        """Return the loss of a picture, and its squared error without blur; lay out its field.

        Parameters
        ----------
        indices : array_like of integers, shape (height, width)
            The palette index of each pixel.
        palette : array_like, shape (K, channels)
            The colours in the space of the loss.
        counted : bool, optional
            Whether all pixels that count have a weight of 1, as in `unweighted`.
        out, margin : optional
            Array for the `field` of the picture's `error`, as in `convolve`.

        Returns
        -------
        loss, plain : float
            Means over the pixels that count.
        """
        what = loss_rows.COUNTED if counted else loss_rows.WEIGHTED
        given = (self.weights, self.planes), (self.terms, self.nu)
        sums = laid(*self._picture(indices, palette), *given, what=what, out=out, margin=margin)
        whole, plain = sums / self.pixels
        return float(whole), float(plain)

    def error(self, indices: ArrayLike, palette: ArrayLike) -> FloatArray:
        """Return the error ``weights (y - x)`` of a picture, shape (channels, height, width).

        Parameters
        ----------
        indices, palette
            As in `of`.

        Returns
        -------
        array, shape (channels, height, width)
            The error in planes.
        """
        labels, colors = self._picture(indices, palette)
        error = np.empty_like(self.planes)
        planar = np.ascontiguousarray(colors.T)
        loss_rows.errors(error, labels, self.weights, self.planes, planar)
        return error

    def expected(self, logits: ArrayLike, palette: ArrayLike) -> float:
        """Return the expected loss of a picture whose pixels are drawn independently.

        Parameters
        ----------
        logits : array_like, shape (height, width, K)
            The logits of each pixel; a logit of -inf is a colour that the pixel never takes.
        palette : array_like, shape (K, channels)
            The colours in linear light.

        Returns
        -------
        float
            ``(|h * e|^2 + nu |e|^2 + own sum_i weights_i^2 v_i) / pixels`` with
            ``e = weights (m - x)``, where m are the means and v the variances of the pixels'
            colours.
        """
        logits, palette = self._check(logits, palette)
        mean, variance = self._moments(logits, palette)
        error = (mean - self.planes) * self.weights
        return self._quadratic(error, self.field(error)) + float(self.own) * variance

    def gradient(self, logits: ArrayLike, palette: ArrayLike) -> Gradient:
        """Return the expected loss and its gradient.

        The loss is per pixel, and so are its derivatives: multiply them by ``pixels`` for a step
        that does not depend on the size of the picture.

        Parameters
        ----------
        logits, palette
            As in `expected`.

        Returns
        -------
        Gradient
            The expected loss, and its derivatives by the logits and by the palette.
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

    def _picture(self, indices, palette):
        palette = self._colors(palette)
        return labels_of(indices, self.shape, len(palette)), palette

    def _colors(self, palette):
        palette = np.ascontiguousarray(palette, self.dtype)
        if palette.ndim != 2 or palette.shape[1] != len(self.planes) or palette.size == 0:
            raise ValueError(
                f"palette must have shape (K, {len(self.planes)}), got {palette.shape}"
            )
        return palette

    def _check(self, logits, palette):
        logits = np.ascontiguousarray(logits, self.dtype)
        palette = self._colors(palette)
        if logits.shape != (*self.shape, palette.shape[0]):
            expected = (*self.shape, palette.shape[0])
            raise ValueError(f"logits must have shape {expected}, got {logits.shape}")
        low = logits.max(axis=-1)
        if not np.isfinite(low).all():
            raise ValueError("logits must have a finite maximum in every pixel, and no NaN")
        return logits, palette
