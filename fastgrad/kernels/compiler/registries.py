"""What Numba's contexts know of functions, looked through only where there is something new."""

import contextlib

from numba.core.compiler_lock import global_compiler_lock


class _Refresh:
    """Refreshes a context as Numba does at first, and then with what has been registered since.

    Numba imports some 40 modules and goes through all registries each time, which it does twice for
    every function that it compiles, and wherever an intrinsic is met.
    """

    def __init__(self, context):
        self._refresh, self._context, self._seen = context.refresh, context, None

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


def _lists(registry):
    return [kept for kept in vars(registry).values() if isinstance(kept, list)]


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
        typed, lowered = _Refresh(typing), _Refresh(target)
        typing.refresh = typed
        target.refresh = lambda: (lowered(), typed())
        try:
            yield
        finally:
            del typing.refresh, target.refresh
