"""What is made once of the same arguments, and kept no longer than somebody uses it.

Arguments may hold what a user gave: a solver, with all its data. A table of results would keep that
for ever.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from typing import Any

__all__ = ["while_argument_lives", "while_used"]


def while_used(make: Callable[..., Any]) -> Callable[..., Any]:
    """Return a maker of functions that gives the one it made of equal arguments, if that lives.

    It lives as long as a program has it. Arguments that have no hash get a new one in each call.
    """
    made: weakref.WeakValueDictionary[Any, Any] = weakref.WeakValueDictionary()

    @functools.wraps(make)
    def maker(*arguments: Any) -> Any:
        try:
            known = made.get(arguments)
        except TypeError:
            return make(*arguments)
        # Of two threads that make it at once, both go on with the first.
        return made.setdefault(arguments, make(*arguments)) if known is None else known

    return maker


def while_argument_lives(make: Callable[..., Any]) -> Callable[..., Any]:
    """Return a maker of values that gives those it made, as long as its first argument lives.

    The values must not hold that argument. One without a hash, or to which there can be no weak
    reference, is asked anew in each call.
    """
    made: weakref.WeakKeyDictionary[Any, dict[Any, Any]] = weakref.WeakKeyDictionary()

    @functools.wraps(make)
    def maker(first: Any, *others: Any) -> Any:
        try:
            known = made.setdefault(first, {})
        except TypeError:
            return make(first, *others)
        if others not in known:
            known[others] = make(first, *others)
        return known[others]

    return maker
