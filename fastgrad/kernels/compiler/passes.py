"""The passes that compile kernels: Numba's, but for those that look for what kernels never have.

Numba asks of every function whether it has closures, blocks of `with`, loops to unroll or functions
to put in place; and of every pass, how long it took and whether it kept to the rules.
"""

import operator

import numpy as np
from numba.core import compiler, entrypoints, ir, postproc, transforms, types
from numba.core import untyped_passes as untyped
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import FunctionPass, PassManager, register_pass
from numba.core.registry import cpu_target
from numba.core.typed_passes import (
    AnnotateTypes,
    DumpParforDiagnostics,
    NativeLowering,
    NopythonRewrites,
    NoPythonSupportedFeatureValidation,
    PreLowerStripPhis,
)
from numba.cpython.builtins import do_minmax
from numba.extending import intrinsic

from fastgrad.kernels.compiler import blas

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


# After these Numba looks where each variable is used, which only the last of all passes need know.
SHAPING = (
    untyped.IRProcessing,
    untyped.DeadBranchPrune,
    untyped.GenericRewrites,
    untyped.ReconstructSSA,
    PreLowerStripPhis,
)


class _Processor(postproc.PostProcessor):
    """Numba's, but that it looks at variables when it is asked for them."""

    def run(self, emit_dels=False, **options):
        """Do what must be done after each change of a function."""
        function = self.func_ir
        if emit_dels or function.is_generator:
            return super().run(emit_dels, **options)
        function.blocks = transforms.canonicalize_cfg(function.blocks)
        function.variable_lifetime = postproc.VariableLifetime(function.blocks)
        function.generator_info = None


class _Passes(PassManager):
    """Runs passes one after the other, and does no more."""

    def _runPass(self, index, one, state):
        one.analysis = self._analysis
        once = postproc.PostProcessor
        if isinstance(one, SHAPING):  # these compile nothing else, and nobody else compiles
            postproc.PostProcessor = _Processor
        try:
            for step in (one.run_initialization, one.run_pass, one.run_finalizer):
                step(state)
        finally:
            postproc.PostProcessor = once


def _extreme(comparison):
    """Return what compares two numbers as Python's `max` or `min`, in compiled code only."""

    @intrinsic
    def extreme(typingctx, a, b):
        if not all(isinstance(kind, (types.Number, types.Boolean)) for kind in (a, b)):
            return None

        def codegen(context, builder, signature, args):
            return do_minmax(context, builder, signature.args, args, comparison)

        return typingctx.unify_types(a, b)(a, b), codegen

    return extreme


# What gives a view of an array, or of what holds it, and makes none.
VIEWS = {"getitem", "static_getitem", "getattr", "build_tuple", "exhaust_iter", "cast", "phi"}
EXTREMES = {"max": (max, _extreme(operator.gt)), "min": (min, _extreme(operator.lt))}


@register_pass(mutates_CFG=False, analysis_only=False)
class _Extremes(FunctionPass):
    """Lets `max` and `min` of two numbers be a comparison.

    Numba compiles a function of its own for each pair of types, to machine code and in every
    process, and a kernel has several.
    """

    _name = "fastgrad_extremes"

    def __init__(self):
        super().__init__()

    def run_pass(self, state):
        """Put what is shorter in place of the functions."""
        loaded, copied, pairs = {}, {}, set()
        for block in state.func_ir.blocks.values():
            for assignment in block.find_insts(ir.Assign):
                value = assignment.value
                if isinstance(value, ir.Global) and value.name in EXTREMES:
                    loaded[assignment.target.name] = value
                elif isinstance(value, ir.Expr) and value.op == "call" and len(value.args) == 2:
                    pairs.add(value.func.name)
                elif isinstance(value, ir.Var):  # from block to block
                    copied[assignment.target.name] = value.name
        for name in {copied.get(name, name) for name in pairs} & loaded.keys():
            function, shorter = EXTREMES[loaded[name].name]
            if loaded[name].value is function:
                loaded[name].value = shorter
        return True


@register_pass(mutates_CFG=True, analysis_only=False)
class _Rewrites(NopythonRewrites):
    """Puts one loop in place of operations on whole arrays, where there are any."""

    _name = "fastgrad_rewrites"

    def run_pass(self, state):
        """Look for such operations, and do as Numba does if there is one."""
        typemap, blocks = state.typemap, state.func_ir.blocks.values()

        def computed(assignment):
            value = assignment.value
            if not isinstance(value, ir.Expr) or value.op in VIEWS:
                return False
            if not isinstance(typemap[assignment.target.name], types.Array):
                return False
            if value.op != "call":
                return True
            return isinstance(getattr(typemap[value.func.name], "typing_key", None), np.ufunc)

        found = any(computed(one) for block in blocks for one in block.find_insts(ir.Assign))
        return found and super().run_pass(state)


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


def prepare():
    """Import what compiling needs, as Numba does before whatever it compiles, or loads."""
    entrypoints.init_all()
    blas.take_for_granted()


def prepare_for_copies():
    """Have all that every process which compiles would come by, before this one is copied."""
    prepare()
    cpu_target.target_context.refresh()


class LeanCompiler(CompilerBase):
    """Compiles functions for the processor, by a pass of its own where they are lowered."""

    lowering = NativeLowering

    def __init__(self, typingctx, targetctx, library, args, return_type, flags, locals):
        flags = Flags(flags)
        prepare()
        super().__init__(typingctx, targetctx, library, args, return_type, flags, locals)

    def define_pipelines(self):
        """Return the passes."""
        manager = _Passes("fastgrad")
        ours = {NativeLowering: self.lowering, NopythonRewrites: _Rewrites}
        for kind, text in DefaultPassBuilder.define_nopython_pipeline(self.state).passes:
            if kind not in UNUSED:
                manager.add_pass(ours.get(kind, kind), text)
            if kind is untyped.IRProcessing:
                manager.add_pass(_Extremes, "comparisons of two numbers")
        manager.finalize()
        return [manager]
