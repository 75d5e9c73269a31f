"""How kernels are compiled and run: the one module that knows Numba's options.

A kernel is written, and compiled, as the work on one chunk of many. Run serially it does all as one
chunk; in parallel, `run_chunks` calls the same machine code for every chunk, so only the bounds of
chunks can make a difference. No fast-math flag is set: every operation rounds once, as written, and
`intrinsics.fma` says where a product is fused.
"""

import functools
import hashlib
import math
import operator
import os
import threading
from typing import Any

import numba
import numpy as np
from numba._dispatcher import compute_fingerprint
from numba.core import config
from numba.core.compiler import Compiler
from numba.extending import intrinsic

from fastgrad.kernels.compiler import interrupts, threads
from fastgrad.kernels.compiler.cache import cached
from fastgrad.kernels.compiler.launch import KernelCompiler, run_chunks
from fastgrad.kernels.compiler.parts import PartCompiler, kept
from fastgrad.kernels.compiler.shared import SharedCompiler

if getattr(config, "DISABLE_JIT", False):
    raise ImportError(
        "fastgrad's kernels exist only as compiled code: unset NUMBA_DISABLE_JIT to import it"
    )

# error_model="numpy": a division that may raise ZeroDivisionError would not vectorise.
OPTIONS = {"error_model": "numpy", "nogil": True}
# Nobody calls what Python calls through ctypes, too, so it needs no entry for that.
CALLED = OPTIONS | {"no_cfunc_wrapper": True}
PART = {"pipeline_class": PartCompiler, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
PARALLEL_WORK = 1 << 15  # below so many elements, waking threads costs more than it saves
CHUNKS_PER_THREAD = 4
MAX_CHUNKS = 512

_lock = threading.Lock()  # of whatever is made when it is first needed


def named(function):
    """Name a function after what it closes over, too, and return it.

    Numba makes the symbols of machine code of a function's name, its types and a counter of the
    process. Two functions of one factory that were compiled in two processes may have one symbol,
    and a third process that loads both from the cache would run one for the other.
    """
    cells = [_name_of(cell.cell_contents) for cell in function.__closure__ or ()]
    if cells:
        mark = hashlib.sha256(repr(cells).encode()).hexdigest()[:8]
        function.__qualname__ += f"_{mark}"
    return function


def _name_of(content):
    """Return what tells one content of a cell from another, the same in every process."""
    if isinstance(content, (int, float, str, bytes, np.generic, np.dtype, type(None))):
        return repr(content)
    if isinstance(content, tuple):
        return [_name_of(item) for item in content]
    return getattr(getattr(content, "py_func", content), "__qualname__", type(content).__qualname__)


def inline(function=None, **options) -> Any:
    """Compile a scalar function that every caller inlines (what lets LLVM vectorise its loop)."""
    if function is None:
        return functools.partial(inline, **options)
    return kept(numba.njit(forceinline=True, **options, **PART, **OPTIONS)(named(function)))


def block(function=None, **options) -> Any:
    """Compile the serial work on one block of rows, called from kernels."""
    if function is None:
        return functools.partial(block, **options)
    options = PART | options
    # Said, or it would be put into its callers where the first one that asks for it is `inline`.
    options["forceinline"] = False
    return kept(numba.njit(**options, **OPTIONS)(named(function)))


def shared(function) -> Any:
    """Compile a `block` to machine code that is there once for all kernels which call it.

    It is for `wide_vectors` of several kernels: nobody inlines those.
    """
    return block(function, pipeline_class=SharedCompiler)


def standalone(function) -> Any:
    """Compile a serial function that is called from Python."""
    return numba.njit(**CALLED)(named(function))


@intrinsic
def wide_vectors(typingctx):
    """Let LLVM use 512-bit registers in the calling function (it halves them on some CPUs)."""

    def codegen(context, builder, signature, args):
        # llvmlite's own `add` knows no attribute that has a value.
        attributes = builder.function.attributes
        set.add(attributes, '"prefer-vector-width"="512"')
        if "alwaysinline" not in attributes:  # inlined elsewhere, the width would be lost
            attributes.add("noinline")
        return context.get_dummy_value()

    return numba.types.none(), codegen


@inline
def chunk_bounds(n, chunk, chunks):
    """Return the first of n items that belongs to a chunk, and the one after its last."""
    return chunk * n // chunks, (chunk + 1) * n // chunks


@inline
def chunk_range(n, chunk, chunks):
    """Return the range of those of n items that belong to a chunk."""
    return range(chunk * n // chunks, (chunk + 1) * n // chunks)


def callback(function, mark):
    """Compile a C function of one word, which returns one; return its address and what has it.

    It is in the cache by a mark that says what it closes over.
    """
    dispatcher = cached(numba.njit(**OPTIONS)(named(function)), mark)
    dispatcher.compile((numba.types.int64,))
    (overload,) = dispatcher.overloads.values()
    with interrupts.held():
        name = overload.fndesc.llvm_cfunc_wrapper_name
        return overload.library.get_pointer_to_function(name), dispatcher


class Compiled:
    """A function that is compiled when it is first needed, for the types that it then meets."""

    compiler = Compiler

    def __init__(self, function, **options):
        self.function, self.options = named(function), CALLED | options
        self._dispatcher, self._addresses = None, {}
        functools.update_wrapper(self, function)

    @property
    def dispatcher(self):
        """What Numba makes of the function: only ever one, since addresses outlive calls."""
        if self._dispatcher is None:
            with _lock:
                if self._dispatcher is None:
                    decorate = numba.njit(pipeline_class=self.compiler, **self.options)
                    self._dispatcher = cached(decorate(self.function))
        return self._dispatcher

    def address(self, *args):
        """Return where the machine code for arguments of these types is."""
        fingerprint = compute_fingerprint(args)
        found = self._addresses.get(fingerprint)
        if found is None:
            found = self._addresses[fingerprint] = self.address_for(tuple(map(numba.typeof, args)))
        return found

    def address_for(self, signature):
        """Return where the machine code for these types is."""
        self.dispatcher.compile(signature)
        overload = self.dispatcher.overloads[signature]
        with interrupts.held():
            return overload.library.get_pointer_to_function(overload.fndesc.llvm_func_name)


class Kernel(Compiled):
    """The work `function(chunk, chunks, ...)` on one chunk of many.

    Calling ``kernel(...)`` runs several chunks in parallel where that pays and is safe, and
    otherwise all as one; both give the same bits. What a call costs, in elements of the most common
    kernels, is said by `cost`: a function of some of its arguments, which it calls by their names.
    """

    compiler = KernelCompiler

    def __init__(self, function, cost):
        super().__init__(function)
        names = _parameters(function)[2:]
        places = [names.index(name) for name in _parameters(cost)]
        self.cost, one = cost, len(places) == 1
        # A slice for a single one, as what is picked is a tuple then too.
        pick = [slice(places[0], places[0] + 1)] if one else places
        self._of_cost = operator.itemgetter(*pick)

    def __call__(self, *args) -> Any:
        chunks = plan(self.cost(*self._of_cost(args)))
        if chunks == 1:
            (self._dispatcher or self.dispatcher)(0, 1, *args)
        else:
            self.run(chunks, *args)

    def run(self, chunks, *args) -> Any:
        """Run the chunks in parallel."""
        threading_layer()  # compiling the runner would start the threads as Numba does
        runner = _runner.address(0, 0, 0)
        if threads.limit() == threads.MOST:
            self.dispatcher(runner, chunks, *args)
        else:
            with threads.masked():
                self.dispatcher(runner, chunks, *args)


def _parameters(function):
    code = function.__code__
    return code.co_varnames[: code.co_argcount]


def kernel(cost):
    """Make a kernel of the function below, whose calls cost so much: see `Kernel`."""
    return functools.partial(Kernel, cost=cost)


_runner = Compiled(run_chunks)


# -- whether to --------------------------------------------------------------------------------


def plan(work):
    """Return the number of chunks for so much work: 1 means serial."""
    if work < PARALLEL_WORK:
        return 1
    count = threads.count()
    if count == 1 or not _parallel_is_safe():
        return 1
    most = min(count * CHUNKS_PER_THREAD, MAX_CHUNKS)
    return min(most, math.ceil(work / (PARALLEL_WORK // 8)))


_forked = False
_layer = None


def _mark_forked():
    global _forked, _lock
    _forked, _lock = True, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_mark_forked)


def _parallel_is_safe():
    # OpenMP ends a forked child at its first parallel region; workqueue aborts the process when
    # two threads enter at once.
    if _forked:
        return False
    if threading_layer() == "workqueue":
        return threading.current_thread() is threading.main_thread()
    return True


def threading_layer():
    """Return the name of Numba's threading layer, starting it when it has not been."""
    global _layer
    if _layer is None:
        with _lock:
            if _layer is None:
                threads.start()
                _layer = numba.threading_layer()
    return _layer
