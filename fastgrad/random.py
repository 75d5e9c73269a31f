"""Counter-based randomness: a variate is a function of a key and an address, not of a state.

Every function of the package that draws at random takes ``rng=``: an integer seed, a
`numpy.random.SeedSequence`, a `numpy.random.Generator`, or a `Key`. All but a generator give the
same numbers at every call. There is no global state.
"""

from __future__ import annotations

import dataclasses
import functools
import numbers
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from fastgrad import _outputs, _validate
from fastgrad._typing import FloatArray
from fastgrad.kernels.random import streams as _kernels

__all__ = ["Key", "as_key", "exponential", "gumbel", "logistic", "normal", "uniform"]


@dataclasses.dataclass(frozen=True)
class Key:
    """A frozen value that names a stream of random bits.

    The same key gives the same numbers for any number of threads and any chunking of the work.
    A key has no state: using it does not change it, and fresh numbers need a new key, derived with
    `fold_in` or `split`. Keys can be compared, hashed and pickled, and do so by value.

    Parameters
    ----------
    seed : int or numpy.random.SeedSequence
        Any integer >= 0.

    Attributes
    ----------
    words : tuple of two int
        The key itself: two numbers of 32 bits.

    Raises
    ------
    TypeError, ValueError
        If the seed is of another type, or negative.

    References
    ----------
    Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.

    Examples
    --------
    >>> import fastgrad as fg
    >>> key = fg.Key(0)
    >>> key == fg.Key(0), key == key.fold_in(1)
    (True, False)
    >>> first, second = key.split(2)
    """

    words: tuple[int, int]

    def __init__(self, seed: int | np.integer[Any] | np.random.SeedSequence) -> None:
        if not isinstance(seed, np.random.SeedSequence):
            seed = np.random.SeedSequence(_validate.integer(seed, "seed", 0, np.inf))
        object.__setattr__(self, "words", tuple(int(w) for w in seed.generate_state(2)))

    @classmethod
    def _from_words(cls, words) -> Key:
        key = object.__new__(cls)
        object.__setattr__(key, "words", tuple(int(w) for w in words))
        return key

    def __getstate__(self) -> dict[str, Any]:
        # The words alone: what is pickled must not depend on which properties have been read.
        return {"words": self.words}

    def fold_in(self, data: int | np.integer[Any]) -> Key:
        """Return the key that is determined by this one and an integer.

        Parameters
        ----------
        data : int
            From 0 to 2**64 - 1, for instance the number of a training step.

        Returns
        -------
        Key
            Different integers give independent keys.

        Raises
        ------
        TypeError, ValueError
            If data is not an integer, or out of its range.

        Examples
        --------
        >>> import fastgrad as fg
        >>> key = fg.Key(0)
        >>> keys = [key.fold_in(step) for step in range(3)]
        >>> len(set(keys))
        3
        """
        data = _validate.integer(data, "data", 0, 2**64 - 1)
        return Key._from_words(_kernels.derive(self.kernel_words, np.uint64(data)))

    def split(self, n: int | np.integer[Any] = 2) -> list[Key]:
        """Return n independent keys: those of `fold_in` for 0 to n - 1.

        Parameters
        ----------
        n : int
            At least 1.

        Returns
        -------
        list of Key

        Raises
        ------
        TypeError, ValueError
            If n is not an integer, or less than 1.

        Examples
        --------
        >>> import fastgrad as fg
        >>> for_noise, for_dropout = fg.Key(0).split()
        """
        return [self.fold_in(i) for i in range(_validate.integer(n, "n", 1))]

    @functools.cached_property
    def kernel_words(self) -> tuple[np.uint32, np.uint32]:
        """The key as kernels take it: two uint32."""
        return np.uint32(self.words[0]), np.uint32(self.words[1])

    def __repr__(self) -> str:
        return f"Key(words=({self.words[0]:#010x}, {self.words[1]:#010x}))"


#: What `rng=` takes.
RNG: TypeAlias = int | np.integer[Any] | np.random.SeedSequence | np.random.Generator | Key
Shape: TypeAlias = int | tuple[int, ...]
Out: TypeAlias = FloatArray | None


def as_key(rng: RNG) -> Key:
    """Return the key that a user's ``rng=`` means.

    Parameters
    ----------
    rng : int, numpy.random.SeedSequence, numpy.random.Generator or Key
        From a generator, 64 bits are drawn, so its next use gives another key.

    Returns
    -------
    Key
        The same key for equal integers and for equal seed sequences; a key is returned as it is.

    Raises
    ------
    TypeError, ValueError
        For anything else, None included; for a negative integer.

    Examples
    --------
    >>> import fastgrad as fg
    >>> fg.random.as_key(7) == fg.Key(7)
    True
    """
    if isinstance(rng, Key):
        return rng
    if type(rng) is int or (isinstance(rng, numbers.Integral) and not isinstance(rng, bool)):
        return _seeded(_validate.integer(rng, "rng", 0, np.inf))
    if isinstance(rng, np.random.Generator):
        return Key._from_words(rng.integers(0, 2**32, 2, np.uint32))
    if isinstance(rng, np.random.SeedSequence):
        return Key(rng)
    raise _validate.no_randomness(rng)


def replayed_key(rng: RNG) -> Key:
    """Return the key that an earlier call's ``rng=`` meant: not a Generator, which has moved on."""
    if isinstance(rng, np.random.Generator):
        raise TypeError(
            "rng must be the key of the forward call, not a Generator, whose state has moved on"
        )
    return as_key(rng)


@functools.lru_cache(256)
def _seeded(seed: int) -> Key:
    """Return Key(seed), remembered: a SeedSequence takes longer than a small kernel."""
    return Key(seed)


def uniform(
    shape: Shape = (), *, rng: RNG, dtype: DTypeLike = np.float32, offset: int = 0, out: Out = None
) -> FloatArray:
    """Draw from the uniform distribution on the open interval (0, 1).

    Parameters
    ----------
    shape : int or tuple of int
        The shape of the result; () for a single number.
    rng : int, numpy.random.SeedSequence, numpy.random.Generator or Key
        Names the random bits.
    dtype : {numpy.float32, numpy.float64}
        The same key gives the same number in both types, up to rounding.
    offset : int
        Index of the first element in a longer stream, from 0 to 2**62: calls with the offsets of
        their first elements join to the array that one call would give.
    out : array, optional
        Where to put the result: a C-contiguous array of that shape and dtype.

    Returns
    -------
    array of that shape and dtype

    Raises
    ------
    TypeError, ValueError
        If one of these is of another type or out of its range.

    Examples
    --------
    >>> import fastgrad as fg
    >>> u = fg.random.uniform(1000, rng=0)
    >>> tail = fg.random.uniform(600, rng=0, offset=400)
    >>> bool((u[400:] == tail).all())
    True
    """
    return _fill(_kernels.UNIFORM, shape, rng, dtype, offset, out)


def exponential(
    shape: Shape = (), *, rng: RNG, dtype: DTypeLike = np.float32, offset: int = 0, out: Out = None
) -> FloatArray:
    """Draw from the exponential distribution of rate 1, with full precision in both tails.

    In float32 numbers reach from 2**-33 to 22.9, in float64 from 2**-65 to 45.1, never 0 or inf.

    Parameters
    ----------
    shape, rng, dtype, offset, out
        As in `uniform`, whose errors are raised as well.

    Returns
    -------
    array of that shape and dtype

    Examples
    --------
    >>> import fastgrad as fg
    >>> x = fg.random.exponential((3, 4), rng=0)
    >>> x.shape, x.dtype
    ((3, 4), dtype('float32'))
    """
    return _fill(_kernels.EXPONENTIAL, shape, rng, dtype, offset, out)


def gumbel(
    shape: Shape = (), *, rng: RNG, dtype: DTypeLike = np.float32, offset: int = 0, out: Out = None
) -> FloatArray:
    """Draw from the standard Gumbel distribution: -log of an exponential variate.

    In float32 the numbers reach from -3.13 to 22.9, in float64 from -3.81 to 45.1.

    Parameters
    ----------
    shape, rng, dtype, offset, out
        As in `uniform`, whose errors are raised as well.

    Returns
    -------
    array of that shape and dtype

    Examples
    --------
    >>> import fastgrad as fg
    >>> x = fg.random.gumbel((3, 4), rng=0)
    >>> x.shape, x.dtype
    ((3, 4), dtype('float32'))
    """
    return _fill(_kernels.GUMBEL, shape, rng, dtype, offset, out)


def logistic(
    shape: Shape = (), *, rng: RNG, dtype: DTypeLike = np.float32, offset: int = 0, out: Out = None
) -> FloatArray:
    """Draw from the standard logistic distribution: log(u) - log(1 - u) of a uniform u.

    In float32 the numbers reach to 22.9 on both sides, in float64 to 45.1.

    Parameters
    ----------
    shape, rng, dtype, offset, out
        As in `uniform`, whose errors are raised as well.

    Returns
    -------
    array of that shape and dtype

    Examples
    --------
    >>> import fastgrad as fg
    >>> x = fg.random.logistic((3, 4), rng=0)
    >>> x.shape, x.dtype
    ((3, 4), dtype('float32'))
    """
    return _fill(_kernels.LOGISTIC, shape, rng, dtype, offset, out)


def normal(
    shape: Shape = (), *, rng: RNG, dtype: DTypeLike = np.float32, offset: int = 0, out: Out = None
) -> FloatArray:
    """Draw from the standard normal distribution, by the method of Box and Muller.

    In float32 the numbers reach to 6.7 on both sides, in float64 to 9.4.

    Parameters
    ----------
    shape, rng, dtype, offset, out
        As in `uniform`, whose errors are raised as well.

    Returns
    -------
    array of that shape and dtype

    Examples
    --------
    >>> import fastgrad as fg
    >>> x = fg.random.normal((3, 4), rng=0)
    >>> x.shape, x.dtype
    ((3, 4), dtype('float32'))
    """
    return _fill(_kernels.NORMAL, shape, rng, dtype, offset, out)


def _fill(kind, shape, rng, dtype, offset, out):
    shape = tuple(
        _validate.integer(n, "shape", 0)
        for n in (shape if isinstance(shape, tuple | list) else (shape,))
    )
    dtype = _validate.real_dtype(dtype)
    offset = _validate.integer(offset, "offset", 0, 2**62)
    out = _outputs.output(out, shape, dtype)
    key = as_key(rng).kernel_words
    _kernels.FILL[kind](out.reshape(-1), key, 0, offset)
    return out
