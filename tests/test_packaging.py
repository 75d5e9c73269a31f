"""What a distribution of the package holds, and how it is started."""

import importlib.metadata
import os
import re
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

import fastgrad
from fastgrad.cli.versions import by_distributions, estimators

ROOT = Path(__file__).resolve().parent.parent


def installed():
    """Return the installed distribution, if it is there."""
    try:
        return importlib.metadata.distribution("fastgrad")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("fastgrad is not installed, only imported from its sources")


def test_version_comes_from_one_place():
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+|rc\d+)?", fastgrad.__version__)
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert not re.search(r'^version = "\d', pyproject, re.MULTILINE)
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## [{fastgrad.__version__}]" in changelog


def test_the_readme_is_short_and_counts_the_estimators():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = estimators().splitlines()[2:]
    assert f"\n{len(rows)} of them" in readme
    assert f"\n{by_distributions()}\n" in readme
    assert len(readme.splitlines()) <= 110


def test_package_data():
    package = resources.files("fastgrad")
    assert package.joinpath("py.typed").is_file()
    data = [item for item in package.joinpath("data").iterdir() if item.is_file()]
    photographs = [item for item in data if item.name.endswith((".png", ".jpg", ".webp"))]
    assert photographs
    assert all(len(item.read_bytes()) <= 300_000 for item in photographs)


def test_metadata():
    distribution = installed()
    assert distribution.version == fastgrad.__version__
    assert distribution.metadata["License-Expression"] == "BSD-3-Clause"
    assert distribution.metadata["Requires-Python"] == ">=3.10"
    extras = set(distribution.metadata.get_all("Provides-Extra"))
    names = "dither plot small large torch jax dask test bench docs all"
    assert extras == set(names.split())
    required = [r for r in distribution.requires if "extra ==" not in r]
    assert {re.match(r"\w+", r).group() for r in required} == {"numba", "numpy", "scipy"}


def test_console_script():
    scripts = installed().entry_points.select(group="console_scripts", name="fastgrad")
    assert [callable(script.load()) for script in scripts] == [True]


def test_python_m_fastgrad(tmp_path):
    command = [sys.executable, "-m", "fastgrad", "--help"]
    result = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    assert "dither" in result.stdout
