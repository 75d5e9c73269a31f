"""Types that annotations share."""

from __future__ import annotations

from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

ArrayLike: TypeAlias = npt.ArrayLike
FloatArray: TypeAlias = npt.NDArray[np.floating[Any]]  # float32 or float64, as the input
IntArray: TypeAlias = npt.NDArray[np.int32]  # indices of categories
Array: TypeAlias = npt.NDArray[Any]
ByteArray: TypeAlias = npt.NDArray[np.uint8]  # sRGB values, or indices of a palette
Shape: TypeAlias = tuple[int, ...]

T = TypeVar("T")
Frozen = TypeVar("Frozen", bound=Array)
