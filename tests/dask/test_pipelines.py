"""The page about pipelines runs as it stands."""

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytest.importorskip("dask.array")
pytest.importorskip("distributed")
pytest.importorskip("xarray")

pytestmark = [pytest.mark.optional, pytest.mark.slow]
ROOT = Path(__file__).resolve().parent.parent.parent


def test_the_code_of_the_page_runs(tmp_path):
    page = (ROOT / "docs" / "pipelines.md").read_text(encoding="utf-8")
    code = "\n\n".join(re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL))
    assert code.count("assert") >= 7
    script = tmp_path / "pipeline.py"  # its processes import it, so all is under the guard
    script.write_text('if __name__ == "__main__":\n' + textwrap.indent(code, "    "))
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert run.returncode == 0, run.stderr
