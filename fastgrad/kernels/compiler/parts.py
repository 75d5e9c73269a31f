"""Functions that exist in kernels only, and so are optimised and turned into machine code there.

Numba finishes each function that it compiles: whatever the function calls is linked into it,
optimised again, and turned into machine code. In a chain of calls the innermost is finished as
often as the chain is long, and all that work is thrown away but for the last. A part is left as
it was written, with the parts that it calls, until a kernel links it: that is optimised once.

Parts of this package are kept on disk beside kernels: what one process has compiled, others link
into kernels of their own.
"""

import contextlib
import ctypes
import functools
import os
import pathlib
import types
import uuid

import numpy as np
from llvmlite import binding
from numba import _dynfunc
from numba.core import ir
from numba.core.caching import CompileResultCacheImpl
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompileResult
from numba.core.compiler_machinery import register_pass
from numba.core.environment import lookup_environment
from numba.core.typed_passes import NativeLowering
from numba.core.types import Dispatcher

from fastgrad.kernels.compiler import cache
from fastgrad.kernels.compiler.addresses import VIEWING
from fastgrad.kernels.compiler.cache_files import digest
from fastgrad.kernels.compiler.lowering import LeanLower
from fastgrad.kernels.compiler.passes import VIEWS, LeanCompiler

_PROCESS = uuid.uuid4().hex[:12]


def _mark_forked():
    global _PROCESS
    _PROCESS = uuid.uuid4().hex[:12]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_mark_forked)


class Library(JITCodeLibrary):
    """The code of a function, all of which is optimised when it is finished."""

    def _passes_of_functions(self):
        """Return what passes the functions of a module go through, and for which processor.

        They move variables into registers, and no more: optimising all begins with the rest.
        """
        _, builder = self._codegen._function_pass_manager()
        manager = binding.create_new_function_pass_manager()
        manager.add_sroa_pass()
        manager.add_simplify_cfg_pass()
        return manager, builder

    def _optimize_functions(self, module):
        """Shorten the functions of a module; Numba begins with mere declarations, too."""
        module.data_layout = self._codegen._data_layout
        for function in module.functions:
            if not function.is_declaration:
                manager, builder = self._passes_of_functions()
                manager.run(function, builder)


class _Unfinished(Library):
    """The code of a part, linked with that of the parts which it calls, and not yet optimised."""

    def _passes_of_functions(self):
        """Return all passes of functions: what they leave is read by every kernel that calls it."""
        return self._codegen._function_pass_manager()

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


def _entry(library, fndesc, environment):
    """Return what stands for machine code of a part."""
    name, module = fndesc.qualname.rpartition(".")[2], fndesc.lookup_module()
    return _dynfunc.make_function(module, name, "", _REFUSAL, environment, (library,))


class _Lower(LeanLower):
    """Lowers a part without the addresses of the functions that it calls by their symbols.

    Numba keeps them in variables that only optimising removes, and an address is no other
    process's.
    """

    def lower_assign(self, ty, inst):
        if isinstance(ty, Dispatcher) and isinstance(inst.value, (ir.Global, ir.FreeVar)):
            return self.context.get_dummy_value()
        return super().lower_assign(ty, inst)


def _only_borrows(state):
    """Return whether no array is made or returned by a part: it need not count any then.

    Whoever calls it holds those that it is given. Each count is atomic, and costs as much as a
    small loop; and a sixth of all instructions that `fg.relax` is compiled from would be for that.
    """
    manager, typemap = state.targetctx.data_model_manager, state.typemap

    def counted(kind):
        return manager[kind].contains_nrt_meminfo()

    def borrows(instruction):
        if isinstance(instruction, (ir.SetItem, ir.StaticSetItem)):  # from one that may overlap
            return not counted(typemap[instruction.value.name])
        value = getattr(instruction, "value", None)
        if not isinstance(instruction, ir.Assign) or not isinstance(value, ir.Expr):
            return True
        if not counted(typemap[instruction.target.name]):
            return True
        if value.op == "call":
            return getattr(typemap[value.func.name], "typing_key", None) in VIEWING
        if value.op == "getitem" and counted(typemap[value.index.name]):
            return False
        return value.op in VIEWS

    blocks = state.func_ir.blocks.values()
    return not counted(state.return_type) and all(
        borrows(instruction) for block in blocks for instruction in block.body
    )


@register_pass(mutates_CFG=True, analysis_only=False)
class PartLowering(NativeLowering):
    """Lowers a part, and makes it known to its callers, without machine code."""

    _name = "fastgrad_part_lowering"
    library = _Unfinished

    @property
    def lowering_class(self):
        return _Lower

    def run_pass(self, state):
        """Lower the function, and register its code for linking."""
        flags, context = state.flags, state.targetctx
        state.library = self.library(context.codegen(), state.func_id.func_qualname)
        flags.no_compile = True
        context.enable_nrt = context.enable_nrt and not _only_borrows(state)
        try:
            super().run_pass(state)
        finally:
            flags.no_compile = False
        result = state["cr"]
        entry = _entry(state.library, result.fndesc, result.env)
        context.insert_user_function(entry, result.fndesc, [state.library])
        state["cr"] = result._replace(cfunc=entry)
        return True


class PartCompiler(LeanCompiler):
    """Compiles functions, but stops before it optimises them.

    Numba makes symbols of a counter of the process. Those of parts are the same in every process:
    code of several can be linked, and there is one copy of what is in it more than once.
    """

    lowering = PartLowering

    def _compile_bytecode(self):
        function = self.state.func_id
        function.unique_id = symbol(function.func) or f"{function.unique_id}_{_PROCESS}"
        return super()._compile_bytecode()


@functools.cache
def symbol(function):
    """Return a word for a function of this package, or None if it may be one of several."""
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    path = function.__code__.co_filename
    try:
        names = [_name_of(content) for content in cells]
    except _Unknown:
        return None
    if not pathlib.Path(path).is_relative_to(cache.ROOT.parent):
        return None
    return digest(cache.source_digest(path), function.__code__.co_firstlineno, names)[:16]


class _Unknown(Exception):
    """Says that an object has no name that is the same in every process."""


def _name_of(content):
    """Return what tells one content of a cell from another."""
    if isinstance(content, (int, float, str, bytes, np.generic, np.dtype, type(None))):
        return type(content).__name__, repr(content)
    if isinstance(content, tuple):
        return [_name_of(item) for item in content]
    if isinstance(content, type):
        return content.__module__, content.__qualname__
    function = getattr(content, "py_func", content)
    if not isinstance(function, types.FunctionType) or not symbol(function):
        raise _Unknown
    return function.__module__, function.__qualname__, symbol(function)


def environments(library):
    """Return the names of the environments of all functions in a library."""
    names = (variable.name for variable in library._final_module.global_variables)
    return [name for name in names if name.startswith("_ZN08NumbaEnv")]


def set_environments(library):
    """Tell machine code where the environments of the parts linked into it are."""
    for name in environments(library):
        environment = lookup_environment(name)
        if environment is not None:
            library.codegen.set_env(name, environment)


# -- on disk -----------------------------------------------------------------------------------


class _Stored(CompileResultCacheImpl):
    """A part as it is kept: what its callers must know of it, and the code of all that it calls."""

    def reduce(self, result):
        """Return what can be pickled."""
        fndesc = result.fndesc
        fndesc.typemap = fndesc.calltypes = None  # nobody needs them, as Numba says of its own
        code = result.library._get_module_for_linking().as_bitcode()
        environments = result.environment, result._find_referenced_environments()
        needed = tuple(result.library._reload_init)  # by what it calls, too, as that is linked now
        return code, fndesc, result.signature, needed, environments

    def check_cachable(self, result):
        """Return whether it is the same in every process: it names no object by its address."""
        addressed = result.library.has_dynamic_globals or " at 0x" in repr(result.signature)
        return not addressed

    def rebuild(self, context, payload):
        """Return what `reduce` was given."""
        code, fndesc, signature, reload_init, (environment, environments) = payload
        for function in reload_init:
            function()
        library = _Unfinished(context.codegen(), fndesc.qualname)
        library._final_module = library._shared_module = binding.parse_bitcode(code)
        library._reload_init.update(reload_init)
        library._finalized = True
        nothing = dict.fromkeys(CompileResult._fields)
        return CompileResult(
            **nothing
            | {
                "typing_context": context.typing_context,
                "target_context": context,
                "entry_point": _entry(library, fndesc, environment),
                "signature": signature,
                "objectmode": False,
                "lifted": (),
                "fndesc": fndesc,
                "library": library,
                "environment": environment,
                "reload_init": reload_init,
                "referenced_envs": environments,
            }
        )


class _Parts(cache.Kept):
    """The files of one part. They are no kernels, as their ending says."""

    _impl_class, suffix = _Stored, ".nbp"

    def _index_key(self, signature, codegen):
        return signature, codegen.magic_tuple(), symbol(self._py_func)


def kept(dispatcher):
    """Let the overloads of a part be kept on disk, and return it.

    Its files are looked for when it is first needed: most processes need few of all parts.
    """
    compile_ = dispatcher.compile

    @functools.cache
    def files():
        function = dispatcher.py_func
        return cache.opened(_Parts, function) if symbol(function) else None

    def compile_or_load(signature):
        if files() is None:
            return compile_(signature)
        dispatcher._cache = files()
        with contextlib.closing(files()):
            return compile_(signature)

    dispatcher.compile = compile_or_load
    return dispatcher
