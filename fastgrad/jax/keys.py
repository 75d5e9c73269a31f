"""Keys of JAX as keys of fastgrad, and the rows that a call under vmap draws noise for."""

from __future__ import annotations

import numbers
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.custom_batching import custom_vmap

from fastgrad import _validate
from fastgrad.random import Key, as_key

__all__ = ["Address", "JaxKey", "address", "nowhere", "to_key"]

#: What names the noise of a call: the two words of a key; then the first row, as two words, and the
#: first sample, apart from it, since they are mostly constants of the program. The last word is the
#: complement: of a constant whose numbers are all equal XLA makes a loop that fills it every time.
Address: TypeAlias = tuple[jax.Array, jax.Array]

#: What `key` may be: a key of JAX, an integer that is known when traced, or a key of fastgrad.
JaxKey = Any


def to_key(key: JaxKey) -> Key:
    """Return the fastgrad key that a key of JAX stands for.

    Its two words are those of the JAX key. With it as ``rng=``, the functions of the NumPy API give
    the numbers which those of `fastgrad.jax` give with the JAX key, bit for bit.

    Parameters
    ----------
    key : jax.random.key, int or Key
        Not a tracer: this is for use outside `jax.jit`.

    Returns
    -------
    Key
        For an integer that of ``fg.Key``; a key of fastgrad is returned as it is.

    Raises
    ------
    TypeError
        If it is no single key, or a JAX key of another kind than threefry.

    Examples
    --------
    >>> import jax, fastgrad.jax
    >>> fastgrad.jax.to_key(jax.random.key(7))
    Key(words=(0x00000000, 0x00000007))
    """
    found = words(key)
    if isinstance(found, Tracer):
        raise TypeError("key must be known here, outside jax.jit, got a tracer")
    return Key._from_words(np.asarray(found))


def words(key: JaxKey) -> jax.Array:
    """Return the two words of a key as uint32, inside a program or outside."""
    if isinstance(key, Key):
        return jnp.asarray(key.words, jnp.uint32)
    if isinstance(key, numbers.Integral) and not isinstance(key, bool):
        return jnp.asarray(as_key(int(key)).words, jnp.uint32)
    kinds = "a single key of jax.random.key, an int known when traced, or a fastgrad.Key"
    if not isinstance(key, jax.Array):
        raise TypeError(f"key must be {kinds}, got {key!r}")
    if jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        if "fry" not in str(key.dtype):
            raise TypeError(f"key must be a threefry key, got {key.dtype}")
        key = jax.random.key_data(key)
    if key.dtype != jnp.uint32 or key.shape != (2,):
        raise TypeError(f"key must be {kinds}, got {key.dtype} of shape {key.shape}")
    return key


def address(
    x: Any, key: JaxKey, rows: int, row: Any, sample: Any, count: int, row_name: str = "row_offset"
) -> Address:
    """Return the words that name the noise of a call for so many rows of x.

    Under vmap over x alone, every x has the rows that follow those of the one before it, as in one
    large call; under vmap over keys or first rows, each starts where the call says.
    """
    row, sample = _offset(row, row_name), _offset(sample, "sample_offset")
    if isinstance(row, int):
        row = _validate.offsets(row, 0, 1, row_name)[0]
        row = jnp.asarray(divmod(row, 2**32), jnp.uint32)
    else:
        row = jnp.stack(_words(row))
    key = words(key)
    row = _follow(max(rows, 1))(jax.lax.stop_gradient(x), key, row)
    if isinstance(sample, int):
        sample = jnp.asarray(2**32 - 1 - _validate.offsets(0, sample, count)[1], jnp.uint32)
    else:  # what is not one word is refused when it runs: of the row these words say so
        high, sample = _words(sample)
        row, sample = jnp.where(high == 0, row, jnp.uint32(2**31)), ~sample
    return key, jnp.concatenate([row, sample[None]])


def nowhere() -> Address:
    """Return words for an operation that is to draw no noise."""
    return jnp.asarray([0, 1], jnp.uint32), jnp.asarray([0, 0, 2**32 - 1], jnp.uint32)


def _offset(x, name):
    """Return an offset as an int where it is known, else as an array of no axes."""
    if isinstance(x, numbers.Integral):
        return int(x)
    x = jnp.asarray(x)
    if x.shape != () or not jnp.issubdtype(x.dtype, jnp.integer):
        raise TypeError(f"{name} must be an integer, got {x.dtype} of shape {x.shape}")
    return x if isinstance(x, Tracer) else int(x)


def _words(x):
    """Return an integer as two words; the first of a negative one has its sign."""
    if x.dtype.itemsize > 4:
        return (x >> 32).astype(jnp.uint32), x.astype(jnp.uint32)
    return jnp.where(x < 0, jnp.uint32(2**32 - 1), jnp.uint32(0)), x.astype(jnp.uint32)


def _follow(span):
    """Return the function (x, key, row) -> row which moves on by `span` rows with every x."""

    @custom_vmap
    def follow(x, key, row):
        return row

    @follow.def_vmap
    def _(axis_size, in_batched, x, key, row):
        x_moves, key_moves, row_moves = in_batched
        if key_moves or row_moves or not x_moves:
            return _follow(span)(x, key, row), row_moves
        row = _follow(span * axis_size)(x, key, row)
        steps = np.arange(axis_size, dtype=np.uint64) * np.uint64(span)
        high, low = (steps >> np.uint64(32)).astype(np.uint32), steps.astype(np.uint32)
        sums = row[..., 1] + low  # wraps around
        carry = (sums < low).astype(jnp.uint32)
        return jnp.stack([row[..., 0] + high + carry, sums], axis=-1), True

    return follow
