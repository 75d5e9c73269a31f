"""What the site's build makes by code."""

import importlib
import inspect
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fastgrad as fg
from fastgrad.estimators.registry import ESTIMATORS

DOCS = Path(__file__).resolve().parents[2] / "docs"


def builder(name):
    """Import a module of docs/builders, whose folder is no installed package."""
    sys.path.insert(0, str(DOCS))
    try:
        return importlib.import_module(f"builders.{name}")
    finally:
        sys.path.remove(str(DOCS))


def test_every_estimator_has_a_formula():
    assert set(builder("formulae").FORMULAE) == set(ESTIMATORS)


def test_every_formula_is_mathml():
    convert = pytest.importorskip("latex2mathml.converter").convert
    formulae = builder("formulae").FORMULAE | builder("structures").FORMULAE
    for name, formula in formulae.items():
        made = convert(formula)
        assert made.startswith("<math"), name
        assert "\\" not in made, name


def test_every_structure_has_a_formula_and_a_row():
    structures = builder("structures")
    distributions = set(builder("estimators").DISTRIBUTIONS) - {"Categorical", "Bernoulli"}
    assert set(structures.FORMULAE) == distributions
    table = structures.distributions()
    assert all(f"{{py:class}}`fastgrad.{name}` |" in table for name in distributions)


def test_the_history_is_in_order_and_has_every_benchmark(tmp_path):
    history = builder("history")
    measured = history.commits()
    assert len(measured) >= 12
    assert measured[0][0] == "ff82a53d"  # the first release
    assert all(set(values) == set(measured[0][1]) for _, values in measured)
    assert all(value > 0 for _, values in measured for value in values.values())
    history.write(tmp_path)
    table = (tmp_path / "parts" / "history.md").read_text(encoding="utf-8")
    assert len(table.splitlines()) == 2 + len(measured[0][1])


def test_every_public_name_of_the_top_level_is_in_the_reference():
    groups = builder("reference").groups()
    listed = [name for names in groups.values() for name in names]
    assert len(listed) == len(set(listed))
    modules = {name for name in fg.__all__ if inspect.ismodule(getattr(fg, name))}
    assert {*listed, *modules, "__version__"} == set(fg.__all__)


def test_every_option_of_the_commands_is_on_their_page():
    from fastgrad.cli import COMMANDS

    page = builder("command").page()
    for name, command in COMMANDS.items():
        assert f"## fastgrad {name}\n" in page
        for option in (option for options in command.table.values() for option in options):
            for written in option.names:
                assert not written.startswith("-") or f"`{written}" in page, written
    assert "%(" not in page


@pytest.mark.parametrize(
    ("line", "escaped"),
    [
        ("logits : array, shape (*batch, K)", r"logits : array, shape (\*batch, K)"),
        ("``(*batch, K)`` and `**kwargs`", "``(*batch, K)`` and `**kwargs`"),
        ("the *same* key, |x - t|", r"the *same* key, \|x - t\|"),
        ("(b_i - t)**2", r"(b_i - t)\*\*2"),
    ],
)
def test_stray_markup_is_escaped(line, escaped):
    assert builder("docstrings").escape(line) == escaped


def test_examples_in_docstrings_stay():
    lines = [">>> f(*x)", "a*b", "", "a*b"]
    builder("docstrings").repair(None, "function", "f", None, None, lines)
    assert lines == [">>> f(*x)", "a*b", "", r"a\*b"]


def test_a_story_has_a_title_and_its_code():
    stories = builder("stories")
    for path in stories.EXAMPLES.glob("*.py"):
        source = path.read_text(encoding="utf-8")
        told = stories.told(source)
        lines = told.splitlines()
        assert len(lines[1]) == len(lines[2]) > 3
        assert set(lines[2]) == {"="}
        assert told.endswith(source.partition('"""\n')[2])
        compile(told, path.name, "exec")


def test_large_pictures_of_stories_become_lighter(tmp_path):
    y, x = np.mgrid[:700, :500]
    noise = np.random.default_rng(0).integers(0, 20, (700, 500, 3))
    ramps = np.stack([x / 3, y / 4, (x + y) / 6], axis=-1) + noise
    stories, path = builder("stories"), tmp_path / "a.png"
    Image.fromarray(ramps.astype(np.uint8)).save(path)
    assert path.stat().st_size > stories.LARGEST
    stories.lighten(path)
    assert path.stat().st_size < stories.LARGEST
    with Image.open(path) as image:
        found = np.asarray(image.convert("RGB")).astype(float)
    assert found.shape == ramps.shape
    assert np.abs(found - ramps).mean() < 10


def test_inventories_are_sphinxs(tmp_path):
    inventories = builder("inventories")
    inventories.write(tmp_path)
    for project in inventories.URLS:
        data = (tmp_path / "inventories" / f"{project}.inv").read_bytes()
        head, _, body = data.partition(b"zlib.\n")
        assert head.startswith(b"# Sphinx inventory version 2")
        assert len(zlib.decompress(body).splitlines()) == len(inventories.NAMES[project])


def test_every_finding_is_on_the_page_of_what_others_do():
    page = (DOCS / "others.md").read_text(encoding="utf-8")
    scripts = sorted((DOCS.parent / "findings").glob("*.sh"))
    assert scripts
    for path in scripts:
        assert f"(script: `{path.stem}`)" in page, path.name


def test_a_file_with_the_same_content_is_left(tmp_path):
    files, path = builder("files"), tmp_path / "a" / "b.txt"
    files.save(path, "one")
    before = path.stat().st_mtime_ns
    files.save(path, "one")
    assert path.stat().st_mtime_ns == before
    assert files.changed(tmp_path, "b", [path])
    assert not files.changed(tmp_path, "b", [path])
    files.save(path, "two")
    assert files.changed(tmp_path, "b", [path])


@pytest.mark.slow
def test_published_figures_are_ours(monkeypatch):
    """Of fewer estimates than the page has: five standard errors are 25 %."""
    published = builder("published")
    monkeypatch.setattr(published, "DRAWS", 800)
    found = list(published.of_three_bits())
    assert len(found) == 1 + len(published.LIU)
    for what, printed, ours in found:
        assert abs(ours - printed) < 0.25 * abs(printed), what
