"""All chunks of a kernel in parallel: calls of the machine code that runs them serially too.

Numba's parallel code takes twice as long to compile as serial code, and a single loop of it most
of a second. So there is only one parallel loop, `run_chunks`: it hands calls of a C function, its
task, to Numba's threads. Each kernel is compiled with a task and an entry of its own:

    inside(chunk, chunks, ...)    the kernel as written
    task(data, chunk, chunks)     inside(chunk, chunks, what is at the address `data`)
    entry(chunk, chunks, ...)     inside(chunk, chunks, ...); but where `chunk` is the address of
                                  `run_chunks`, that is called with the task, the address of the
                                  arguments, and chunks

Entry and task put the processor's float mode in order and back again. Subnormals are flushed
to zero wherever XLA runs callbacks and after ``torch.set_flush_denormal(True)``, and threads are
born with the mode of the thread that starts them: without this, results would depend on them.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.compiler_machinery import register_pass
from numba.core.typed_passes import NativeLowering
from numba.extending import intrinsic

from fastgrad.kernels.compiler import threads
from fastgrad.kernels.compiler.lowering import LeanLower
from fastgrad.kernels.compiler.modes import float_mode
from fastgrad.kernels.compiler.parts import Library, set_environments
from fastgrad.kernels.compiler.passes import LeanCompiler

WORD = ir.IntType(64)
NO_ADDRESS = 1 << 16  # below it no code stands, and all numbers of chunks
TASK = ir.FunctionType(WORD, [WORD] * 3)  # (where the data is, chunk, chunks) -> whether it failed


WORDS = WORD.as_pointer()
# What a thread calls: (where each begins, how many, how far apart, what all share).
SHARE = ir.FunctionType(ir.VoidType(), [WORDS] * 4)


def run_chunks(task, data, chunks):
    """Call a task for every chunk, on Numba's threads."""
    if call_task(task, data, chunks):
        raise MemoryError("a kernel could not allocate its scratch memory")


@intrinsic
def call_task(typingctx, task, data, chunks):
    """Call a C function of type TASK for every chunk; return whether one failed."""

    def codegen(context, builder, signature, values):
        threads.start()  # their symbols are known then
        context.active_code_library._reload_init.add(threads.start)
        module, byte = builder.module, ir.IntType(8).as_pointer()
        start = ir.FunctionType(ir.VoidType(), [byte] * 5 + [WORD] * 3)
        start = cgutils.get_or_insert_function(module, start, "numba_parallel_for")
        count = ir.FunctionType(WORD, [])
        count = cgutils.get_or_insert_function(module, count, "get_num_threads")
        task, data, chunks = values
        # A thread's first chunk is where its share begins, in an array of bytes at address 0.
        all_of = [[WORD(0)], [chunks], [WORD(1)], [task, data, chunks, WORD(0)]]
        places = []
        for words in all_of:
            place = cgutils.alloca_once(builder, ir.ArrayType(WORD, len(words)))
            places.append(builder.bitcast(place, WORDS))
            for i, word in enumerate(words):
                builder.store(word, builder.gep(places[-1], [WORD(i)]))
        share = builder.bitcast(_share(module), byte)
        pointers = [builder.bitcast(place, byte) for place in places]
        threads_now = builder.call(count, [])
        builder.call(start, [share, *pointers, WORD(0), WORD(1), threads_now])
        return builder.load(builder.gep(places[-1], [WORD(3)]))

    return types.int64(types.int64, types.int64, types.int64), codegen


def _share(module):
    """Emit what calls a task for some chunks in a row, and says whether one failed."""
    share = ir.Function(module, SHARE, "fastgrad.share")
    share.linkage = "internal"
    first, number, _, shared = share.args
    builder = ir.IRBuilder(share.append_basic_block("entry"))
    task, data, chunks = (builder.load(builder.gep(shared, [WORD(i)])) for i in range(3))
    task, first = builder.inttoptr(task, TASK.as_pointer()), builder.load(first)
    with cgutils.for_range(builder, builder.load(number)) as loop:
        failed = builder.call(task, [data, builder.add(first, loop.index), chunks])
        with builder.if_then(builder.icmp_signed("!=", failed, WORD(0)), likely=False):
            place = builder.gep(shared, [WORD(3)])
            builder.store_atomic(WORD(1), place, ordering="monotonic", align=8)
    builder.ret_void()
    return share


def _borrowed(context, builder, kind, value):
    """Return an argument whose arrays, in tuples too, nobody counts.

    Threads that count the users of one array wait for each other.
    """
    if isinstance(kind, types.Array):
        array = context.make_array(kind)(context, builder, value)
        array.meminfo = cgutils.get_null_value(array.meminfo.type)
        return array._getvalue()
    if isinstance(kind, types.BaseTuple):
        for i, part in enumerate(kind.types):
            lent = _borrowed(context, builder, part, builder.extract_value(value, i))
            value = builder.insert_value(value, lent, i)
    return value


class _Lower(LeanLower):
    """Emits a kernel as `inside`, and then its task and its entry."""

    def setup_function(self, fndesc):
        conventions, name = self.call_conv, f"{fndesc.llvm_func_name}.inside"
        kind = conventions.get_function_type(fndesc.restype, fndesc.argtypes)
        self.function = ir.Function(self.module, kind, name)
        conventions.decorate_function(self.function, fndesc.args, fndesc.argtypes, fndesc.noalias)
        # Opaque to its callers: no operation of floats moves out, past the setting of the mode.
        self.function.attributes.add("noinline")
        self.function.linkage = "linkonce_odr"
        self.builder = ir.IRBuilder(self.function.append_basic_block("entry"))
        self.entry_block = self.builder.block
        self.call_helper = conventions.init_call_helper(self.builder)

    def lower_normal_function(self, fndesc):
        super().lower_normal_function(fndesc)
        kinds = fndesc.argtypes
        struct = ir.LiteralStructType([self.context.get_value_type(kind) for kind in kinds[2:]])
        self._emit_entry(fndesc, struct, self._emit_task(fndesc, struct))

    def _emit_task(self, fndesc, struct):
        task = ir.Function(self.module, TASK, f"{fndesc.llvm_func_name}.task")
        task.linkage = "internal"
        builder = ir.IRBuilder(task.append_basic_block("entry"))
        data, chunk, chunks = task.args
        data = builder.inttoptr(data, struct.as_pointer())
        places = (cgutils.gep_inbounds(builder, data, 0, i) for i in range(len(struct.elements)))
        args = [chunk, chunks, *map(builder.load, places)]
        with float_mode(builder):
            status, _ = self.call_conv.call_function(
                builder, self.function, fndesc.restype, fndesc.argtypes, args
            )
        builder.ret(builder.zext(status.is_error, WORD))
        return task

    def _emit_entry(self, fndesc, struct, task):
        entry = self.context.declare_function(self.module, fndesc)
        builder = ir.IRBuilder(entry.append_basic_block("entry"))
        self.call_conv.init_call_helper(builder)
        chunk, chunks, *args = self.call_conv.decode_arguments(builder, fndesc.argtypes, entry)
        with builder.if_then(builder.icmp_unsigned(">=", chunk, WORD(NO_ADDRESS)), likely=False):
            data = cgutils.alloca_once(builder, struct)
            for i, pair in enumerate(zip(fndesc.argtypes[2:], args)):
                lent = _borrowed(self.context, builder, *pair)
                builder.store(lent, cgutils.gep_inbounds(builder, data, 0, i))
            words = [builder.ptrtoint(x, WORD) for x in (task, data)]
            kind = self.call_conv.get_function_type(types.none, [types.int64] * 3)
            runner = builder.inttoptr(chunk, kind.as_pointer())
            # The runner's failure is the entry's own: it is put where the entry's caller looks.
            builder.ret(builder.call(runner, [*entry.args[:2], *words, chunks]))
        with float_mode(builder):
            code = builder.call(self.function, entry.args)
        builder.ret(code)


@register_pass(mutates_CFG=True, analysis_only=False)
class _Lowering(NativeLowering):
    _name = "fastgrad_kernel_lowering"

    @property
    def lowering_class(self):
        return _Lower

    def run_pass(self, state):
        state.library = Library(state.targetctx.codegen(), state.func_id.func_qualname)
        state.library.enable_object_caching()
        super().run_pass(state)
        if state["cr"].cfunc is not None:
            set_environments(state.library)
        return True


class KernelCompiler(LeanCompiler):
    """Compiles functions, with what `_Lower` emits beside them."""

    lowering = _Lowering
