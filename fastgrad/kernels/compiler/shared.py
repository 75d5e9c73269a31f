"""Parts that are machine code of their own, which a process has once for all kernels that call it.

A part that stays apart from its callers is the same in each of them, and four tenths of all machine
code would be copies. A shared part is finished as a kernel is. Who calls it knows only its symbol,
and carries its machine code along: what loads the one, from the cache or a wheel, loads the other.
LLVM sees nothing of its callers, nor they of it, so only what would not be inlined is shared.
"""

from llvmlite import binding
from numba.core.compiler_machinery import register_pass
from numba.core.environment import lookup_environment
from numba.core.registry import cpu_target

from fastgrad.kernels.compiler.parts import (
    Library,
    PartCompiler,
    PartLowering,
    environments,
    set_environments,
)

_made = {}  # by symbols, the machine code that this process has heard of
_loaded = {}  # and the libraries of that which it has


class Code:
    """Machine code of a shared part: called, it is loaded, unless the process has it."""

    def __init__(self, symbol, code, needs, environments):
        self.symbol, self._parts = symbol, (code, needs, environments)

    def __reduce__(self):
        return made, (self.symbol, *self._parts)

    def __call__(self):
        if self.symbol in _loaded:
            return
        code, needs, environments = self._parts
        for need in needs:  # before what calls it: a symbol that is not known ends the process
            need()
        codegen = cpu_target.target_context.codegen()
        nothing = binding.parse_assembly("").as_bitcode()
        library = codegen.unserialize_library((self.symbol, "object", (code, nothing)))
        _loaded[self.symbol] = library
        for environment in environments:
            codegen.set_env(environment.env_name, environment)


def made(symbol, *parts):
    """Return the code of a symbol, of which there is but one object."""
    return _made.setdefault(symbol, Code(symbol, *parts))


class _Shared(Library):
    """The code of a shared part, of which others link nothing."""

    symbol = None

    def finalize(self):
        """Make machine code, and say how others come by it."""
        super().finalize()
        known = [e for e in map(lookup_environment, environments(self)) if e is not None]
        kept = [environment for environment in known if environment.can_cache()]
        code = Code(self.symbol, self._get_compiled_object(), tuple(self._reload_init), kept)
        # In the place of what came with the package, if need be: that is for more processors.
        _made[self.symbol], _loaded[self.symbol] = code, self
        self._reload_init = {code}
        set_environments(self)

    def _get_module_for_linking(self):
        self._ensure_finalized()
        if self._shared_module is None:
            empty = self._codegen._create_empty_module(self.name)
            self._shared_module = binding.parse_assembly(str(empty))
        return self._shared_module


@register_pass(mutates_CFG=True, analysis_only=False)
class _SharedLowering(PartLowering):
    """Lowers a part, and makes machine code of it."""

    _name = "fastgrad_shared_lowering"
    library = _Shared

    def run_pass(self, state):
        """Lower the function, and register its symbol."""
        super().run_pass(state)
        state.library.symbol = state["cr"].fndesc.llvm_func_name
        state.library.enable_object_caching()
        state.library.finalize()
        return True


class SharedCompiler(PartCompiler):
    """Compiles parts that kernels share."""

    lowering = _SharedLowering
