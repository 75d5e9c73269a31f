"""Functions that exist in kernels only, and so are optimised and turned into machine code there.

Numba finishes each function that it compiles: whatever the function calls is linked into it,
optimised again, and turned into machine code. In a chain of calls the innermost is finished as
often as the chain is long, and all that work is thrown away but for the last. A part is left as
it was written, with the parts that it calls, until a kernel links it: that is optimised once.
"""

import ctypes

from numba import _dynfunc
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import register_pass
from numba.core.environment import lookup_environment
from numba.core.typed_passes import NativeLowering


class _Unfinished(JITCodeLibrary):
    """The code of a part, linked with that of the parts which it calls, and not yet optimised."""

    def finalize(self):
        """Link what is called; leave all else to whoever links this."""
        self._raise_if_finalized()
        for library in dict.fromkeys(self._linking_libraries):
            self._reload_init.update(library._reload_init)
            self._final_module.link_in(library._get_module_for_linking(), preserve=True)
        self._finalize_dynamic_globals()
        self._finalized = True

    def get_pointer_to_function(self, name):
        """Return 0: there is no machine code."""
        return 0


# What Python finds if it calls a part: a function that sets a TypeError and returns NULL.
_REFUSAL = ctypes.cast(ctypes.pythonapi.PyErr_BadArgument, ctypes.c_void_p).value


@register_pass(mutates_CFG=True, analysis_only=False)
class _PartLowering(NativeLowering):
    """Lowers a part, and makes it known to its callers, without machine code."""

    _name = "fastgrad_part_lowering"

    def run_pass(self, state):
        """Lower the function, and register its code for linking."""
        flags, context = state.flags, state.targetctx
        state.library = _Unfinished(context.codegen(), state.func_id.func_qualname)
        flags.no_compile = True
        try:
            super().run_pass(state)
        finally:
            flags.no_compile = False
        result, name = state["cr"], state.func_id.func_name
        entry = _dynfunc.make_function(
            result.fndesc.lookup_module(), name, "", _REFUSAL, result.env, (state.library,)
        )
        context.insert_user_function(entry, result.fndesc, [state.library])
        state.reload_init.extend(state.library._reload_init)
        state["cr"] = result._replace(cfunc=entry)
        return True


class PartCompiler(CompilerBase):
    """Numba's compiler, but that it stops before it optimises."""

    def define_pipelines(self):
        """Return the passes of Numba, the last of them replaced."""
        manager = DefaultPassBuilder.define_nopython_pipeline(self.state, "fastgrad_part")
        manager.passes = [
            (_PartLowering if kind is NativeLowering else kind, text)
            for kind, text in manager.passes
        ]
        manager.finalize()
        return [manager]


def set_environments(library):
    """Tell machine code where the environments of the parts linked into it are."""
    for variable in library._final_module.global_variables:
        if variable.name.startswith("_ZN08NumbaEnv"):
            environment = lookup_environment(variable.name)
            if environment is not None:
                library.codegen.set_env(variable.name, environment)
