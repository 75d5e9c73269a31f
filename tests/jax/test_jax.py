"""The front of JAX as a whole: what it exports, and what importing it does."""

import subprocess
import sys

import pytest

pytest.importorskip("jax")
fj = pytest.importorskip("fastgrad.jax")
pytestmark = pytest.mark.optional


def test_what_it_exports_is_documented():
    assert sorted(fj.__all__) == fj.__all__
    for name in fj.__all__:
        assert getattr(fj, name).__doc__, name


def test_fastgrad_alone_imports_no_jax():
    code = "import fastgrad, sys; assert 'jax' not in sys.modules; import fastgrad.jax"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=100)


def test_an_older_jax_is_refused_by_its_number():
    code = "import jax; del jax.ffi; jax.__version__ = '0.4.38'; import fastgrad.jax"
    command = [sys.executable, "-c", code]
    found = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert found.returncode == 1
    assert "ImportError: fastgrad.jax needs JAX 0.5 or newer, got 0.4.38" in found.stderr
