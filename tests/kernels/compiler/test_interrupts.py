"""Ctrl-C while kernels compile: delivered once, afterwards, and never lost."""

import os
import random
import signal
import subprocess
import sys
import threading
import time

import numba
import numpy as np
import pytest
from numba.extending import intrinsic
from strategies import ROOT

from fastgrad.kernels.compiler import interrupts, jit

needs_signals = pytest.mark.skipif(os.name == "nt", reason="no SIGINT for one process here")


def test_an_interrupt_waits_for_the_end_of_the_block():
    reached = []

    def block():
        with interrupts.held(), interrupts.held():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            reached.append(True)

    with pytest.raises(KeyboardInterrupt):
        block()
    assert reached
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_without_an_interrupt_nothing_happens():
    with interrupts.held():
        assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_handler_of_the_program_is_called_afterwards():
    seen = []
    before = signal.signal(signal.SIGINT, lambda *_: seen.append("own"))
    try:
        with interrupts.held():
            signal.raise_signal(signal.SIGINT)
            assert not seen
        assert seen == ["own"]
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("ignore", [signal.SIG_IGN, signal.SIG_DFL])
def test_what_is_no_function_stays(ignore):
    before = signal.signal(signal.SIGINT, ignore)
    try:
        with interrupts.held():
            assert signal.getsignal(signal.SIGINT) is ignore
    finally:
        signal.signal(signal.SIGINT, before)


def test_tests_in_the_background_of_a_script_can_be_interrupted(request):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        request.config.pluginmanager.getplugin(str(ROOT / "tests/conftest.py")).heed_interrupts()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_an_interrupt_is_delivered_where_the_block_fails():
    @interrupts.held()
    def fail():
        signal.raise_signal(signal.SIGINT)
        raise ValueError

    with pytest.raises(KeyboardInterrupt) as caught:
        fail()
    assert isinstance(caught.value.__context__, ValueError)


def test_other_threads_hold_nothing():
    inside = []

    def hold():
        with interrupts.held():
            inside.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=hold)
    thread.start()
    thread.join()
    assert inside == [signal.default_int_handler]


@intrinsic
def interrupt_the_compiler(typingctx):
    def codegen(context, builder, signature, values):
        signal.raise_signal(signal.SIGINT)
        return context.get_dummy_value()

    return numba.types.none(), codegen


@pytest.mark.parametrize("parallel", [False, True])
def test_a_kernel_is_compiled_to_its_end(parallel, monkeypatch):
    monkeypatch.setenv("FASTGRAD_CACHE", "0")

    @jit.kernel(cost=lambda x: x.size)
    def increase(chunk, chunks, x):
        interrupt_the_compiler()
        x[chunk] += 1

    def call(x):
        increase.run(1, x) if parallel else increase(x)

    x = np.zeros(1)
    with pytest.raises(KeyboardInterrupt):
        call(x)
    assert len(increase.dispatcher.signatures) == 1
    call(x)
    assert x[0] == 1


# Compiles one small kernel after the other, and says how often it was interrupted. It says so where
# an interrupt is awaited: who has read that may send the next one at any moment.
COMPILE = """
import signal
import numpy as np
from fastgrad.kernels.compiler import jit
def make(i):
    @jit.kernel(cost=lambda x: x.size)
    def kernel(chunk, chunks, x):
        x[0] = i
    return kernel
# A shell has what it starts in the background ignore interrupts, and so their children.
signal.signal(signal.SIGINT, signal.default_int_handler)
caught, kernels = 0, []
while True:
    try:
        print(caught, flush=True)
        while True:
            kernels.append(make(len(kernels)))
            kernels[-1](np.zeros(1))
    except KeyboardInterrupt:
        caught += 1
"""


def line(process, seconds=200):
    """Return the next line that a process prints; end one that prints nothing for so long."""
    watch = threading.Timer(seconds, process.kill)
    watch.start()
    try:
        return process.stdout.readline()
    finally:
        watch.cancel()


@needs_signals
@pytest.mark.slow
def test_interrupts_at_random_moments_are_never_lost(tmp_path):
    """Without the hold, one of about twenty is printed by ctypes, and the program goes on."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", COMPILE]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    generator, count = random.Random(1), 100
    with subprocess.Popen(command, cwd=ROOT, env=environment, **pipes) as process:
        try:
            said = [line(process)]
            while said[-1] == f"{len(said) - 1}\n" and len(said) <= count:
                time.sleep(generator.uniform(0, 0.1))
                process.send_signal(signal.SIGINT)
                said.append(line(process))
        finally:
            process.kill()
        errors = process.stderr.read()
    assert said == [f"{i}\n" for i in range(count + 1)], (said[-2:], process.returncode, errors)
    assert errors == ""
