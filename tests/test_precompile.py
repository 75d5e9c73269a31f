"""Kernels compiled ahead."""

import contextlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from strategies import run

from fastgrad import cli, precompile
from fastgrad.kernels.compiler import cache
from fastgrad.kernels.estimators.relaxed_controls import network


def test_what_is_unknown_is_refused():
    with pytest.raises(ValueError, match=r"groups must be .*photographs.*, got 'photos'"):
        precompile.precompile(["photos"])
    with pytest.raises(ValueError, match=r"jobs must be .*, got 0"):
        precompile.precompile(["samples"], jobs=0)


@pytest.mark.parametrize("group", list(precompile.GROUPS))
def test_every_task_can_be_called(group):
    names = [f"{group}:{i}" for i in range(len(precompile.GROUPS[group]))]
    assert names
    if group != "estimators":  # the calls of which other tests have
        precompile.run(names)


def test_kernels_of_large_cells_are_among_the_tasks():
    precompile.run([f"estimators:{i}" for i in range(2)])
    assert len(network.project_spans.dispatcher.overloads) == 2  # float32 and float64


# Kernels of four tasks of greys that are soon compiled.
MISSING = (
    "loss_rows.errors",
    "annealing_response.draw",
    "diffusion.diffuse",
    "palette.normal_equations",
)


def copy_without(names, place):
    """Copy what is compiled, but for these kernels, while others may compile."""
    source = Path(cache.cache_directory()).parent
    for path in source.glob("*/*.nbc"):
        if not path.name.startswith(tuple(f"{name}-" for name in names)):
            copy = place / path.relative_to(source)
            copy.parent.mkdir(exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                shutil.copy(path, copy)


@pytest.mark.slow
def test_a_second_process_compiles_nothing(tmp_path):
    copy_without(MISSING, tmp_path)
    place = {"NUMBA_CACHE_DIR": str(tmp_path)}
    done = run(
        "import json\nfrom fastgrad import precompile\n"
        "print(json.dumps(precompile.precompile(['greys'], jobs=2)))",
        **place,
    )
    _, kernels, size, root = json.loads(done)
    assert kernels > 10
    assert size > 1e5
    assert os.path.samefile(root, tmp_path)
    modules = ", ".join(name.partition(".")[0] for name in MISSING)
    left = run(
        "import numpy as np, fastgrad as fg\n"
        "for colors in (4, 16):\n"
        "    image = np.zeros((40, 40), np.uint8) + np.arange(40, dtype=np.uint8)\n"
        "    fg.dither(image, colors=colors)\n"
        f"from fastgrad.kernels.dithering.optimiser import {modules}\n"
        f"kernels = {', '.join(MISSING)}\n"
        "print(sum(sum(k.dispatcher.stats.cache_misses.values()) for k in kernels))",
        **place,
    )
    assert left == "0"


@pytest.mark.parametrize("copied", [True, False])
def test_the_helpers_share_a_group_and_are_ended(copied, monkeypatch):
    started, ended = [], []

    class Process:
        kill = wait = lambda self: ended.append(self)

    def fork(function, tasks):
        assert copied
        assert function is precompile.run
        return started.append(tasks) or Process()

    def start(tasks, quiet):
        assert quiet
        assert not copied
        return started.append(tasks) or Process()

    monkeypatch.setattr(precompile._forks, "Fork", fork)
    monkeypatch.setattr(precompile, "_start_process", start)
    monkeypatch.setattr(precompile._forks, "is_possible", lambda: copied)
    prepared = []
    monkeypatch.setattr(
        precompile.passes, "prepare_for_copies", lambda: prepared.append(len(started))
    )
    monkeypatch.setattr(precompile.cache, "is_filled", lambda _: False)
    monkeypatch.setattr(precompile.cache, "cache_directory", lambda: "somewhere")
    monkeypatch.setattr(precompile.threads, "get_num_threads", lambda: 2)
    with precompile.ahead("greys"):
        assert not ended
    assert len(started) == precompile.HELPERS
    tasks = [f"greys:{i}" for i in range(len(precompile.GROUPS["greys"]))]
    assert sorted(task for some in started for task in some) == tasks
    assert len(ended) == 2 * len(started)
    assert prepared == [0] * copied  # before any copy, and only then


def test_those_that_dither_do_not_wait_for_estimators():
    found = run(
        "import sys, fastgrad.precompile, fastgrad.cli.pictures, fastgrad.dithering.dithering\n"
        "print('fastgrad.distributions.subset' in sys.modules)\n"
        "print([name for name in sys.modules if name.startswith('fastgrad.estimators.')])"
    )
    assert found.split("\n") == ["False", "[]"]


@pytest.mark.parametrize(
    ("options", "group"),
    [([], "photographs"), (["--preset", "spectra6"], "panels")],
)
def test_the_helpers_compile_what_a_run_needs(options, group, monkeypatch, tmp_path):
    Image, asked = pytest.importorskip("PIL.Image"), []
    monkeypatch.setattr(
        precompile, "ahead", lambda group: asked.append(group) or contextlib.nullcontext()
    )
    shade = np.uint8(np.arange(768).reshape(16, 16, 3) % 251)
    Image.fromarray(shade).save(tmp_path / "in.png")
    command = ["dither", str(tmp_path / "in.png"), "-o", str(tmp_path / "out.png"), "--quiet"]
    assert cli.main([*command, *options, "--speed", "10"]) == 0
    assert asked == [group]


def test_what_cannot_be_prebuilt_is_refused(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"level must be .*x86-64-v3.*, got 'i386'"):
        precompile.prebuild(tmp_path, "i386")
    monkeypatch.setattr(precompile.prebuilt, "lacking", lambda _: ["avx2", "fma"])
    with pytest.raises(RuntimeError, match=r"this machine cannot run what is for .*: no avx2, fma"):
        precompile.prebuild(tmp_path, "x86-64-v3")
    assert not list(tmp_path.iterdir())


def test_nothing_runs_ahead_of_what_is_compiled(monkeypatch):
    started = []
    monkeypatch.setattr(precompile, "_helpers", lambda work: started.append(work) or [])
    monkeypatch.setattr(precompile.cache, "is_filled", lambda _: True)
    with precompile.ahead("greys"):
        pass
    assert not started
