"""Every example runs to its end by itself, is short, and leaves its picture where it was run."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from copies import Copies

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
NO_PICTURE = ("01_colour_a_map", "09_torch_vae", "11_stream_logits", "12_dask_bandit")
LONGEST, SECONDS = 79, 1800  # lines; time for a cold cache on a busy machine
# On a busy machine, threads that spin while they wait for others take all the time there is.
SETTINGS = {"MPLBACKEND": "Agg", "OMP_WAIT_POLICY": "passive", "OPENBLAS_NUM_THREADS": "1"}
HEAD = """
import contextlib
import numpy as np
import fastgrad as fg
fg.sample(np.zeros((1, 2)), rng=0)
fg.estimator("rloo")
with contextlib.suppress(ImportError):
    import matplotlib.figure
"""


@pytest.fixture(scope="module")
def copies():
    """What nearly all examples import takes longer than what most of them do."""
    with Copies(HEAD, **SETTINGS, PYTHONPATH=_path(ROOT)) as copies:
        yield copies


def test_there_are_examples():
    numbers = [path.stem.split("_")[0] for path in EXAMPLES]
    assert len(numbers) >= 6
    assert numbers == [f"{i:02}" for i in range(1, len(numbers) + 1)]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_is_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_runs(path, tmp_path, copies):
    pictured = path.stem not in NO_PICTURE
    if pictured:
        pytest.importorskip("matplotlib")
    answer = copies.run(path, tmp_path, SECONDS)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout
    for package in ("sklearn", "jax", "optax"):
        if package in path.read_text(encoding="utf-8") and not importlib.util.find_spec(package):
            pytest.skip(f"{package} is not installed")
    pictures = [found.name for found in tmp_path.iterdir()]
    assert pictures == ([f"{path.stem}.png"] if pictured else [])
    for name in pictures:
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG\r\n")


def test_says_how_to_get_the_digits(tmp_path):
    pytest.importorskip("matplotlib")
    package = tmp_path / "sklearn"
    package.mkdir()
    (package / "__init__.py").write_text("raise ImportError", encoding="utf-8")
    answer = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "04_digits_vae.py")],
        cwd=tmp_path,
        env={**os.environ, **SETTINGS, "PYTHONPATH": _path(tmp_path, ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout == "the digits are scikit-learn's: pip install scikit-learn\n"


def _path(*first):
    """Return where imports are looked for, these places first."""
    return os.pathsep.join([*map(str, first), *filter(None, [os.environ.get("PYTHONPATH")])])
