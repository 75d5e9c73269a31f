"""The float mode in kernels: no flushing, round to nearest, whatever the threads were born with."""

import importlib.util
import os
import platform

import numpy as np
import pytest
from float_modes import PROCESSOR, WORDS, register, set_mode
from strategies import run

from fastgrad.kernels.compiler import jit, modes

known = pytest.mark.skipif(PROCESSOR is None, reason="no float mode is known here")
TINY = np.float32(1.2e-38)  # normal, just so
HALVED = round(float(TINY) / 2 * 2.0**149) + 7  # 1e-44 is 7 times the smallest number, 2**-149


def mode():
    """Return the mode: what is in the register but for the flags of past exceptions."""
    return int(register()) & PROCESSOR.mask


@pytest.fixture(params=WORDS)
def word(request):
    """What is in the register of this thread, until the test ends."""
    before = register()
    set_mode(np.uint64(WORDS[request.param]))
    yield mode()
    set_mode(np.uint64(before))


def halve(chunk, chunks, x, out):
    for i in jit.chunk_range(x.size, chunk, chunks):
        out[i] = x[i] * np.float32(0.5) + np.float32(1e-44) if x[i] else np.float32(1) / 3


halve = jit.Kernel(halve, lambda x: x.size)


def refuse(chunk, chunks, x):
    if x[chunk] > 0:
        raise MemoryError


refuse = jit.Kernel(refuse, lambda x: x.size)


@known
@pytest.mark.parametrize("way", ["serial", "parallel", "one chunk"])
def test_a_kernel_sets_the_mode_and_sets_it_back(word, way):
    assert mode() == word
    x, out = np.full(1001, TINY), np.zeros(1001, np.float32)
    x[0] = 0
    if way == "serial":
        halve(x, out)
    else:
        halve.run(1 if way == "one chunk" else 16, x, out)
    now = mode()
    bits = out.view(np.uint32)  # integers: a comparison of floats would flush as well
    assert now == word
    assert (bits[1:] == bits[1]).all()
    assert (bits[1], bits[0]) == (HALVED, 0x3EAAAAAB)


@known
def test_the_mode_is_set_back_where_a_kernel_fails(word):
    with pytest.raises(MemoryError):
        refuse(np.ones(4))
    assert mode() == word
    with pytest.raises(MemoryError):
        refuse.run(4, np.ones(4))
    assert mode() == word


@pytest.mark.parametrize("triple", ["x86_64-apple-darwin", "arm64-apple-darwin", "riscv64-linux"])
def test_the_mode_is_known_for_the_usual_processors(triple):
    kind = {"x86": modes._X86, "arm": modes._Arm, "ris": type(None)}[triple[:3]]
    assert type(modes._processor(triple)) is kind


def test_this_processor_is_known():
    if platform.machine().lower() in ("x86_64", "amd64", "aarch64", "arm64"):
        assert PROCESSOR is not None


# -- threads that are born with another mode ----------------------------------------------------

# Relaxed samples at so low a temperature that many are subnormal: the digest of their bits.
WORK = """
import hashlib, sys
import numpy as np, fastgrad as fg
sys.path.append("tests/support")
logits = (np.random.default_rng(0).normal(size=(30_000, 16)) * 30).astype(np.float32)
def work():
    z = fg.gumbel_softmax(logits, temperature=0.3, num_samples=2, rng=1)
    bits = z.view(np.uint32)
    few = fg.gumbel_softmax(logits[:50], temperature=0.3, rng=1)  # serial
    return np.count_nonzero((bits > 0) & (bits < 0x800000)), hashlib.sha256(
        z.tobytes() + few.tobytes() + fg.log_softmax(logits[:, :7]).tobytes()
    ).hexdigest()
"""
TWO = {"NUMBA_NUM_THREADS": "2"}


@pytest.fixture(scope="module")
def expected():
    """In a process that nobody has touched."""
    subnormal, digest = run(WORK + "print(*work())", **TWO).split()
    assert int(subnormal) > 20
    return f"{subnormal} {digest}"


# Each mode in a process of its own: in copies of one that has no threads yet, where there are such.
BORN = f"""
{WORK}
import os
from fastgrad.kernels.compiler import jit
import float_modes
before = np.uint64(float_modes.register())
float_modes.set_mode(before)  # both are compiled now
def born(word):
    float_modes.set_mode(np.uint64(word))
    first = work()
    float_modes.set_mode(before)
    second = work()
    assert first == second, (first, second)
    print(*first, flush=True)
*copies, last = words
for word in copies:
    child = os.fork()
    if child == 0:
        jit._forked = False  # it may start threads, since none were running
        born(word)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
born(last)
"""


@known
@pytest.mark.parametrize("layer", ["default", "workqueue"])
def test_threads_born_in_another_mode_give_the_same_bits(layer, expected):
    """They keep for life the mode of the thread that made the first parallel call."""
    words = list(WORDS.values())
    for some in [words] if hasattr(os, "fork") else [[word] for word in words]:
        found = run(f"words = {some}\n{BORN}", NUMBA_THREADING_LAYER=layer, **TWO)
        assert found.splitlines() == [expected] * len(some)


def needs(package):
    return pytest.mark.skipif(not importlib.util.find_spec(package), reason=f"no {package}")


@pytest.mark.optional
@needs("torch")
def test_bits_after_torch_flushes(expected):
    code = f"""
import torch
torch.set_flush_denormal(True)
{WORK}
print(*work())
"""
    assert run(code, **TWO) == expected


@pytest.mark.optional
@needs("jax")
def test_bits_in_a_jax_callback_and_after_it(expected):
    code = f"""
import jax
{WORK}
results = []
def callback(x):
    results.append(work())
    return np.float32(0)
shape = jax.ShapeDtypeStruct((), np.float32)
jax.jit(lambda x: jax.pure_callback(callback, shape, x))(0.0).block_until_ready()
results.append(work())
assert results[0] == results[1], results
print(*results[0])
"""
    assert run(code, **TWO) == expected
