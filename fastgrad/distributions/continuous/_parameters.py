"""Parameters of continuous distributions: several arrays of one dtype, by name."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np

from fastgrad import _validate
from fastgrad._typing import Array, FloatArray


@dataclasses.dataclass(frozen=True, eq=False)
class Parameters:
    """The fields of a frozen dataclass as checked arrays of one dtype, which it owns."""

    event_rank: ClassVar[int] = 0
    support: ClassVar[tuple[float, float]] = (-np.inf, np.inf)
    may_vanish: ClassVar[tuple[str, ...]] = ()  # parameters whose exponential may be 0

    def __post_init__(self) -> None:
        names = [field.name for field in dataclasses.fields(self)]
        arrays = {name: _validate.real_array(getattr(self, name), name) for name in names}
        dtype = np.result_type(*arrays.values())
        for name, array in arrays.items():
            array = _validate.real_array(array.astype(dtype), name)
            vanishing = np.isneginf(array) if name in self.may_vanish else np.zeros((), bool)
            checked = _validate.finite(np.where(vanishing, dtype.type(0), array), name)
            if name.startswith("log_"):
                _validate.exponent(checked, name)
            object.__setattr__(self, name, array)
        self._check()

    def _check(self) -> None:
        """Refuse parameters that do not go together."""
        first, *others = self.parameters.items()
        for name, array in others:
            if array.shape != first[1].shape:
                raise ValueError(
                    f"{name} must have the shape of {first[0]}, {first[1].shape}, got {array.shape}"
                )
        if first[1].ndim < self.event_rank:
            raise ValueError(f"{first[0]} must have at least one axis, got shape ()")
        if self.event_rank and not first[1].shape[-1]:
            raise ValueError(
                f"{first[0]} must have shape (*batch, K) with K >= 1, got {first[1].shape}"
            )

    @property
    def parameters(self) -> dict[str, FloatArray]:
        """The parameters by name."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    @property
    def _first(self) -> FloatArray:
        return getattr(self, dataclasses.fields(self)[0].name)

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """The shape of the batch of variables."""
        return self._first.shape[: self._first.ndim - self.event_rank]

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The shape of a sample of one variable: () unless it is a vector."""
        return self._first.shape[self._first.ndim - self.event_rank :]

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the parameters, the samples and the gradients."""
        return self._first.dtype

    @property
    def logits(self) -> Array:
        """Only discrete distributions have logits: here, asking for them is a TypeError."""
        kind = type(self).__name__
        raise TypeError(f"{kind} has no logits: estimators for discrete variables do not apply")

    def _double(self, *names: str) -> list[Array]:
        """Return parameters in float64."""
        return [getattr(self, name).astype(np.float64) for name in names]

    @property
    def _shape_of_x(self) -> tuple[int, ...]:
        return (*self.batch_shape, *self.event_shape)

    def _cast(self, arrays: dict[str, Array]) -> dict[str, FloatArray]:
        """Return a dict of arrays in the distribution's dtype."""
        return {name: np.asarray(array, self.dtype) for name, array in arrays.items()}
