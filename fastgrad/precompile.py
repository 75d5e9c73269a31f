"""Kernels compiled ahead of their first use, in several processes: for images, CI and wheels.

Kernels are compiled when they are first called, and kept on disk. Here each group of them is
called with the smallest of arguments. A process that meets a kernel which another one is compiling
waits for it. `precompile` compiles for the processor at hand and keeps that in the cache;
`prebuild` compiles for a level of processors, and hatch_build.py puts that into a wheel.
"""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np

from fastgrad import _forks, _processes, _validate, dithering, threads
from fastgrad._typing import Array, ByteArray, FloatArray
from fastgrad.dithering.eye import colour
from fastgrad.dithering.optimiser.annealing import Annealing, anneal, schedule
from fastgrad.dithering.optimiser.diffusion import diffuse
from fastgrad.dithering.optimiser.loss import BlurredError
from fastgrad.dithering.optimiser.lzw import StringSearch
from fastgrad.dithering.optimiser.palette import Fit, Sample, initial
from fastgrad.dithering.optimiser.rate import frugal
from fastgrad.dithering.optimiser.search import Search
from fastgrad.dithering.pictures.gif import compress
from fastgrad.kernels.compiler import cache, jit, passes, prebuilt
from fastgrad.kernels.dithering.optimiser import search as search_kernels

__all__ = ["GROUPS", "Compiled", "ahead", "prebuild", "precompile", "run"]

CODE = "from fastgrad.precompile import run\nrun(sys.argv[1:])"
TYPES = (np.float32, np.float64)
PARTS = 16  # of all estimators
HELPERS = 2  # processes that run ahead of one that waits for them most of the time


def _threads() -> None:
    runner = cast("Any", jit._runner)
    runner.address(0, 0, 0)


def _pixels(*shape: int) -> Array:
    return (np.arange(np.prod(shape)) * 97 % 251).reshape(shape).astype(np.uint8)


def _problem(channels: int) -> tuple[BlurredError, ByteArray, FloatArray]:
    """Return a loss, a picture and a palette."""
    loss = BlurredError(np.float32(_pixels(16, 16, channels)) / 255)
    return loss, np.zeros((16, 16), np.uint8), np.float32(_pixels(4, channels)) / 255


def _search(channels: int) -> None:
    search = Search(*_problem(channels))
    search.sweep()
    search.errors()


def _frugality(channels: int) -> None:
    frugal(*_problem(channels))


def _strings(channels: int) -> None:
    loss, indices, palette = _problem(channels)
    StringSearch(loss, indices, palette, 1e-4).sweep()
    compress(indices)


def _annealing(channels: int) -> None:
    loss, _, palette = _problem(channels)
    fit = Fit(Sample(loss), colour.SPACES["linear"], 0)
    for _ in anneal(Annealing(loss, palette, rng=0), schedule(2), fit=fit):
        pass


def _start(channels: int) -> None:
    values = np.float32(_pixels(16, 16, channels)) / 255
    palette = initial(values, 4, rng=0)[0]
    diffuse(BlurredError(values), palette)


def _dithering(channels: int) -> None:
    shape = (24, 24) if channels == 1 else (24, 24, channels)
    for colors in (4, 16):  # palettes of few colours have equations of their own
        dithering.dither(_pixels(*shape), colors=colors, speed=10)


def _panels() -> None:
    dithering.dither(_pixels(24, 24, 3), preset="spectra6", speed=10)


def _consoles() -> None:
    tiles = dithering.Tiles((8, 8), palettes=2, colors=4)
    dithering.dither(_pixels(24, 24, 3), tiles=tiles, speed=10)


# Of what follows, a process that dithers imports nothing: that would take it half a second.


def _samples(dtype: type) -> None:
    from fastgrad.distributions import categorical

    logits = np.zeros((2, 3), dtype)
    categorical.sample(logits, num_samples=2, rng=0)
    categorical.log_softmax(logits)
    categorical.entropy(logits)
    categorical.score(logits, np.zeros(2, np.int32))


def _relaxations(dtype: type) -> None:
    from fastgrad.distributions import concrete

    logits = np.zeros((2, 3), dtype)
    for temperature in (1.0, 0.7):  # each has kernels of its own
        concrete.gumbel_softmax(logits, temperature=temperature, num_samples=2, rng=0)
        concrete.relax(logits, temperature=temperature, num_samples=2, rng=0)


def _permutations(dtype: type) -> None:
    from fastgrad.distributions import permutation, subset

    permutation.sinkhorn(np.zeros((2, 3, 3), dtype))
    subset.k_hot(np.zeros((2, 4), dtype), 2, num_samples=2, rng=0)
    subset.marginals(np.zeros((2, 4), dtype), 2)


def _estimators(part: int, dtype: type) -> None:
    from fastgrad import estimators, objectives
    from fastgrad.distributions.bernoulli import Bernoulli

    def f(x: Array) -> Array:
        return ((x - 0.3) ** 2).sum(axis=(-2, -1))

    def grad(x: Array) -> Array:
        return 2 * (x - 0.3).astype(x.dtype)

    objective = objectives.objective(f, grad=grad)
    for estimator in list(estimators.ESTIMATORS.values())[part::PARTS]:
        for distribution in (np.zeros((2, 3), dtype), Bernoulli(np.zeros((2, 3), dtype))):
            try:
                estimator()(objective, distribution, num_samples=4, rng=0)
            except (TypeError, ValueError):  # it asks for more of f, or for another distribution
                continue


def _large_cells(dtype: type) -> None:
    from fastgrad import estimators
    from fastgrad.distributions.bernoulli import Bernoulli

    sites = Bernoulli(np.zeros(1 << 13, dtype))  # of which one network has several spans
    estimators.ESTIMATORS["relax"]()(lambda x: x[:, 0], sites, num_samples=2, rng=0)


GROUPS: dict[str, tuple[tuple[Callable[..., None], tuple[Any, ...]], ...]] = {
    # What is needed last stands first: a run that is under way compiles from the other end.
    "threads": ((_threads, ()),),
    "photographs": tuple((f, (3,)) for f in (_search, _annealing, _start, _dithering)),
    "panels": ((_search, (3,)), (_panels, ())),
    "greys": tuple((f, (1,)) for f in (_search, _annealing, _start, _dithering)),
    "drawings": ((_frugality, (3,)),),
    "animations": ((_strings, (3,)),),
    "consoles": ((_consoles, ()),),
    "samples": tuple((f, (t,)) for f in (_samples, _relaxations, _permutations) for t in TYPES),
    "estimators": (
        *((_large_cells, (t,)) for t in TYPES),
        *((_estimators, (part, t)) for t in TYPES for part in range(PARTS)),
    ),
}


class Compiled(NamedTuple):
    """What `precompile` has done.

    Attributes
    ----------
    seconds : float
        The time that it took.
    kernels, bytes : int
        The compiled kernels that are on disk now, and the size of their files.
    place : str
        Where they are.
    """

    seconds: float
    kernels: int
    bytes: int
    place: str


def precompile(groups: Iterable[str] = tuple(GROUPS), *, jobs: int | None = None) -> Compiled:
    """Compile groups of kernels for this processor, and keep them on disk.

    What came with the package is passed over: it is for a level of processors.

    Parameters
    ----------
    groups : iterable of str, optional
        Names in `GROUPS`; by default all.
    jobs : int, optional
        Number of processes; by default one for each processor.

    Returns
    -------
    Compiled
        What there is now.

    Raises
    ------
    ValueError
        If there is no such group.
    RuntimeError
        If no place is writable, or a process has failed.
    """
    place = cache.cache_directory()
    if place is None:
        raise RuntimeError("compiled kernels can be kept nowhere: set NUMBA_CACHE_DIR")
    return _compile(groups, jobs, Path(place).parent, {"FASTGRAD_PREBUILT": "0"})


def prebuild(
    into: Path, level: str, groups: Iterable[str] = tuple(GROUPS), *, jobs: int | None = None
) -> Compiled:
    """Compile groups of kernels for all processors of a level, for a wheel to ship.

    Kernels are called as they are compiled, so this machine must have the level's instructions.

    Parameters
    ----------
    into : Path
        The folder that gets one of the level's name: ``fastgrad/_prebuilt`` in a wheel.
    level : {"x86-64-v4", "x86-64-v3"}
        The processors: those with AVX-512, or those with AVX2.
    groups, jobs
        As in `precompile`.

    Returns
    -------
    Compiled
        What there is now.

    Raises
    ------
    ValueError
        If there is no such level or group.
    RuntimeError
        If this machine lacks instructions of the level, or a process has failed.
    """
    _validate.named(level, "level", tuple(prebuilt.LEVELS))
    lacking = prebuilt.lacking(level)
    if lacking:
        raise RuntimeError(f"this machine cannot run what is for {level}: no {', '.join(lacking)}")
    with tempfile.TemporaryDirectory() as scratch:
        variables = prebuilt.environment(level, str(into)) | {"NUMBA_CACHE_DIR": scratch}
        return _compile(groups, jobs, Path(into) / level, variables)


def _compile(
    groups: Iterable[str], jobs: int | None, root: Path, variables: dict[str, str]
) -> Compiled:
    """Compile groups in processes that have more variables, and count what is below root then."""
    chosen = [_validate.named(name, "groups", tuple(GROUPS)) for name in groups]
    count = threads.get_num_threads() if jobs is None else _validate.integer(jobs, "jobs", 1)
    began = time.perf_counter()
    tasks = [f"{name}:{i}" for name in chosen for i in range(len(GROUPS[name]))]
    work = [tasks[i::count] for i in range(min(count, len(tasks)))]
    processes = [_start_process(some, variables) for some in work]
    for process in processes:
        _, said = process.communicate()
        if process.returncode:
            lines = said.decode(errors="replace").strip().splitlines() or ["it was ended"]
            raise RuntimeError(f"a process has failed: {lines[-1]}")
    files = [path.stat().st_size for path in root.rglob("*.nbc")]
    return Compiled(time.perf_counter() - began, len(files), sum(files), str(root))


def run(tasks: Sequence[str]) -> None:
    """Compile the kernels of tasks ``"group:number"``, in this process."""
    for task in tasks:
        name, _, number = task.partition(":")
        function, arguments = GROUPS[name][int(number)]
        function(*arguments)


@contextlib.contextmanager
def ahead(group: str) -> Iterator[None]:
    """Let other processes compile a group while this one is at work, which meets them half way.

    There are none if the kernels that are needed last have been compiled already, if compiled
    kernels can be kept nowhere, or if there is but one thread.

    Parameters
    ----------
    group : str
        A name in `GROUPS`.
    """
    last, processes = search_kernels.descend.dispatcher, []
    needed = threads.get_num_threads() > 1 and not cache.is_filled(last)
    if needed and cache.cache_directory() is not None:
        tasks = [f"{group}:{i}" for i in range(len(GROUPS[group]))]
        processes = _helpers([tasks[i::HELPERS] for i in range(HELPERS)])
    try:
        yield
    finally:
        for process in processes:  # a half-written file is no file: see the cache
            process.kill()
        for process in processes:
            process.wait()


def _helpers(work: list[list[str]]) -> Sequence[subprocess.Popen[bytes] | _forks.Fork]:
    """Start a process for each list of tasks: a copy of this one, where that may be.

    Another process would import all that this one has, and that is a tenth of the whole work.
    """
    if not _forks.is_possible():
        return [_start_process(tasks, quiet=True) for tasks in work]
    passes.prepare_for_copies()
    return [_forks.Fork(run, tasks) for tasks in work]


def _start_process(
    tasks: list[str], variables: dict[str, str] | None = None, *, quiet: bool = False
) -> subprocess.Popen[bytes]:
    """Start a process that compiles, with more variables."""
    return subprocess.Popen(
        _processes.command(CODE, *tasks),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL if quiet else subprocess.PIPE,
        env=_processes.environment(**(variables or {})),
    )
