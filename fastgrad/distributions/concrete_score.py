"""What `concrete.relax` gives, in two parts: both relaxations, and the score of their samples.

They are for fronts whose programs are compiled before they run: there a part that nothing needs is
left out. `out` and shapes are checked by the front, values as ever.
"""

from __future__ import annotations

import numpy as np

from fastgrad import _marks, _validate
from fastgrad._typing import FloatArray, IntArray
from fastgrad.kernels.distributions import concrete_choice as _choice
from fastgrad.random import RNG, as_key

__all__ = ["relax_score", "relaxed_pair"]


def relaxed_pair(
    logits: FloatArray,
    *,
    temperature: float,
    num_samples: int | None,
    rng: RNG,
    coupled: bool,
    log: bool,
    row_offset: int,
    sample_offset: int,
    out: tuple[IntArray, FloatArray, FloatArray],
) -> None:
    """Do what `relax` does, but for the score.

    Parameters
    ----------
    logits, temperature, num_samples, rng, coupled, log, row_offset, sample_offset
        As in `relax`.
    out : tuple of arrays
        Those that the samples and both relaxations are written to.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> from fastgrad.distributions.concrete_score import relaxed_pair
    >>> (logits, x, y), z = np.zeros((3, 4, 3)), np.empty(4, np.int32)
    >>> options = {"temperature": 0.5, "num_samples": None, "rng": 0, "coupled": False}
    >>> options |= {"log": False, "row_offset": 0, "sample_offset": 0}
    >>> relaxed_pair(logits, out=(z, x, y), **options)
    >>> bool((fg.relax(logits, **options).conditional == y).all())
    True
    """
    rows, _ = _validate.rows(logits, check=False)
    count, _ = _validate.samples(num_samples)
    first, sample = _validate.offsets(row_offset, sample_offset, count)
    scale, noise = _validate.scales(rows.dtype, temperature, ()), as_key(rng).kernel_words
    full, (z, x, y) = (count, *rows.shape), out
    others = x.reshape(full), y.reshape(full), np.empty((count, 0, 0), rows.dtype)
    work = (noise, sample, first), scale, bool(coupled), bool(log), z.reshape(full[:2]), others
    _marks.checking(_choice.relax, rows, logits.shape, *work)


def relax_score(
    logits: FloatArray, z: IntArray, *, temperature: float, log: bool, out: FloatArray
) -> None:
    """Write the score of samples as `relax` rounds it.

    Parameters
    ----------
    logits : array, shape (*batch, K)
        As in the call that drew the samples.
    z : array of int32, shape (S, *batch) or (*batch)
        The samples that it returned.
    temperature, log
        As in that call: they say how the score is rounded.
    out : array, shape (S, *batch, K) or (*batch, K)
        Where the score is written to.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> from fastgrad.distributions.concrete_score import relax_score
    >>> logits, score = np.zeros((2, 4, 3))
    >>> r = fg.relax(logits, temperature=0.5, rng=0)
    >>> relax_score(logits, r.sample, temperature=0.5, log=False, out=score)
    >>> bool((score == r.score).all())
    True
    """
    rows, _ = _validate.rows(logits, check=False)
    scale, flat = _validate.scales(rows.dtype, temperature, ()), z.size // max(len(rows), 1)
    z = _validate.frozen(np.ascontiguousarray(z, np.int32).reshape(flat, len(rows)))
    _choice.relax_score(rows, z, scale, log, out.reshape(flat, *rows.shape))
