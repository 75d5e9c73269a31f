"""Invalid logits that kernels see by the way, and mark: to look first would cost them a tenth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastgrad._typing import Array
from fastgrad.kernels.compiler.jit import MAX_CHUNKS


def marks() -> Array:
    """Return what a kernel is given to mark those of its chunks in which logits are invalid."""
    return np.zeros(MAX_CHUNKS, np.bool_)


def refuse(bad: Array, check: Callable[..., Any], *given: Any) -> None:
    """Let the check of what was given find the words, if a chunk is marked."""
    if True in bad.tobytes():  # a few hundred bytes: `any` of an array takes ten times as long
        check(*given)
