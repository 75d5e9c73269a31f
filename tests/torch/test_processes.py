"""Threads, forked children and modules that are imported anew: in processes of their own."""

import functools
import os
import platform
import textwrap

import pytest
from strategies import run, run_copies

torch = pytest.importorskip("torch")
import fastgrad.torch as fgt  # noqa: E402

pytestmark = [pytest.mark.optional, pytest.mark.slow]

# What takes longest, and starts no threads.
IMPORTS = """
import os, sys, threading
import numpy as np, torch, torch._dynamo
import fastgrad as fg, fastgrad.torch as fgt
"""
HEAD = """
big = np.random.default_rng(0).normal(size=(20_000, 8)).astype(np.float32)
expected = torch.from_numpy(fg.gumbel_softmax(big, temperature=0.5, rng=5))
x = torch.from_numpy(big)

def draw(x):
    return fgt.gumbel_softmax(x, temperature=0.5, rng=5)
"""


# Eight threads, of which two compile.
THREADS = """
compiled = torch.compile(draw, fullgraph=True, backend="aot_eager")
found, barrier = {}, threading.Barrier(8)

def work(i):
    call = compiled if i < 2 else draw
    barrier.wait()
    for _ in range(3):
        leaf = x.clone().requires_grad_()
        y = call(leaf)
        (y * y).sum().backward()
        found[i] = y.detach(), leaf.grad

threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join(200)
print(*(torch.equal(found[i][0], expected) for i in range(8)))
print(*(torch.equal(found[i][1], found[7][1]) for i in range(8)))
"""

# Operators cannot be defined twice; graphs of before go on, and so do new ones.
ANEW = """
import warnings
before = torch.compile(draw, fullgraph=True, backend="aot_eager")
print(torch.equal(before(x), expected))
warnings.simplefilter("ignore")  # Python warns of forks with threads
sys.stdout.flush()
child = os.fork()
if child == 0:  # torch's own threads do not outlive a fork: its large functions hang there
    y = draw(x.requires_grad_()).detach().numpy()
    os._exit(0 if np.array_equal(y, expected.numpy()) else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
for name in [name for name in sys.modules if name.startswith("fastgrad.torch")]:
    del sys.modules[name]
old = fgt
del fg.torch
import fastgrad.torch as fgt
assert fgt is not old
after = torch.compile(lambda x: draw(x), fullgraph=True, backend="aot_eager")
print(*(torch.equal(call(x), expected) for call in (draw, after, before)))
"""


@functools.cache
def printed():
    """Return what `THREADS` and `ANEW` print, each in a process of its own."""
    codes = (THREADS, ANEW) if hasattr(os, "fork") else (THREADS,)
    return [text.split() for text in run_copies(IMPORTS, *(HEAD + code for code in codes))]


def test_threads_call_and_compile_at_once():
    assert printed()[0] == 16 * ["True"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_and_modules_imported_anew():
    assert printed()[1] == ["True", "0", *3 * ["True"]]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="is about its heap")
def test_steps_take_no_new_pages():
    code = """
    import resource
    logits, ones = torch.zeros(40_000, 16, requires_grad=True), torch.ones(40_000, 16)

    def faults(steps):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(steps):
            y = fgt.gumbel_softmax(logits, temperature=0.5, rng=0)
            torch.autograd.grad(y, logits, ones)
            del y
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    print(min(faults(5) for _ in range(8)) < 5 * 1000)  # of both results it would be 1,250
    """
    # Here, so that kernels are on disk there: a compiler leaves holes in the heap.
    logits = torch.zeros(40_000, 16, requires_grad=True)
    fgt.gumbel_softmax(logits, temperature=0.5, rng=0).sum().backward()
    assert run(IMPORTS + textwrap.dedent(code)) == "True"
