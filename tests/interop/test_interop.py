"""What fronts share knows no framework."""

import subprocess
import sys


def test_no_framework_is_imported():
    code = """
import fastgrad.interop.replay, sys
print(sorted({"torch", "jax", "dask"} & {name.split(".")[0] for name in sys.modules}))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100)
    assert run.stdout.strip() == "[]", run.stderr
