"""Facts of an estimator that depend on its options, as attributes of its class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

T = TypeVar("T")


def by_options(rule: Callable[[Any], T]) -> T:
    """Return a class attribute whose value depends on the options of the estimator.

    On an instance it is ``rule(instance)``; on the class, the value for the default options. As
    with `dataclasses.field`, the annotation is the type of the value.

    Parameters
    ----------
    rule : callable
        Takes the estimator, returns the value.
    """
    return cast(T, _ByOptions(rule))


class _ByOptions:
    def __init__(self, rule: Callable[[Any], Any]) -> None:
        self.rule = rule

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self.rule(owner())
        # Options never change: the next look finds the value itself, which small calls can tell.
        return vars(instance).setdefault(self.name, self.rule(instance))
