"""Pages that name tests, and figures that stand in two places."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")


def test_the_tests_that_hold_promises_exist():
    found = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", PAGE)
    assert len(found) > 25
    for path, name in found:
        assert re.search(rf"^def {name}\(", (ROOT / path).read_text(encoding="utf-8"), re.M), name


def test_every_promise_names_a_test():
    for line in PAGE.splitlines():
        if line.startswith("| ") and not line.startswith(("| promise", "| ---")):
            assert "`tests/" in line.split("|")[2], line


def test_figures_are_those_of_the_readme():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    head = "| work | fastgrad, 1 / 2 threads | NumPy, 1 | torch, 1 / 2 | JAX, 1 / 2 |"
    if head in readme:
        rows = readme.partition(head)[2].split("\n\n")[0].splitlines()[2:]
        assert rows
        assert [row for row in rows if row not in page] == []


def test_every_behaviour_of_others_has_a_version():
    page = (ROOT / "docs" / "others.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if re.match(r"\| (?!tool|---)", line)]
    assert len(rows) > 30
    for row in rows:
        cells = row.split("|")
        assert len(cells) == 5, row
        assert re.search(r"\d", cells[1] + cells[2]), row
