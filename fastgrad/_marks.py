"""Invalid logits that kernels see by the way, and mark: to look first would cost them a tenth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastgrad import _validate
from fastgrad._typing import Array, FloatArray
from fastgrad.kernels.compiler.jit import MAX_CHUNKS


def marks() -> Array:
    """Return what a kernel is given to mark those of its chunks in which logits are invalid."""
    return np.zeros(MAX_CHUNKS, np.bool_)


def refuse(bad: Array, check: Callable[..., Any], *given: Any) -> None:
    """Let the check of what was given find the words, if a chunk is marked."""
    if True in bad.tobytes():  # a few hundred bytes: `any` of an array takes ten times as long
        check(*given)


def checking(
    kernel: Callable[..., Any],
    rows: FloatArray,
    shape: tuple[int, ...] | None,
    *rest: Any,
    out: Any = None,
) -> None:
    """Run a kernel that sees by the way where logits are invalid, and refuse these.

    A pass of its own would cost it an eighth. But if it writes over the logits, in an `out` that
    was given, these are looked at before. Without a shape nobody looks.
    """
    bad = marks()
    if shape and out is not None and np.may_share_memory(rows, out):
        _validate.check_logits(rows, "logits", shape)
    kernel(rows, *rest, bad)
    if shape:
        refuse(bad, _validate.check_logits, rows, "logits", shape)
