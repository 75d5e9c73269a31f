"""What the pages of the site show in Python runs, and every page is reached."""

import re
from pathlib import Path

import pytest
from copies import Copies

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
SNIPPETS = sorted((DOCS / "snippets").glob("*.py"))
PAGES = sorted(DOCS.glob("*.md"))
FRONTS = {"start_torch": "torch", "start_jax": "jax", "pipeline_dask": "fastgrad.dask"}
FRONTS |= {"estimators_torch": "torch"}


def _cases():
    for path in SNIPPETS:
        optional = [pytest.mark.optional] if path.stem in FRONTS else []
        yield pytest.param(path, id=path.stem, marks=[pytest.mark.slow, *optional])


HEAD = """
import numpy as np
import fastgrad as fg
fg.sample(np.zeros((1, 2)), rng=0)
fg.estimator("rloo")
"""


@pytest.fixture(scope="module")
def copies():
    """What all snippets import takes longer than what most of them do."""
    with Copies(HEAD, "-W", "error::UserWarning", PYTHONPATH=str(ROOT)) as copies:
        yield copies


@pytest.mark.parametrize("path", list(_cases()))
def test_a_snippet_runs(path, tmp_path, copies):
    if path.stem in FRONTS:
        pytest.importorskip(FRONTS[path.stem], exc_type=ImportError)
    run = copies.run(path, tmp_path, 900)
    assert run.returncode == 0, run.stderr
    assert run.stdout


def test_each_snippet_is_shown_and_each_that_is_shown_exists():
    shown = set()
    for page in PAGES:
        shown |= set(re.findall(r"literalinclude\} (\S+)", page.read_text(encoding="utf-8")))
    assert shown == {f"snippets/{path.name}" for path in SNIPPETS}


def test_each_page_is_in_the_index():
    texts = [page.read_text(encoding="utf-8") for page in PAGES]
    trees = re.findall(r"\{toctree\}\n:hidden:\n(.*?)```", "\n".join(texts), re.DOTALL)
    listed = {name for tree in trees for name in tree.split()}
    assert {page.stem for page in PAGES} - {"index"} <= listed


def test_short_python_on_pages_runs():
    for page in PAGES:
        if page.stem == "pipelines":  # whose blocks follow from each other, and have a test
            continue
        for block in re.findall(
            r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
        ):
            exec(compile(block, page.name, "exec"), {})
