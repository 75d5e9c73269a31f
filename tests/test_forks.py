"""Copies of a process: what they have, and what they leave alone."""

import sys

import pytest
from strategies import run

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets copies work")

HEAD = """
import atexit, os, signal, sys, threading
from fastgrad import _forks, _interrupts
"""


def test_a_copy_has_what_is_imported_and_ends_without_a_word():
    found = run(f"""{HEAD}
def work(writer):
    print("never seen")
    sys.stderr.write("never seen")
    os.write(writer, str("numba" in sys.modules).encode())

atexit.register(print, "ended")
print("begun", end=" ")  # is in a buffer, of which the copy has one, too
reader, writer = os.pipe()
fork = _forks.Fork(work, writer)
fork.wait()
print(os.read(reader, 9).decode(), end=" ")
fork.kill()  # it is no more
fork.wait()
""")
    assert found.split() == ["begun", "True", "ended"]


def test_a_copy_ends_at_a_signal_and_when_it_is_told_to():
    """Whoever listens to signals in the process copied does not in the copy."""
    found = run(f"""{HEAD}
def work(signum):
    signal.raise_signal(signum)
    signal.pause()

with _interrupts.listening():
    for signum in signal.SIGINT, signal.SIGTERM, 0:
        fork = _forks.Fork(work, signum) if signum else _forks.Fork(signal.pause)
        if not signum:
            fork.kill()
        print(os.waitstatus_to_exitcode(os.waitpid(fork.pid, 0)[1]))
        fork.wait()
    print(_interrupts.pending())
""")
    assert found.split() == ["-2", "-15", "-9", "False"]


def test_an_error_is_the_copys_own():
    found = run(f"""{HEAD}
fork = _forks.Fork(int, "no number")
print(os.waitstatus_to_exitcode(os.waitpid(fork.pid, 0)[1]))
""")
    assert found == "1"


def test_a_process_with_threads_is_not_copied():
    found = run(f"""{HEAD}
print(_forks.is_possible())
with _interrupts.listening():  # by a thread
    print(_forks.is_possible())
over = threading.Event()
thread = threading.Thread(target=over.wait)
thread.start()
print(_forks.is_possible())
over.set()
thread.join()
print(_forks.is_possible())
""")
    assert found.split() == ["True", "True", "False", "True"]


def test_a_copy_compiles_for_the_process(tmp_path):
    """By symbols of its own, and with nothing left to import that compiling needs."""
    found = run(
        f"""{HEAD}
from fastgrad.kernels.compiler import parts, passes
from fastgrad.kernels.random import streams

def compiled(key):
    before = set(sys.modules)
    streams.derive(key, 3)
    return len(set(sys.modules) - before)

def work(writer, *arguments):
    os.write(writer, f"{{compiled(*arguments)}} {{parts._PROCESS}}".encode())

import numpy as np
key = (np.uint32(1), np.uint32(2))
passes.prepare_for_copies()
reader, writer = os.pipe()
fork = _forks.Fork(work, writer, key)
fork.wait()
imported, process = os.read(reader, 99).decode().split()
streams.derive(key, 3)
stats = streams.derive.stats
print(int(imported) < 9, process == parts._PROCESS, *(sum(n.values()) for n in stats[1:]))
""",
        NUMBA_CACHE_DIR=str(tmp_path),
    )
    assert found == "True False 1 0"
