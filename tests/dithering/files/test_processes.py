"""Tasks in several processes."""

import os
import signal
import sys
import threading
import time

import pytest

from fastgrad import _interrupts as interrupts
from fastgrad.dithering.files import processes


def square(x):
    if x < 0:
        raise ValueError(f"negative: {x}")
    return x * x


def patient(path):
    """Wait until an interrupt comes, and leave a word."""
    try:
        with open(path, "w") as file:
            file.write("begun")
        with interrupts.allowed():
            time.sleep(60)
    except KeyboardInterrupt:
        return "interrupted"


def end(x):
    if x:
        os._exit(7)
    return os.environ["NUMBA_NUM_THREADS"]


# What other processes do must be found by its name there.
pytestmark = pytest.mark.usefixtures("importable")


@pytest.fixture
def importable(monkeypatch):
    here = os.path.dirname(__file__)
    monkeypatch.setenv("PYTHONPATH", here)
    for function in (square, patient, end):
        monkeypatch.setattr(function, "__module__", "test_processes")
    monkeypatch.setitem(sys.modules, "test_processes", sys.modules[__name__])


@pytest.mark.parametrize("count", [1, 2])
def test_answers_come_in_order(count):
    found = list(processes.answers(square, [3, -1, 2, 5], count))
    assert [answer.value for answer in found] == [9, None, 4, 25]
    assert str(found[1].error) == "negative: -1"
    assert isinstance(found[1].error, ValueError)
    assert not any(answer.stopped for answer in found)


def test_a_process_that_ends_is_an_error_of_one_task():
    found = list(processes.answers(end, [0, 1, 0, 0], 2))
    assert [answer.value for answer in found] == ["1", None, "1", "1"]  # one thread each
    assert "its process ended with 7" in str(found[1].error)


def test_no_processes_are_left_behind():
    answers = processes.answers(square, [1, 2, 3], 2)
    assert next(answers).value == 1
    answers.close()


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_an_interrupt_reaches_all(tmp_path, monkeypatch):
    """Those at work answer with what they have, and no other task is begun."""
    paths = [str(tmp_path / name) for name in "abcd"]

    def interrupt():
        until = time.monotonic() + 60
        while len(list(tmp_path.iterdir())) < 2 and time.monotonic() < until:
            time.sleep(0.02)
        time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        threading.Thread(target=interrupt).start()
        found = list(processes.answers(patient, paths, 2))
    finally:
        signal.signal(signal.SIGINT, before)
    assert [answer.value for answer in found[:2]] == ["interrupted"] * 2
    assert [answer.stopped for answer in found[2:]] == [True, True]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]
