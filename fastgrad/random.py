"""Counter-based randomness: a variate is a function of a key and an address, not of a state."""

from __future__ import annotations

import dataclasses
import functools
import numbers
from typing import Any, TypeAlias

import numpy as np

from fastgrad import _validate
from fastgrad.kernels.random import streams as _kernels

__all__ = ["Key", "as_key", "exponential", "gumbel", "logistic", "normal", "uniform"]


@dataclasses.dataclass(frozen=True)
class Key:
    """A value that names a stream of random bits.

    The same key gives the same numbers whatever the number of threads and however the work is cut
    into chunks. Keys have no state: for fresh numbers, derive a new key.

    Parameters
    ----------
    seed : int or numpy.random.SeedSequence
        Any integer >= 0.

    Examples
    --------
    >>> import fastgrad as fg
    >>> key = fg.Key(0)
    >>> key == fg.Key(0), key == key.fold_in(1)
    (True, False)
    >>> first, second = key.split(2)

    References
    ----------
    Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
    """

    words: tuple[int, int]

    def __init__(self, seed):
        if not isinstance(seed, np.random.SeedSequence):
            seed = np.random.SeedSequence(_validate.integer(seed, "seed", 0))
        object.__setattr__(self, "words", tuple(int(w) for w in seed.generate_state(2)))

    @classmethod
    def _from_words(cls, words):
        key = object.__new__(cls)
        object.__setattr__(key, "words", tuple(int(w) for w in words))
        return key

    def fold_in(self, data):
        """Return the key that this one and an integer determine.

        Parameters
        ----------
        data : int
            From 0 to 2**64 - 1, for instance the number of a training step.

        Returns
        -------
        Key
        """
        data = _validate.integer(data, "data", 0, 2**64 - 1)
        return Key._from_words(_kernels.derive(self.kernel_words, np.uint64(data)))

    def split(self, n=2):
        """Return n independent keys: those of ``fold_in`` for 0 to n - 1.

        Parameters
        ----------
        n : int

        Returns
        -------
        list of Key
        """
        return [self.fold_in(i) for i in range(_validate.integer(n, "n", 1))]

    @functools.cached_property
    def kernel_words(self):
        """The key as kernels take it: two uint32."""
        return np.uint32(self.words[0]), np.uint32(self.words[1])

    def __repr__(self):
        return f"Key(words=({self.words[0]:#010x}, {self.words[1]:#010x}))"


#: What `rng=` takes.
RNG: TypeAlias = int | np.integer[Any] | np.random.SeedSequence | np.random.Generator | Key


def as_key(rng):
    """Return the key that a user's ``rng=`` means.

    Parameters
    ----------
    rng : int, numpy.random.SeedSequence, numpy.random.Generator or Key
        A generator is drawn from (64 bits), so that its next use gives another key.

    Returns
    -------
    Key

    Raises
    ------
    TypeError
        For anything else, None included: there is no hidden global state.
    """
    if isinstance(rng, Key):
        return rng
    if isinstance(rng, np.random.Generator):
        return Key._from_words(rng.integers(0, 2**32, 2, np.uint32))
    if isinstance(rng, np.random.SeedSequence):
        return Key(rng)
    if isinstance(rng, numbers.Integral) and not isinstance(rng, bool):
        return _seeded(int(rng))
    raise TypeError(f"rng must be an int, SeedSequence, Generator or fastgrad.Key, got {rng!r}")


def replayed_key(rng):
    """Return the key that an earlier call's ``rng=`` meant: not a Generator, which has moved on."""
    if isinstance(rng, np.random.Generator):
        raise TypeError(
            "rng must be the key of the forward call, not a Generator, whose state has moved on"
        )
    return as_key(rng)


@functools.lru_cache(256)
def _seeded(seed):
    """Return Key(seed), remembered: a SeedSequence takes longer than a small kernel."""
    return Key(seed)


def uniform(shape=(), *, rng, dtype=np.float32, offset=0, out=None):
    """Draw from the uniform distribution on the open interval (0, 1).

    Parameters
    ----------
    shape : int or tuple of int
    rng : int, SeedSequence, Generator or Key
    dtype : float32 or float64
        The same key gives the same number in both, up to rounding.
    offset : int
        Where in the key's stream the first element stands: chunks drawn with the offset of their
        first element join to the array that one call would give.
    out : array, optional
        C-contiguous, of that shape and dtype.

    Returns
    -------
    array

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> u = fg.random.uniform(1000, rng=0)
    >>> tail = fg.random.uniform(600, rng=0, offset=400)
    >>> bool((u[400:] == tail).all())
    True
    """
    return _fill(_kernels.UNIFORM, shape, rng, dtype, offset, out)


def exponential(shape=(), *, rng, dtype=np.float32, offset=0, out=None):
    """Draw from the exponential distribution of rate 1, with full precision in both tails.

    float32 reaches from 2**-33 to 22.9, float64 from 2**-65 to 45.1; never 0 or infinite.
    The parameters are those of `uniform`.

    Returns
    -------
    array
    """
    return _fill(_kernels.EXPONENTIAL, shape, rng, dtype, offset, out)


def gumbel(shape=(), *, rng, dtype=np.float32, offset=0, out=None):
    """Draw from the standard Gumbel distribution, -log of an exponential.

    float32 reaches from -3.13 to 22.9, float64 from -3.81 to 45.1: as far as that many random bits
    go. The parameters are those of `uniform`.

    Returns
    -------
    array
    """
    return _fill(_kernels.GUMBEL, shape, rng, dtype, offset, out)


def logistic(shape=(), *, rng, dtype=np.float32, offset=0, out=None):
    """Draw from the standard logistic distribution, log(u) - log(1 - u).

    float32 reaches to 22.9 on both sides, float64 to 45.1. The parameters are those of `uniform`.

    Returns
    -------
    array
    """
    return _fill(_kernels.LOGISTIC, shape, rng, dtype, offset, out)


def normal(shape=(), *, rng, dtype=np.float32, offset=0, out=None):
    """Draw from the standard normal distribution, by the method of Box and Muller.

    float32 reaches to 6.7 on both sides, float64 to 9.4. The parameters are those of `uniform`.

    Returns
    -------
    array
    """
    return _fill(_kernels.NORMAL, shape, rng, dtype, offset, out)


def _fill(kind, shape, rng, dtype, offset, out):
    shape = tuple(
        _validate.integer(n, "shape", 0)
        for n in (shape if isinstance(shape, tuple | list) else (shape,))
    )
    dtype = _validate.real_dtype(dtype)
    offset = _validate.integer(offset, "offset", 0, 2**62)
    out = _validate.output(out, shape, dtype)
    key = as_key(rng).kernel_words
    _kernels.fill(out.reshape(-1), kind, key, 0, offset)
    return out
