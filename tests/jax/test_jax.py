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
