"""The passes that compile kernels: Numba's, but for those that look for what kernels never have.

Numba asks of every function whether it has closures, blocks of `with`, loops to unroll or functions
to put in place; and of every pass, how long it took and whether it kept to the rules.
"""

from numba.core import compiler
from numba.core import untyped_passes as untyped
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import PassManager
from numba.core.typed_passes import (
    AnnotateTypes,
    DumpParforDiagnostics,
    NativeLowering,
    NoPythonSupportedFeatureValidation,
)

UNUSED = {
    untyped.WithLifting,
    untyped.InlineClosureLikes,
    untyped.RewriteDynamicRaises,
    untyped.MakeFunctionToJitFunction,
    untyped.InlineInlinables,
    untyped.FindLiterallyCalls,
    untyped.LiteralUnroll,
    untyped.LiteralPropagationSubPipelinePass,
    NoPythonSupportedFeatureValidation,
    AnnotateTypes,
    DumpParforDiagnostics,
}


class _Passes(PassManager):
    """Runs passes one after the other, and does no more."""

    def _runPass(self, index, one, state):
        one.analysis = self._analysis
        for step in (one.run_initialization, one.run_pass, one.run_finalizer):
            step(state)


class Flags(compiler.Flags):
    """Numba's, which are part of the key of every call that it looks up: told apart at once.

    Numba lists all of them anew for each hash, which is one of their names only, and comparison.
    """

    _hash = hash(compiler.Flags())

    def __hash__(self):
        return self._hash

    def __eq__(self, other):
        if isinstance(other, compiler.Flags) and self._values == other._values:
            return True
        return super().__eq__(other)


class LeanCompiler(CompilerBase):
    """Compiles functions for the processor, by a pass of its own where they are lowered."""

    lowering = NativeLowering

    def __init__(self, typingctx, targetctx, library, args, return_type, flags, locals):
        flags = Flags(flags)
        super().__init__(typingctx, targetctx, library, args, return_type, flags, locals)

    def define_pipelines(self):
        """Return the passes."""
        manager = _Passes("fastgrad")
        for kind, text in DefaultPassBuilder.define_nopython_pipeline(self.state).passes:
            if kind not in UNUSED:
                manager.add_pass(self.lowering if kind is NativeLowering else kind, text)
        manager.finalize()
        return [manager]
