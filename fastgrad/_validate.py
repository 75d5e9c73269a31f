"""The only validation code: what users pass is checked here, before any work."""

from __future__ import annotations

import difflib
import functools
import math
import numbers
from collections.abc import Iterable
from typing import Any

import numpy as np

from fastgrad._array_api import kind_of, numpy_of
from fastgrad._typing import Array, Frozen, Shape, T
from fastgrad.kernels.tiles import check as _check

REALS = (np.dtype(np.float32), np.dtype(np.float64))
FRONTS = {  # what to do with the randomness of other libraries
    "jax": "give fastgrad.jax.to_key(key), or call the functions of fastgrad.jax",
    "torch": "functions of tensors, which take generators of torch, are in fastgrad.torch",
}
RANGES = {t: (float(np.finfo(t).tiny), float(np.finfo(t).max)) for t in REALS}
LARGEST = 2**63 - 1  # of what kernels take as an integer
ADDRESSES = 2**32  # of samples
_scale_of_all = functools.lru_cache(256)(lambda dtype, t: frozen(np.array([1.0 / t], dtype)))


def array(x: Any, name: str) -> np.ndarray:
    """Return x as an array of whatever dtype; a masked array, which would lose its mask, never."""
    if type(x) is not np.ndarray:
        parts = x if isinstance(x, (list, tuple)) else (x,)
        if any(isinstance(part, np.ma.MaskedArray) for part in parts):
            advice = "fill it first, with -inf" if "logits" in name else "fill it first"
            raise TypeError(f"{name} must not be a NumPy masked array: {advice}")
        return numpy_of(x, name)
    return x


def frozen(x: Frozen) -> Frozen:
    """Return a read-only view of an array: what kernels are compiled for, and results may share."""
    if x.flags.writeable:
        x = x.view()
        x.setflags(False)  # pyright: ignore  # write, by its place: by its name it takes twice as long
    return x


def real_array(x: Any, name: str) -> Array:
    """Return x as a C-contiguous float32 or float64 array, read-only (one compiled signature)."""
    if type(x) is not np.ndarray or x.dtype not in REALS or not x.flags.c_contiguous:
        given, x = x, array(x, name)
        if x.dtype not in REALS:
            if x.dtype.kind not in "iufb" or x.dtype.itemsize > 8:
                raise TypeError(
                    f"{name} must be float32 or float64, got {kind_of(given, f'dtype {x.dtype}')}: "
                    "convert it first (float16, integers and booleans are converted here)"
                )
            single = x.dtype.kind == "f" and x.dtype.itemsize <= 4
            x = x.astype(np.float32 if single else np.float64)
        x = np.asarray(x, order="C")  # ascontiguousarray would give a scalar an axis
    return frozen(x)


def rows(logits: Any, name: str = "logits", *, check: bool = True) -> tuple[Array, Shape]:
    """Return logits (*batch, K) as checked rows (N, K), and the batch shape."""
    x = real_array(logits, name)
    if x.ndim == 0 or x.shape[-1] < 1:
        raise ValueError(f"{name} must have shape (*batch, K) with K >= 1, got {x.shape}")
    flat = x if x.ndim == 2 else x.reshape(-1, x.shape[-1])
    if check:
        check_logits(flat, name, x.shape)
    return flat, x.shape[:-1]


def sites(logits: Any, name: str = "logits") -> tuple[Array, Shape]:
    """Return Bernoulli logits, which may be infinite, as checked flat (N,), and their shape."""
    x = real_array(logits, name)
    if np.isnan(x.min(initial=0)):
        _demanded(x == x, x, f"{name} must not hold NaN")
    return x.reshape(-1), x.shape


def check_logits(flat: Array, name: str, shape: Shape) -> None:
    """Refuse NaN, +inf and, in (N, K) logits, a row with nothing but -inf."""
    worst = _check.worst(flat.reshape(-1))
    if worst == _check.BAD:
        _demanded((x := flat.reshape(shape)) < np.inf, x, f"{name} must be below infinity")
    if worst == _check.MASKED and flat.ndim == 2 and (empty := _check.first_empty(flat)) >= 0:
        row = _index(np.unravel_index(empty, shape[:-1]) if shape[:-1] else ())
        raise ValueError(f"{name} has only -inf in row {row}: no category is possible")


def _index(index: tuple[Any, ...]) -> str:
    return "(" + ", ".join(str(int(i)) for i in index) + ("," if len(index) == 1 else "") + ")"


def _number(value: Any) -> float:
    """Return a real number, or an array of no axes that holds one, as a float; else NaN."""
    if type(value) is float:  # told at once: asking an abstract class takes long
        return value
    if not isinstance(value, (float, numbers.Real)) and getattr(value, "ndim", None) == 0:
        value = math.nan if isinstance(value, np.ma.MaskedArray) else value.item()
    try:
        real = isinstance(value, (float, numbers.Real)) and not isinstance(value, bool)
        return float(value) if real else math.nan
    except OverflowError:
        return math.inf


def _shown(value: Any) -> str:
    """Write a value that was refused: an integer of many digits as a power."""
    if isinstance(value, numbers.Integral):
        size = abs(int(value))
        if size >= 2**64:
            return f"{'-' if int(value) < 0 else ''}2**{math.log2(size):.0f} or so"
    return repr(value)


def positive(value: Any, name: str) -> float:
    """Return a finite number above 0 as a float."""
    if not 0 < (number := _number(value)) < math.inf:
        raise ValueError(f"{name} must be a finite number above 0, got {_shown(value)}")
    return number


def not_negative(value: Any, name: str) -> float:
    """Return a finite number from 0 up as a float."""
    if not 0 <= (number := _number(value)) < math.inf:
        raise ValueError(f"{name} must be a finite number, at least 0, got {_shown(value)}")
    return number


def number(value: Any, name: str, low: float, high: float) -> float:
    """Return a number between low and high as a float."""
    real = _number(value)
    if isinstance(value, bool) or (math.isnan(real) and not isinstance(value, numbers.Real)):
        raise TypeError(f"{name} must be a number, got {value!r}")
    if not low <= real <= high:
        raise ValueError(f"{name} must be from {low:g} to {high:g}, got {_shown(value)}")
    return real


def fraction(value: Any, name: str) -> float:
    """Return a number from 0 to below 1 as a float."""
    if not 0 <= (number := _number(value)) < 1:
        raise ValueError(f"{name} must be from 0 to below 1, got {_shown(value)}")
    return number


def temperature(value: Any) -> float:
    """Return a temperature as a float: in float32 too, its inverse and products are finite."""
    if type(value) is float and 2.0**-60 <= value <= 2.0**60:
        return value
    shape = () if type(value) is float else tuple(getattr(value, "shape", ()))
    if math.prod(shape) != 1:
        raise ValueError(f"temperature must be one number for all rows, got shape {shape}")
    value = positive(np.reshape(value, ()) if shape else value, "temperature")
    if not 2.0**-60 <= value <= 2.0**60:
        raise ValueError(f"temperature must be from 2**-60 to 2**60, got {value!r}")
    return value


def scale(dtype: np.dtype[Any], value: Any) -> Any:
    """Return the inverse of a temperature, as kernels take it."""
    return dtype.type(1.0 / temperature(value))


def temperatures(value: Any, batch: Shape) -> float | Array:
    """Return a temperature as `temperature` does, or an array of them, float64, for the batch."""
    if not isinstance(value, (list, tuple)) and not getattr(value, "ndim", 0):
        return temperature(value)
    x = real_array(value, "temperature").astype(np.float64)
    _demanded((x >= 2.0**-60) & (x <= 2.0**60), x, "temperature must be from 2**-60 to 2**60")
    try:
        return np.broadcast_to(x, batch)
    except ValueError:
        rule = f"temperature must broadcast to shape {batch}, got shape {x.shape}"
        raise ValueError(rule) from None


def scales(dtype: np.dtype[Any], value: Any, batch: Shape) -> Array:
    """Return the inverses of temperatures: one for each row, (N,), or (1,) where all are equal."""
    if type(value) is float:
        return _scale_of_all(dtype, temperature(value))
    x = np.ravel(1.0 / temperatures(value, batch)).astype(dtype)
    return frozen(x[:1] if x.size and (x == x[0]).all() else x)


def row_scales(dtype: np.dtype[Any], value: Any, batch: Shape) -> Array:
    """Return what `scales` does as an array in any case, for kernels that are slow to compile."""
    return frozen(np.broadcast_to(1.0 / temperatures(value, batch), batch).ravel().astype(dtype))


def integer(value: Any, name: str, low: float, high: float | None = None) -> int:
    """Return an integer between low and high, by default what 64 bits hold, as an int."""
    # A plain int is told at once: asking an abstract class takes as long as a small kernel.
    if type(value) is not int and (
        isinstance(value, bool) or not isinstance(value, numbers.Integral)
    ):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    value = int(value)
    high = LARGEST if high is None else high
    if not low <= value <= high:
        open_ended = value < low and high in (LARGEST, ADDRESSES, math.inf)
        bound = f"at least {low}" if open_ended else f"from {low} to {high}"
        raise ValueError(f"{name} must be {bound}, got {_shown(value)}")
    return value


def choice(value: T, name: str, options: Iterable[Any]) -> T:
    """Return a value that is one of the options."""
    try:
        known = value in set(options)
    except TypeError:  # not hashable: an array, say, whose comparisons are no truth values
        known = False
    if not known:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, options))}, got {value!r}")
    return value


def named(value: Any, name: str, options: Iterable[str]) -> Any:
    """Return the option that a text names, in capitals or not; say which is near if none is."""
    known = {option.lower(): option for option in options}
    if isinstance(value, str) and value.lower() in known:
        return known[value.lower()]
    near = difflib.get_close_matches(value.lower(), known, n=1) if isinstance(value, str) else []
    hint = f" (did you mean {known[near[0]]!r}?)" if near else ""
    raise ValueError(f"{name} must be one of {', '.join(map(repr, options))}, got {value!r}{hint}")


def real_dtype(dtype: Any) -> np.dtype[Any]:
    """Return what means float32 or float64 as a dtype."""
    try:
        return choice(np.dtype(dtype), "dtype", REALS)
    except TypeError:
        raise TypeError(f"dtype must be float32 or float64, got {dtype!r}") from None


def no_randomness(rng: Any) -> TypeError:
    """Return the error for an rng= that is none."""
    advice = FRONTS.get(type(rng).__module__.partition(".")[0])
    got = f"{type(rng).__name__}: {advice}" if advice else repr(rng)
    return TypeError(f"rng must be an int, SeedSequence, Generator or fastgrad.Key, got {got}")


def samples(num_samples: int | None) -> tuple[int, Shape]:
    """Return (S, the leading shape of the result): None means one sample and no leading axis."""
    if num_samples is None:
        return 1, ()
    count = integer(num_samples, "num_samples", 1, ADDRESSES)
    return count, (count,)


def whole_numbers(z: Any, below: float, name: str = "z", least: int = 0) -> Array:
    """Return an array of integers from `least` to `below` - 1."""
    z = array(z, name)
    if z.dtype.kind not in "iu":
        raise TypeError(f"{name} must hold integers, got dtype {z.dtype}")
    if z.dtype == np.int32 and not least:  # in one pass: less than 0 is large without a sign
        fine = not z.size or z.view(np.uint32).max() < below
    else:
        fine = not z.size or (least <= z.min() and z.max() < below)
    if not fine:
        worst = z.min() if z.min() < least else z.max()
        raise ValueError(f"{name} must be from {least} to {below - 1}, got {worst}")
    return z


def categories(z: Any, batch: Shape, k: int, name: str = "z") -> tuple[Array, Shape]:
    """Return categories z, shape (*batch) or (S, *batch), as (S, N) int32, and the shape of z."""
    z = array(z, name)
    if z.dtype.kind in "iu" and z.shape != batch and z.shape[1:] != batch:
        raise ValueError(f"{name} must have shape {batch} or (S, *{batch}), got {z.shape}")
    z = whole_numbers(z, k, name)
    count = z.shape[0] if z.shape != batch else 1
    return frozen(np.ascontiguousarray(z, np.int32).reshape(count, math.prod(batch))), z.shape


def like(x: Any, shape: Shape, dtype: Any, name: str, view: Shape | None = None) -> Array:
    """Return x, of this shape, as a read-only array of a dtype, or as a view of another shape."""
    x = array(x, name)
    if x.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {x.shape}")
    if x.dtype != dtype:
        if x.dtype.kind not in "iufb":
            raise TypeError(f"{name} must be real, got dtype {x.dtype}")
        x = x.astype(dtype)
    x = x if x.flags.c_contiguous else x.copy()
    return frozen(x.reshape(shape if view is None else view))


def narrowed(x: Any, dtype: Any) -> Array:
    """Return numbers in a dtype, read-only: infinite where they are beyond it."""
    with np.errstate(over="ignore", under="ignore"):
        return frozen(np.asarray(x).astype(dtype))


def held(number: float, name: str, dtype: Any, room: float = 128.0) -> float:
    """Return a number that is not lost in a dtype, nor infinite with room for noise's factors."""
    least, most = RANGES[dtype]
    if number and not least <= abs(number) <= most / room:
        way = "larger" if abs(number) < least else "smaller"
        raise ValueError(f"{name} must be {way} for {dtype}, got {number}")
    return number


def finite(x: Array, name: str) -> Array:
    """Return an array unless it holds NaN or infinity: say then where."""
    return _demanded(np.isfinite(x), x, f"{name} must be finite")


def exponent(x: Array, name: str) -> Array:
    """Return an array unless its exponentials leave the normal numbers of its type."""
    low, high = np.log([np.finfo(x.dtype).tiny, np.finfo(x.dtype).max])
    words = f"{name} must be from {low:.1f} to {high:.1f} in {x.dtype}"
    return _demanded((x >= low) & (x <= high), x, words)


def _demanded(fine: Any, x: Array, words: str) -> Array:
    """Return an array all of whose entries are fine; else say in these words where not."""
    if not fine.all():
        where = np.unravel_index(np.argmin(fine), x.shape)
        raise ValueError(f"{words}, got {x[where]} at index {_index(where)}")
    return x


def cotangents(
    given: dict[str, Any], full: Shape, dtype: Any, rows: Shape | None = None
) -> tuple[int, list[Array]]:
    """Return S and cotangents, {name: array of shape (S, *full) or full, or None}, as (S, *rows).

    They agree in shape; None becomes an array of no samples. By default rows is (n,), flat.
    """
    given = {name: r if r is None else array(r, name) for name, r in given.items()}
    shapes = [r.shape for r in given.values() if r is not None]
    if not shapes or shapes != shapes[:1] * len(shapes):
        names = " and ".join(given)
        raise ValueError(f"{names} must be given and agree in shape, got {shapes}")
    shape, count, rows = full, 1, rows or (math.prod(full),)
    if shapes[0] != full and len(shapes[0]) == len(full) + 1:
        count, shape = shapes[0][0], (shapes[0][0], *full)
    flat, no, view = [], (0, *rows), (count, *rows)
    for name, r in given.items():  # None has the signature of those that are given
        flat.append(frozen(np.empty(no, dtype)) if r is None else like(r, shape, dtype, name, view))
    return count, flat


def offsets(row: Any, sample: Any, count: int, row_name: str = "row_offset") -> tuple[int, int]:
    """Return where rows and samples stand in the whole."""
    return integer(row, row_name, 0, 2**40), integer(sample, "sample_offset", 0, ADDRESSES - count)
