"""Elementary functions against NumPy at higher precision, and the instructions they compile to."""

import functools
import platform
import re
import sys

import llvmlite.binding as llvm
import numba
import numpy as np
import pytest
from numba.core.dispatcher import Dispatcher
from strategies import DTYPES

from fastgrad.kernels.compiler import jit
from fastgrad.kernels.compiler.shared import SharedCompiler
from fastgrad.kernels.distributions import (
    categorical,
    concrete,
    concrete_ratios,
    concrete_ratios_given,
)
from fastgrad.kernels.distributions import categorical_entropy as entropy
from fastgrad.kernels.distributions import categorical_inverse as inverse
from fastgrad.kernels.estimators.score_functions import vimco
from fastgrad.kernels.random import noise
from fastgrad.kernels.random.bits import fill_bits
from fastgrad.kernels.simd import special
from fastgrad.kernels.tiles import columns

INF, NAN = np.inf, np.nan
X86 = platform.machine().lower() in {"x86_64", "amd64"}
LONG = np.finfo(np.longdouble).nmant > np.finfo(np.float64).nmant
KERNELS = "fastgrad.kernels."
PRIME = 1009  # bit patterns are tried at this stride


def array_function(function):
    """Compile a loop that applies a scalar function to an array."""

    @jit.standalone
    def loop(x, out):
        jit.wide_vectors()
        for i in range(x.size):
            out[i] = function(x[i])

    return loop


def _sigmoid(x):
    return np.where(x < 0, np.exp(x), 1) / (1 + np.exp(-np.abs(x)))


def _softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def _cos_2pi(x):
    quarter = np.rint(4 * x)  # the rest is exact
    z = 2 * _pi(x) * (x - quarter / 4)
    even = np.where(quarter % 4 == 2, -1, 1) * np.cos(z)
    return np.where(quarter % 2 == 0, even, np.where(quarter % 4 == 1, -1, 1) * np.sin(z))


def _exp_raised(x):
    return np.exp(x) * x.dtype.type(2.0 ** (40 if x.dtype == np.float64 else 80))


@jit.inline
def exp_bounded(x):
    return special.exp_bounded(special.clamped(x))


def _pi(x):
    """Pi in the precision of x."""
    return np.longdouble("3.14159265358979323846264338327950288").astype(x.dtype)


FUNCTIONS = {
    "log": np.log,
    "log_normal": np.log,
    "log1p": np.log1p,
    "exp": np.exp,
    "exp_normal": np.exp,
    "exp_bounded": np.exp,
    "exp_raised": _exp_raised,  # of float32 in float64, of float64 in longdouble
    "expm1": np.expm1,
    "sigmoid": _sigmoid,
    "softplus": _softplus,
    "cos_2pi": _cos_2pi,
}
OWN = {"exp_bounded": exp_bounded}
LOOPS = {name: array_function(OWN.get(name) or getattr(special, name)) for name in FUNCTIONS}
by_name = pytest.mark.parametrize("name", FUNCTIONS)
by_dtype = pytest.mark.parametrize("dtype", DTYPES)


def apply(name, x):
    out = np.empty_like(x)
    LOOPS[name](x, out)
    return out


def domain(name, x):
    """Return the entries of x for which a function promises something."""
    info = np.finfo(x.dtype)
    if name == "log_normal":
        return x[(x >= info.tiny) & (x < INF)]
    if name in ("exp_normal", "exp_bounded"):
        return x[(x >= np.log(info.tiny)) & (x <= (88 if x.dtype == np.float32 else 709))]
    if name == "exp_raised":
        raised = 40 if x.dtype == np.float32 else 80
        return x[(x >= np.log(info.tiny) - raised * np.log(2) + 1e-5) & (x <= 0)]
    if name == "cos_2pi":
        return x[(x >= 0) & (x <= 1)]
    return x


def rank(x):
    """Return the place of each float among all floats: neighbours differ by 1, -0 and 0 by none."""
    i = x.view(np.int32 if x.dtype == np.float32 else np.int64)
    lowest = np.iinfo(i.dtype).min
    return np.where(i < 0, lowest - i, i)


def check_ulp(name, x):
    """Assert that a function is within 2 ulp of the correctly rounded value at every x."""
    with np.errstate(all="ignore"):
        exact = FUNCTIONS[name](x.astype(np.float64 if x.dtype == np.float32 else np.longdouble))
        rounded = exact.astype(x.dtype)
    got = apply(name, x)
    invalid = np.isnan(rounded)
    assert np.array_equal(np.isnan(got), invalid)
    other = np.flatnonzero((got != rounded) & ~invalid)  # few
    x, got, rounded = x[other], got[other], rounded[other]
    distance = np.abs(rank(got) - rank(rounded))
    worst = distance.argmax() if distance.size else 0
    assert distance.size == 0 or distance[worst] <= 2, (
        f"{name}({x[worst]!r}) = {got[worst]!r}, not {rounded[worst]!r}: {distance[worst]} ulp"
    )


def patterns32(start, stride):
    """Every so many bit patterns: all signs, exponents, subnormals and NaNs."""
    return np.arange(start, 2**32, stride, np.uint64).astype(np.uint32).view(np.float32)


def blocks(x):
    """Return x in parts that fit into a core's cache: what is made of them takes no new pages."""
    return np.array_split(x, x.size >> 15)


def patterns64(seed, n):
    """Random bit patterns, and numbers of moderate size."""
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 2**64, n, np.uint64).view(np.float64)
    moderate = rng.uniform(-750, 750, n), rng.standard_normal(n), rng.uniform(0, 1, n)
    near_one = 1 + rng.standard_normal(n) * 2.0 ** rng.integers(-52, 0, n)
    small = rng.standard_normal(n) * 2.0 ** rng.integers(-1074, 0, n)
    return np.concatenate([bits, *moderate, near_one, small])


@by_name
def test_within_2_ulp_float32(name):
    with np.errstate(over="ignore", invalid="ignore"):
        moderate = patterns64(0, 100_000).astype(np.float32)
    check_ulp(name, domain(name, np.concatenate([patterns32(1, PRIME), moderate])))


# Magnitudes beyond which a function of float32 is a limit, x itself, or as near to a line; and the
# least x of which it is a number. The patterns there are many, and tried at a sixteenth of the
# density.
BUSY = dict.fromkeys(("exp", "exp_normal", "exp_bounded", "exp_raised"), (2.0**-30, 2.0**8))
BUSY |= dict.fromkeys(("expm1", "sigmoid", "softplus"), (2.0**-30, 2.0**8))
BUSY |= {"log1p": (2.0**-30, INF), "cos_2pi": (2.0**-16, 1.0)}
LEAST = {"log": 0, "log_normal": 0, "log1p": -1, "cos_2pi": 0}


def is_busy(name, x):
    """Return whether some of a block of patterns, which follow each other, is not beyond."""
    ends = x[[0, -1]]
    first, last = np.abs(ends)
    low, high = BUSY.get(name, (0, INF))
    return not (last < low or first > high or ends.max() < LEAST.get(name, -INF))  # NaNs are busy


@pytest.mark.slow
@by_name
def test_within_2_ulp_float32_dense(name):
    for start in range(16):
        for x in blocks(patterns32(start, 16 * 29)):
            if start == 0 or is_busy(name, x):
                check_ulp(name, domain(name, x))


@pytest.mark.skipif(not LONG, reason="no type wider than float64 to compare with")
@by_name
def test_within_2_ulp_float64(name):
    check_ulp(name, domain(name, patterns64(1, 300_000)))


@by_dtype
@by_name
def test_around_the_edges(name, dtype):
    """Where a branch could be: every float around zero, one, the overflow and the underflow."""
    info = np.finfo(dtype)
    edges = [0, 1, 0.5, np.sqrt(0.5), np.sqrt(2), -1, info.tiny, info.max, 0.125, 0.25, 0.75]
    edges += [np.log(info.max), np.log(info.tiny), np.log(info.smallest_subnormal), np.log(2) / 2]
    edges += [-np.log(2), 40, -40, -20, 88, -104, 709, -746, 2.0**-60, info.eps]
    integer = np.int32 if dtype == np.float32 else np.int64
    steps = np.arange(-300, 301, dtype=integer)
    with np.errstate(over="ignore"):
        bits = np.array(edges, dtype).view(integer)[:, None] + steps
    x = bits.ravel().view(dtype)
    check_ulp(name, domain(name, np.concatenate([x, -x])))


SPECIAL_VALUES = [
    ("log", 0.0, -INF),
    ("log", -0.0, -INF),
    ("log", -1.0, NAN),
    ("log", -INF, NAN),
    ("log", INF, INF),
    ("log", NAN, NAN),
    ("log", 1.0, 0.0),
    ("log1p", 0.0, 0.0),
    ("log1p", -0.0, -0.0),
    ("log1p", -1.0, -INF),
    ("log1p", -2.0, NAN),
    ("log1p", -INF, NAN),
    ("log1p", INF, INF),
    ("log1p", NAN, NAN),
    ("exp", 0.0, 1.0),
    ("exp", -0.0, 1.0),
    ("exp", INF, INF),
    ("exp", -INF, 0.0),
    ("exp", NAN, NAN),
    ("exp", 1e4, INF),
    ("exp", -1e4, 0.0),
    ("exp_normal", -INF, 0.0),
    ("exp_normal", -1e4, 0.0),
    ("exp_normal", 0.0, 1.0),
    ("exp_normal", NAN, NAN),
    ("exp_bounded", -INF, 0.0),
    ("exp_bounded", -1e4, 0.0),
    ("exp_bounded", 0.0, 1.0),
    ("exp_bounded", NAN, NAN),
    ("exp_raised", -INF, 0.0),
    ("exp_raised", -1e4, 0.0),
    ("exp_raised", NAN, NAN),
    ("expm1", 0.0, 0.0),
    ("expm1", -0.0, -0.0),
    ("expm1", INF, INF),
    ("expm1", -INF, -1.0),
    ("expm1", NAN, NAN),
    ("sigmoid", INF, 1.0),
    ("sigmoid", -INF, 0.0),
    ("sigmoid", 0.0, 0.5),
    ("sigmoid", NAN, NAN),
    ("softplus", INF, INF),
    ("softplus", -INF, 0.0),
    ("softplus", NAN, NAN),
    ("cos_2pi", 0.0, 1.0),
    ("cos_2pi", 0.25, 0.0),
    ("cos_2pi", 0.5, -1.0),
    ("cos_2pi", 0.75, 0.0),
    ("cos_2pi", 1.0, 1.0),
]


@by_dtype
@pytest.mark.parametrize(("name", "x", "expected"), SPECIAL_VALUES)
def test_special_values(name, x, expected, dtype):
    (got,) = apply(name, np.array([x], dtype))
    assert got == expected or (np.isnan(got) and np.isnan(expected))
    if x == 0 and expected == 0:  # odd functions keep the sign
        assert np.signbit(got) == np.signbit(x)


@by_dtype
def test_exp_normal_flushes_subnormal_results(dtype):
    info = np.finfo(dtype)
    low = np.log(info.tiny)
    x = np.linspace(np.log(info.smallest_subnormal) - 2, np.nextafter(low, dtype(-INF)), 999)
    assert not apply("exp_normal", x.astype(dtype)).any()
    assert apply("exp_normal", np.array([low], dtype))[0] > 0


@by_dtype
def test_exp_bounded_has_subnormal_results(dtype):
    """To an error of the least normal number's last digits; then 0, and never more than above."""
    info = np.finfo(dtype)
    x = np.linspace(np.log(info.tiny) - 2, np.log(info.tiny) + 1, 999).astype(dtype)
    got = apply("exp_bounded", x)
    assert (np.diff(got) >= 0).all()
    fine = x > np.log(info.tiny) - 0.3
    np.testing.assert_allclose(got[fine], np.exp(x[fine]), rtol=1e-6, atol=0)
    assert (got[~fine] <= got[fine][0]).all()


@by_dtype
def test_expm1_and_log1p_of_tiny_numbers_are_the_numbers(dtype):
    x = np.array([np.finfo(dtype).smallest_subnormal, np.finfo(dtype).tiny, 1e-30], dtype)
    for signed in (x, -x):
        assert np.array_equal(apply("expm1", signed), signed)
        assert np.array_equal(apply("log1p", signed), signed)


@jit.standalone
def _logaddexp(a, b, out):
    for i in range(a.size):
        out[i] = special.logaddexp(a[i], b[i])


@jit.standalone
def _previous(x, out):
    for i in range(x.size):
        out[i] = special.previous(x[i])


@by_dtype
def test_logaddexp(dtype):
    """Within 2 ulp of the larger operand: the sum may cancel to nothing, as at log(1/2) twice."""
    rng = np.random.default_rng(2)
    a = np.concatenate([rng.normal(0, s, 50_000) for s in (1e-3, 1, 30, 1e4)]).astype(dtype)
    b = np.concatenate([rng.normal(0, s, 50_000) for s in (1e-3, 1, 30, 1e4)]).astype(dtype)
    out = np.empty_like(a)
    _logaddexp(a, b, out)
    exact = np.logaddexp(a.astype(np.longdouble), b.astype(np.longdouble))
    scale = np.maximum(np.abs(exact), np.log(dtype(2)))
    tolerance = 2 * np.spacing(
        np.maximum(scale, np.maximum(np.abs(a), np.abs(b)) / 2).astype(dtype)
    )
    assert (np.abs(out - exact) <= tolerance).all()


@by_dtype
def test_logaddexp_special_values(dtype):
    pairs = [(-INF, -INF), (-INF, 3), (3, -INF), (INF, 3), (3, INF), (INF, INF), (INF, -INF)]
    pairs += [(NAN, 0), (0, NAN), (NAN, -INF), (INF, NAN), (0, 0)]
    a, b = np.array(pairs, dtype).T.copy()
    out = np.empty_like(a)
    _logaddexp(a, b, out)
    with np.errstate(invalid="ignore"):
        expected = np.logaddexp(a, b)
    np.testing.assert_allclose(out, expected, rtol=np.finfo(dtype).eps)


@by_dtype
def test_previous(dtype):
    info = np.finfo(dtype)
    x = [0.0, -0.0, 1.0, -1.0, 2.0, info.tiny, -info.tiny, info.smallest_subnormal, 0.1, -0.1]
    x = np.array([*x, info.max, -info.max * 0.5, -info.smallest_subnormal], dtype)
    out = np.empty_like(x)
    _previous(x, out)
    assert np.array_equal(out, np.nextafter(x, dtype(-INF)))


# -- the instructions --------------------------------------------------------------------------

LIBM = r"\b(?:log|log1p|log2|exp|exp2|expm1|cos|sin|pow|fma|sqrt|round|floor)f?\b"
WIDENING = ("cvtps2pd", "cvtss2sd", "cvtsd2ss", "cvtpd2ps")


# Those whose instructions are read, whatever the processor of this machine is.
PROCESSORS = {"AVX2": "haswell", "AVX-512": "skylake-avx512"}


def assembly(block, *args):
    """Return what a block and what it calls are compiled to, by kind of processor.

    Wrappers for Python are left out.
    """
    pending, known, found = [(block, tuple(numba.typeof(a) for a in args))], set(), []
    while pending:
        part = pending.pop()
        if part not in known:
            known.add(part)
            texts, called = compiled(*part)
            found.append(texts)
            pending += called
    return dict(zip(PROCESSORS, map("".join, zip(*found))))


@functools.cache
def compiled(block, signature):
    """Return the assembly of a block by kind of processor, and the shared parts that it calls."""
    # Parts have no instructions of their own.
    alone = block if block in LOOPS.values() else jit.standalone(block.py_func)
    alone.compile(signature)
    module = llvm.parse_assembly(alone.inspect_llvm(signature))
    symbols = shared_parts()
    called = [f.name for f in module.functions if f.is_declaration and f.name in symbols]
    texts = [kept(machine.emit_assembly(module)) for machine in machines()]
    return texts, [symbols[name] for name in called]


@functools.cache
def machines():
    target = llvm.Target.from_default_triple()
    return [target.create_target_machine(cpu=cpu, opt=3) for cpu in PROCESSORS.values()]


def shared_parts():
    """Return the functions and types that have been compiled to machine code, by symbol."""
    rooms = [vars(m) for name, m in list(sys.modules.items()) if name.startswith(KERNELS)]
    parts = {id(x): x for room in rooms for x in room.values() if isinstance(x, Dispatcher)}
    return {
        overload.fndesc.llvm_func_name: (part, signature)
        for part in parts.values()
        if part._compiler.pipeline_class is SharedCompiler
        for signature, overload in part.overloads.items()
    }


def kept(text):
    """Return the instructions of an assembly without directives and wrappers."""
    text = re.sub(r"^\s*\.(?:section|asci[iz]|quad|long|file|type|size).*$", "", text, flags=re.M)
    parts = re.split(r"^([\w.$]+):", text, flags=re.M)
    wrappers = ("_ZN7cpython", "cfunc._ZN", "NRT_")
    found, inside = [], True
    for label, body in zip(parts[1::2], parts[2::2], strict=True):
        if not label.startswith("."):  # a local label belongs to the function before it
            inside = not label.startswith(wrappers)
        if inside:
            found.append(f"{label}:{body}" if label.startswith(".") else body)
    return "".join(found)


def spills(text):
    """Return how many vectors an innermost loop puts on the stack, the most of all loops."""
    parts = re.split(r"^(\.L\w+):", text, flags=re.M)
    loops = [b for a, b in zip(parts[1::2], parts[2::2]) if re.search(rf"\bj\w+\s+{a}\b", b)]
    assert loops, "no loops"
    return max(len(re.findall(r"\bv?mov\w+\s+%[xyz]mm\d+, -?\d*\(%rsp\)", b)) for b in loops)


def check_assembly(block, *args, real, most=(0, 0), fused=True):
    """Check a block, which puts at most so many vectors on the stack, by kind of processor."""
    for (processor, text), allowed in zip(assembly(block, *args).items(), most, strict=True):
        what = f"{block.py_func.__name__} of {np.dtype(real)} for {processor}"
        assert spills(text) <= allowed, f"{what} puts {spills(text)} vectors on the stack"
        assert re.search(r"%[zy]mm\d+", text), f"{what} has no vector registers"
        assert not re.search(LIBM, text), f"{what} calls {re.search(LIBM, text)[0]}"
        if real == np.float32:
            found = [name for name in WIDENING if name in text]
            assert not found, f"{what} has float64 inside: {found}"
        packed = "ps" if real == np.float32 else "pd"
        fma = rf"\bvfn?m(?:add|sub)\d+{packed}\b.*%[zy]mm"
        assert not fused or re.search(fma, text), f"{what} has no vector arithmetic"


needs_x86 = pytest.mark.skipif(not X86, reason="reads x86 assembly")


@needs_x86
@by_dtype
@by_name
def test_elementary_functions_vectorise(name, dtype):
    x = np.full(64, 0.5, dtype)
    unlimited = np.inf, np.inf  # loops that LLVM itself makes vectors of, for this processor
    check_assembly(LOOPS[name], x, x.copy(), real=dtype, most=unlimited)


@needs_x86
@by_dtype
@pytest.mark.parametrize("planes", [1, 2])
def test_philox_vectorises(planes, dtype):
    bits = np.empty((planes, 4, 64), np.uint32)
    word = np.uint32(0)
    for text in assembly(fill_bits, bits, 0, 1, 16, word, word, (word, word)).values():
        assert re.search(r"\bvpmuludq\b.*[zy]mm", text)
        assert spills(text) == 0


@needs_x86
@by_dtype
def test_tile_blocks_vectorise(dtype):
    """The blocks which the time goes to: noise, perturbation, conditioning, softmax, sampling.

    AVX2 has 16 registers, of which 16 numbers fill two, of float64 four; AVX-512 has 32.
    """
    t = np.full((4, 64), 0.5, dtype)
    s, arg = np.full(64, 0.5, dtype), np.zeros(64, np.int32)
    bits = np.ones((t.itemsize // 4, 4, 64), np.uint32)
    scale, single = dtype(0.5), dtype == np.float32

    def check(block, *args, most, **options):
        of_type = (most[0], 0) if single else most[1:]
        check_assembly(block, *args, real=dtype, most=of_type, **options)

    # Limits: of float32 with AVX2; of float64 with AVX2 and with AVX-512.
    check(noise.fill_exponential, t.copy(), bits, most=(1, 17, 0))
    check(concrete.perturb, t.copy(), t, bits, s.copy(), arg, False, (s, s), most=(5, 31, 3))
    check(concrete.race, t.copy(), bits, s, s.copy(), arg, s, False, s[:0], most=(2, 17, 0))
    check(concrete.condition, t.copy(), t, t, s, s, arg, s[:0], most=(2, 11, 0))
    found = s, s.copy(), arg, s.copy(), 2, False, s[:0]
    check(concrete_ratios.race, t.copy(), t, bits, *found, most=(1, 49, 0))
    found = s, s.copy(), arg, False, s[:0]
    check(concrete_ratios.find, t.copy(), t, bits, *found, most=(1, 24, 0))
    found = s, s.copy(), s.copy(), arg, s.copy(), 2, False, s[:0]
    check(concrete_ratios_given.race, t.copy(), t, bits, *found, most=(4, 42, 0))
    check(columns.exponentiate, t.copy(), s, scale, s.copy(), False, most=(0, 14, 0))
    check(categorical.take_log1p, s.copy(), False, most=(3, 11, 1))
    check(categorical._sum, t, t, s, s.copy(), s.copy(), False, s[:0], s[:0], most=(0, 9, 0))
    check(categorical.score_winners, t.copy(), arg, t, s, s, most=(0, 0, 0), fused=False)
    found = s.copy(), s.copy(), s.copy(), False, s[:0], s[:0]
    check(entropy._sum, t, t, s, *found, most=(0, 13, 0))
    check(concrete.score_tile, t.copy(), arg, t, arg, s, most=(0, 0, 0), fused=False)
    sums = np.ones((4, 64)), np.ones(64)  # of float64, whatever the logits are
    for block, *args in ((inverse.cumulate, *sums, t), (inverse.invert, arg, *sums, bits[:, :1])):
        check_assembly(block, *args, real=np.float64, fused=False)
    bounds = np.zeros((3, 64), np.int32)
    check_assembly(inverse.bound, bounds, *sums, real=np.float64, most=(1, 0))
    check_assembly(inverse.count, arg, bounds, bits[0, 0], real=np.float32, fused=False)
    if not single:
        for block, *args in ((vimco.replace, t, t), (vimco.worth, *(t,) * 4, s)):
            check_assembly(block, *args, real=dtype, most=(12, 0))
