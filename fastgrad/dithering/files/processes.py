"""Several processes that do one kind of task, with one thread each; answers come in order.

A process is started by a command of its own, not by `multiprocessing`: that would run the user's
script again in each, and forks where threads are at work. Only the first process of all receives
Ctrl-C; it passes it on, so that each may leave the best that it has.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from fastgrad import _interrupts as interrupts
from fastgrad import _processes

__all__ = ["Answer", "answers", "serve"]

CODE = """
try:
    from fastgrad.dithering.files.processes import serve
    serve()
except KeyboardInterrupt:
    import os
    os._exit(130)
"""


class Answer(NamedTuple):
    """What came of a task: its value; or an error; or neither, if it was interrupted."""

    value: Any = None
    error: BaseException | None = None

    @property
    def stopped(self) -> bool:
        """Whether an interrupt came: before there was anything, or so that it is not complete."""
        early = isinstance(self.error, KeyboardInterrupt)
        return early or not getattr(self.value, "complete", True)


def answers(function: Callable[[Any], Any], tasks: Sequence[Any], count: int) -> Iterator[Answer]:
    """Do tasks, in this process or in several.

    After an interrupt, no further task is begun: those at work are told, and answer with what they
    have.

    Parameters
    ----------
    function : callable
        Does a task; for several processes a function of a module, with tasks that can be pickled.
    tasks : sequence
        The tasks.
    count : int
        Number of processes.

    Yields
    ------
    Answer
        The answer to each task, in their order.
    """
    if min(count, len(tasks)) <= 1:
        stopped = False
        for task in tasks:
            answer = Answer(error=KeyboardInterrupt()) if stopped else _tried(function, task)
            stopped |= answer.stopped
            yield answer
        return
    crew = _Crew(function, min(count, len(tasks)))
    try:
        with ThreadPoolExecutor(crew.count) as threads:
            try:
                futures = [threads.submit(crew.do, task) for task in tasks]
                for future in futures:
                    try:
                        with interrupts.allowed():
                            answer = future.result()
                    except KeyboardInterrupt:
                        interrupts.taken()
                        crew.interrupt()
                        answer = future.result()
                    yield answer
            except BaseException:
                crew.end(kill=True)
                raise
    finally:
        crew.end()


def _tried(function: Callable[[Any], Any], task: Any) -> Answer:
    """Do a task."""
    try:
        interrupts.check()
        return Answer(function(task))
    except KeyboardInterrupt as error:
        interrupts.taken()
        return Answer(error=error)
    except Exception as error:
        return Answer(error=error)


class _Crew:
    """Processes that are at work or idle."""

    def __init__(self, function: Callable[[Any], Any], count: int) -> None:
        self.function, self.count = function, count
        self._idle: queue.SimpleQueue[subprocess.Popen[bytes] | None] = queue.SimpleQueue()
        self._all: list[subprocess.Popen[bytes]] = []
        self._lock = threading.Lock()
        self._stopped = False
        for _ in range(count):
            self._idle.put(None)  # started when it is needed

    def do(self, task: Any) -> Answer:
        """Let a process do a task, and wait for it."""
        process = self._idle.get()
        try:
            with self._lock:
                if self._stopped:
                    return Answer(error=KeyboardInterrupt())
                if process is None:
                    process = self._start()
            assert process.stdin is not None
            assert process.stdout is not None
            pickle.dump(task, process.stdin)
            process.stdin.flush()
            return pickle.load(process.stdout)
        except (EOFError, OSError, pickle.UnpicklingError):
            assert process is not None
            code, process = process.wait(), None
            if self._stopped:
                return Answer(error=KeyboardInterrupt())
            return Answer(error=ChildProcessError(f"its process ended with {code}"))
        finally:
            self._idle.put(process)

    def _start(self) -> subprocess.Popen[bytes]:
        """Start a process."""
        process = subprocess.Popen(
            _processes.command(CODE),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=_processes.environment(NUMBA_NUM_THREADS="1", OMP_NUM_THREADS="1"),
            start_new_session=os.name == "posix",
        )
        self._all.append(process)
        assert process.stdin is not None
        pickle.dump(self.function, process.stdin)
        return process

    def interrupt(self) -> None:
        """Begin no other task, and tell those at work."""
        with self._lock:
            self._stopped = True
            for process in self._all:
                with contextlib.suppress(OSError, ValueError):
                    process.send_signal(signal.SIGINT)

    def end(self, *, kill: bool = False) -> None:
        """End all processes."""
        self._stopped = True
        for process in self._all:
            if kill:
                process.kill()
            with contextlib.suppress(OSError):
                if process.stdin is not None:
                    process.stdin.close()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def serve() -> None:
    """Do the tasks that come in on standard input, until there are no more."""
    channel = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever is printed must not get between the answers
    with interrupts.listening():
        function = pickle.load(sys.stdin.buffer)
        while True:
            try:
                task = pickle.load(sys.stdin.buffer)
            except EOFError:
                return
            answer = _tried(function, task)
            pickle.dump(answer, channel)
            channel.flush()
