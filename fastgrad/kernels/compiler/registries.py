"""What Numba's contexts know of functions, looked through only where there is something new."""

import contextlib

from llvmlite.binding import ffi
from numba.core import base, types
from numba.core.compiler_lock import global_compiler_lock
from numba.core.targetconfig import ConfigStack
from numba.core.types.functions import BaseFunction


class _Refresh:
    """Refreshes a context as Numba does at first, and then with what has been registered since.

    Numba imports some 40 modules and goes through all registries each time, which it does twice for
    every function that it compiles, and wherever an intrinsic is met.
    """

    def __init__(self, context, forget):
        self._refresh, self._context, self._forget = context.refresh, context, forget
        self._seen = None

    def __call__(self):
        if self._seen is None:
            self._refresh()
            registries = self._context._registries
            self._seen = {registry: _lists(registry) for registry in registries}
            self._sizes = {registry: -1 for registry in registries}
        for registry, lists in self._seen.items():
            size = sum(map(len, lists))
            if size != self._sizes[registry]:
                self._sizes[registry] = size
                self._context.install_registry(registry)
                self._forget()


def _lists(registry):
    return [kept for kept in vars(registry).values() if isinstance(kept, list)]


class _Answers:
    """What a context of types answered, by the question and the flags of the function that asks.

    Numba asks for the type of every call and attribute of a function until no type changes, which
    is twice at least, and again when it is lowered; and other functions ask for the same.
    """

    METHODS = ("resolve_function_type", "resolve_getattr", "resolve_value_type")

    def __init__(self, context):
        self._context, self._known = context, {}
        self._once = {name: getattr(context, name) for name in self.METHODS}
        self._call_type = BaseFunction.get_call_type

    def forget(self):
        """Forget all."""
        self._known.clear()

    def _answer(self, key, ask, *question):
        key = ConfigStack.top_or_none(), *key
        try:
            answer = self._known.get(key)
        except TypeError:  # what has no hash
            return ask(*question)
        if answer is None:
            answer = ask(*question)
            if answer is not None:
                self._known[key] = answer
        return answer

    def resolve_function_type(self, func, args, kws):
        """Return the signature of a call."""
        ask = self._once["resolve_function_type"]
        return self._answer(_call(func, args, kws), ask, func, args, kws)

    def resolve_getattr(self, typ, attr):
        """Return the type of an attribute."""
        return self._answer((typ, attr), self._once["resolve_getattr"], typ, attr)

    def resolve_value_type(self, val):
        """Return the type of a function; other values may be equal and differ in type."""
        ask = self._once["resolve_value_type"]
        return self._answer((val,), ask, val) if callable(val) else ask(val)

    def call_type(self, function, context, args, kws):
        """Return the signature of a call of one of Numba's functions."""
        question = function, context, args, kws
        if context is not self._context:
            return self._call_type(*question)
        return self._answer(_call(function, args, kws), self._call_type, *question)

    @contextlib.contextmanager
    def given(self):
        """Let it be asked in the place of its context."""
        for name in self.METHODS:
            setattr(self._context, name, getattr(self, name))
        BaseFunction.get_call_type = lambda *question: self.call_type(*question)
        try:
            yield
        finally:
            BaseFunction.get_call_type = self._call_type
            for name in self.METHODS:
                delattr(self._context, name)


def _call(function, args, kws):
    """Return what tells a call from others: an index that is known is more than its value."""
    args = tuple(a if isinstance(a, types.Type) else (type(a), repr(a)) for a in args)
    return function, args, tuple(dict(kws).items())


@contextlib.contextmanager
def _unannounced():
    """Let nobody be told of each call of LLVM, as Numba tells its timers: one for each function.

    A function is compiled while those that call it are, so that a call has a dozen of them.
    """
    lock = ffi.lib._lock
    held = getattr(lock, "_lock", None) or contextlib.nullcontext()
    listed = getattr(lock, "_cblist", ())
    told = [pair for pair in listed if pair[0].__module__ == base.__name__]
    with held:  # no call is under way
        for pair in told:
            ffi.unregister_lock_callback(*pair)
    try:
        yield
    finally:
        with held:
            for pair in told:
                ffi.register_lock_callback(*pair)


@contextlib.contextmanager
def refreshed_where_new(dispatcher):
    """Let the contexts of a dispatcher be refreshed only if need be, for the time of the block.

    Nobody else compiles meanwhile. Lists of what is registered only ever grow.
    """
    typing, target = dispatcher.typingctx, dispatcher.targetctx
    with global_compiler_lock:
        if "refresh" in vars(target):
            yield
            return
        answers = _Answers(typing)
        typed, lowered = _Refresh(typing, answers.forget), _Refresh(target, answers.forget)
        typing.refresh = typed
        target.refresh = lambda: (lowered(), typed())
        try:
            with answers.given(), _unannounced():
                yield
        finally:
            del typing.refresh, target.refresh
