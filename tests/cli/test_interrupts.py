"""Ctrl-C and SIGTERM: never lost, exit codes as promised, best pictures written, files whole.

The last test interrupts processes at random moments; FASTGRAD_INTERRUPTS=200 makes it thorough.
"""

import contextlib
import gc
import io
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import fastgrad
from fastgrad import __main__, _signals, cli, dithering
from fastgrad import _interrupts as interrupts
from fastgrad.dithering.files import one_picture as running
from fastgrad.dithering.metrics.psnr_and_ssim import psnr
from fastgrad.kernels.compiler import interrupts as compiling

Image = pytest.importorskip("PIL.Image")
ROOT = Path(fastgrad.__file__).resolve().parent.parent
SIGNALS = [signal.SIGINT, signal.SIGTERM]


@pytest.fixture(autouse=True)
def _handlers():
    """Whoever runs the tests may have them ignored; and they are left as they were."""
    before = {signum: signal.signal(signum, _unexpected) for signum in SIGNALS}
    yield
    for signum, handler in before.items():
        assert signal.getsignal(signum) is _unexpected
        signal.signal(signum, handler)


def _unexpected(signum, frame):
    raise AssertionError("the signal went past the command")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    y, x = np.mgrid[:24, :36]
    values = np.stack([7 * x, 10 * y, 255 - 7 * x], axis=-1).astype(np.uint8)
    Image.fromarray(values).save("a.png")
    return tmp_path


def load(name, mode="RGB"):
    with Image.open(name) as image:
        return np.asarray(image.convert(mode))


def inside(module, function, seconds=20):
    """Run a function as if a module of this name called it; then be a while at work."""
    names = {"__name__": module, "function": function}
    exec("def call():\n    function()", names)
    names["call"]()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(0.001)


# -- the handler ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_is_raised_where_it_is_allowed(signum, code):
    with interrupts.listening():
        with pytest.raises(KeyboardInterrupt), interrupts.allowed():
            signal.raise_signal(signum)
        assert interrupts.exit_code() == code
        assert interrupts.pending()
        interrupts.taken()
        interrupts.check()
        signal.raise_signal(signal.SIGINT)  # held back
        assert interrupts.exit_code() == code  # the first one counts
        with pytest.raises(KeyboardInterrupt):
            interrupts.check()
        with pytest.raises(KeyboardInterrupt), interrupts.allowed():
            pytest.fail("it came before")


def test_what_is_forbidden_inside_is_raised_by_a_check():
    with interrupts.listening(), interrupts.allowed():
        with interrupts.allowed(False):
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            interrupts.check()


@pytest.mark.parametrize("module", ["numba.core", "llvmlite.binding.ffi", "importlib._bootstrap"])
def test_compilers_and_imports_are_waited_for(module):
    done = []

    def work():
        signal.raise_signal(signal.SIGINT)
        time.sleep(3 * interrupts.WAIT)
        done.append(True)

    with interrupts.listening(), pytest.raises(KeyboardInterrupt), interrupts.allowed():
        inside(module, work)
    assert done


def test_who_asks_twice_is_not_kept_waiting_for_the_compiler(monkeypatch):
    left = []
    monkeypatch.setattr(interrupts, "leave", left.append)

    def work():
        signal.raise_signal(signal.SIGINT)
        time.sleep(3 * interrupts.WAIT)
        assert not left
        signal.raise_signal(signal.SIGTERM)
        time.sleep(3 * interrupts.WAIT)

    with interrupts.listening(), interrupts.allowed():
        with pytest.raises(KeyboardInterrupt):
            inside("numba.core", work)
        interrupts.taken()
    assert left == [signal.SIGINT]


def test_who_asked_twice_does_not_wait_for_a_best_picture_that_must_be_compiled(monkeypatch):
    left = []
    monkeypatch.setattr(interrupts, "leave", left.append)
    with interrupts.listening():
        for _ in range(2):  # the first is dealt with
            with pytest.raises(KeyboardInterrupt), interrupts.allowed():
                signal.raise_signal(signal.SIGTERM)
            interrupts.taken()
        time.sleep(3 * interrupts.WAIT)
        assert not left
        inside("numba.core", lambda: time.sleep(3 * interrupts.WAIT), seconds=0)
        assert left == [signal.SIGTERM]
    assert signal.set_wakeup_fd(-1) == -1


def test_a_compiling_kernel_leaves_signals_to_the_command():
    with interrupts.listening():
        handler = signal.getsignal(signal.SIGINT)
        with compiling.held():
            assert signal.getsignal(signal.SIGINT) is handler


def test_a_finaliser_does_not_swallow_it():
    class Object:
        def __del__(self):
            signal.raise_signal(signal.SIGINT)

    with interrupts.listening(), pytest.raises(KeyboardInterrupt), interrupts.allowed():
        inside("mine", Object)


def test_what_is_ignored_stays_ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with interrupts.listening(), interrupts.allowed():
        signal.raise_signal(signal.SIGINT)
        assert not interrupts.pending()
    signal.signal(signal.SIGINT, _unexpected)


@pytest.mark.parametrize(
    ("original", "script", "found"),
    [
        (["python", "-m", "fastgrad", "info"], "-m", True),
        (["python", "-X", "dev", "-m", "fastgrad"], "-m", True),
        (["python", "/usr/bin/fastgrad", "info"], "/usr/bin/fastgrad", True),
        (["python", "-m", "other", "-m", "fastgrad"], "-m", False),
        (["python", "-m"], "-m", False),
        (["python", "-c", "import fastgrad"], "-c", False),
        (["python", "mine.py"], "mine.py", False),
        ([], "", False),
    ],
)
def test_the_command_knows_itself(monkeypatch, original, script, found):
    monkeypatch.setattr(sys, "orig_argv", original)
    monkeypatch.setattr(sys, "argv", [script])
    assert _signals.is_command() is found


def test_a_library_leaves_signals_alone():
    code = "import signal; before = [signal.getsignal(s) for s in (2, 15)]; import fastgrad; "
    code += "import fastgrad.cli; assert before == [signal.getsignal(s) for s in (2, 15)]"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    assert (
        subprocess.run([sys.executable, "-c", code], env=environment, timeout=300).returncode == 0
    )


# -- the command ----------------------------------------------------------------------------------


def at_step(monkeypatch, step, signum, calls=1):
    """Let a signal come after a step of the optimiser."""
    whole, called = dithering.dither, []

    def interrupted(values, *, callback, **options):
        called.append(True)

        def watch(progress):
            if len(called) == calls and progress.step == step:
                signal.raise_signal(signum)
            callback(progress)

        return whole(values, callback=watch, **options)

    monkeypatch.setattr(dithering, "dither", interrupted)


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_best_picture_so_far(folder, capsys, monkeypatch, signum, code):
    at_step(monkeypatch, 8, signum)
    assert cli.main(["dither", "a.png", "-k", "6"]) == code
    line = "interrupted: the best picture so far is in a-dithered.png\n"
    assert capsys.readouterr().err.endswith(line)
    assert psnr(load("a-dithered.png"), load("a.png"), sigma=1.5) > 20


def test_a_best_picture_that_is_too_large_says_so(folder, capsys, monkeypatch):
    at_step(monkeypatch, 2, signal.SIGINT)
    assert cli.main(["dither", "a.png", "-k", "6", "--size", "150"]) == 130
    size = Path("a-dithered.png").stat().st_size
    line = f"best picture so far is in a-dithered.png; its {size} bytes are more than --size\n"
    assert size > 150
    assert capsys.readouterr().err.endswith(line)


@pytest.mark.parametrize(
    "options",
    [
        ["-k", "5"],
        ["--preset", "bwry"],
        ["--preset", "bw", "--lock-colors", "-k", "6"],
        ["--resize", "20"],
    ],
)
def test_a_quick_picture_is_there_before_the_first_step(folder, capsys, monkeypatch, options):
    monkeypatch.setattr(running, "QUICK", 0)

    def interrupted(*arguments, **options):
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(dithering, "dither", interrupted)
    assert cli.main(["dither", "a.png", "--report", "r.json", *options]) == 130
    assert "best picture so far is in a-dithered.png" in capsys.readouterr().err
    found = load("a-dithered.png")
    assert found.shape == ((13, 20, 3) if "--resize" in options else (24, 36, 3))
    colours = len(np.unique(found.reshape(-1, 3), axis=0))
    assert 2 <= colours <= (16 if "--resize" in options else 6)
    if options == ["-k", "5"]:
        assert psnr(found, load("a.png"), sigma=1.5) > 18
    assert '"complete": false' in Path("r.json").read_text()


def test_a_quick_picture_of_a_transparent_animation(folder, capsys, monkeypatch):
    monkeypatch.setattr(running, "QUICK", 0)
    rgba = np.dstack([load("a.png"), np.full((24, 36), 255, np.uint8)])
    rgba[:5, :5, 3] = 0
    frames = [Image.fromarray(np.roll(rgba, i, axis=1)) for i in range(3)]
    frames[0].save("clip.png", save_all=True, append_images=frames[1:], duration=30)
    at_step(monkeypatch, 2, signal.SIGINT)  # of the palette
    assert cli.main(["dither", "clip.png", "-k", "256"]) == 130
    np.testing.assert_array_equal(load("clip-dithered.png", "RGBA")[..., 3], rgba[..., 3])


def test_an_early_signal_keeps_the_earlier_file(folder, capsys, monkeypatch):
    Path("a-dithered.png").write_bytes(b"earlier")

    def interrupted(*arguments, **options):
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(dithering, "dither", interrupted)
    assert cli.main(["dither", "a.png"]) == 143
    assert capsys.readouterr().err == "fastgrad dither: interrupted, nothing written\n"
    assert Path("a-dithered.png").read_bytes() == b"earlier"


def test_a_signal_while_a_file_is_written(folder, capsys, monkeypatch):
    replace = os.replace

    def interrupted(*names):
        signal.raise_signal(signal.SIGINT)
        replace(*names)

    monkeypatch.setattr(os, "replace", interrupted)
    options = ["--speed", "9", "--swatches", "p.gpl", "--report", "r.json", "--compare"]
    assert cli.main(["dither", "a.png", *options]) == 130
    assert "interrupted" in capsys.readouterr().err
    assert sorted(os.listdir()) == ["a-dithered.png", "a.png", "p.gpl", "r.json"]
    assert load("a-dithered.png").shape == (24, 36, 3)


def test_a_signal_between_two_pictures(folder, capsys, monkeypatch):
    shutil.copy("a.png", "b.png")
    at_step(monkeypatch, 1, signal.SIGINT, calls=2)
    monkeypatch.setattr(running, "QUICK", 1e9)
    monkeypatch.setattr(running._Work, "rescue", lambda self: None)
    assert cli.main(["dither", "a.png", "b.png", "--speed", "9"]) == 130
    assert "interrupted: 1 of 2 pictures are finished" in capsys.readouterr().err
    assert sorted(os.listdir()) == ["a-dithered.png", "a.png", "b.png"]


needs_proc = pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="needs Linux's /proc")


@needs_proc
def test_a_signal_while_standard_input_is_awaited(folder):
    process = start(["dither", "-", "-o", "out.png"], stdin=subprocess.PIPE)
    time.sleep(0.2)
    until = time.monotonic() + 60
    while b"S" not in state(process) and time.monotonic() < until:
        time.sleep(0.1)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.endswith(b"interrupted, nothing written\n") or errors == HOOK


def test_a_command_ends_without_a_look_at_what_it_has_imported(monkeypatch):
    handlers = [signal.getsignal(signum) for signum in SIGNALS]
    monkeypatch.setattr(gc, "freeze", lambda: done.append(gc.freeze))
    monkeypatch.setattr(__main__, "main", lambda: 2)
    done = []
    try:
        with pytest.raises(SystemExit) as ended:
            __main__.run()
    finally:
        for signum, handler in zip(SIGNALS, handlers):
            signal.signal(signum, handler)
    assert ended.value.code == 2
    assert len(done) == 1


# -- processes ------------------------------------------------------------------------------------

HOOK = b"fastgrad: interrupted\n"


def start(arguments, **options):
    """Start the command, and wait until it listens: Python's own start is not its own."""
    command = [sys.executable, "-X", "faulthandler", "-m", "fastgrad", *arguments]
    settings = {"env": {**os.environ, "PYTHONPATH": str(ROOT)}, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, preexec_fn=_restore, **{**settings, **options})
    until = time.monotonic() + 60
    while not _listens(process) and time.monotonic() < until:
        time.sleep(0.002)
    return process


def _restore():
    for signum in SIGNALS:
        signal.signal(signum, signal.SIG_DFL)


def _listens(process):
    """Whether SIGTERM is caught, which Python does not do by itself."""
    try:
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    except OSError:
        return process.poll() is not None
    (mask,) = [int(line.split()[1], 16) for line in lines if line.startswith("SigCgt")]
    return bool(mask >> (signal.SIGTERM - 1) & 1)


def state(process):
    """What the kernel says that a process does: R runs, S sleeps."""
    return Path(f"/proc/{process.pid}/stat").read_bytes().rpartition(b")")[2].split()[0]


def earlier():
    """What stands in the output's place before."""
    data = io.BytesIO()
    Image.new("RGB", (3, 2), "teal").save(data, "PNG")
    return data.getvalue()


def make(folder, kind):
    y, x = np.mgrid[:450, :600] if kind == "large" else np.mgrid[:24, :36]
    values = np.stack([x % 256, y % 256, 255 - x % 256], axis=-1).astype(np.uint8)
    image, name = Image.fromarray(values), f"{kind}.gif" if kind == "clip" else f"{kind}.png"
    if kind == "clip":
        frames = [Image.fromarray(np.roll(values, i, axis=1)) for i in range(6)]
        frames[0].save(folder / name, save_all=True, append_images=frames[1:], duration=30)
    else:
        image.save(folder / name)
    return name, image.size


DITHER = ["dither", "-o", "out.png", "-k", "5", "--speed", "7"]


@pytest.mark.slow
@needs_proc
@pytest.mark.parametrize(
    ("cache", "kind"),
    [("warm", "small"), ("warm", "large"), ("warm", "clip"), ("cold", "small and clip")],
)
def test_interrupts_at_random_moments(tmp_path, kind, cache):
    """Cold ones compile for long, where all of the others compile nothing: they take turns."""
    count, files = -(-int(os.environ.get("FASTGRAD_INTERRUPTS", "8")) // 4), kind.split(" and ")
    made = [make(tmp_path, each) for each in files]
    names, output = {name for name, _ in made}, tmp_path / "out.png"
    settings = {**os.environ, "PYTHONPATH": str(ROOT)}
    if cache == "cold":
        settings["NUMBA_CACHE_DIR"] = str(tmp_path / "cache")
        longest = 12.0
    else:
        for _ in range(2):
            began = time.monotonic()
            process = start([*DITHER, made[0][0]], cwd=tmp_path, stdout=subprocess.PIPE)
            told, _ = process.communicate(timeout=600)
            longest = 1.1 * (time.monotonic() - began)
            if b"to compile" not in told:  # as the first may have to
                break
    rng = random.Random(f"{kind} {cache}")
    for i in range(count):
        # Every other one goes on with what the one before has left in the cache; and so that each
        # file is the first at times, every other pair of them comes the other way round.
        name, size = made[(i + i // 2) % len(made)]
        if i % 2 == 0:
            shutil.rmtree(tmp_path / "cache", ignore_errors=True)
        output.write_bytes(earlier())
        signum, delay = SIGNALS[i % 3 == 2], rng.uniform(0, longest)
        with open(tmp_path / "stdout", "wb") as stdout:
            process = start([*DITHER, name], cwd=tmp_path, env=settings, stdout=stdout)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(delay)
            process.send_signal(signum)
            finished = b"wrote" in (tmp_path / "stdout").read_bytes()
            _, errors = process.communicate(timeout=300)
        told = f"{name}, {cache}, {signum}, after {delay:.3f} s: {process.returncode}, {errors}"
        assert process.returncode in ((0, 128 + signum) if finished else (128 + signum,)), told
        lines = errors.decode().splitlines()
        assert len(lines) == (process.returncode != 0), told
        with Image.open(output) as image:
            image.load()
            new = image.size == size
        assert new or output.read_bytes() == earlier(), told
        best = any("the best picture so far is in" in line for line in lines)
        assert new == (finished or best or any("1 of 1 pictures" in x for x in lines)), told
        left = {path.name for path in tmp_path.iterdir()} - {"cache"}
        assert left == {*names, "out.png", "stdout"}, told
