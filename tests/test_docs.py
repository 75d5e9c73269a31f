"""Pages for contributors name files that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = ["README.md", "CONTRIBUTING.md", "tests/README.md"]
PAGES += ["docs/architecture.md", "docs/pipelines.md"]
PATTERN = re.compile(r"[<>*]|NAME|y_part|x/y|^y\.py|^concrete_vjp|^out")  # stands for no one file
ENDINGS = (".py", ".md", ".json", ".toml", ".cff", "/", "/run")
FOLDERS = ("", "fastgrad", "fastgrad/dithering", "fastgrad/estimators/relaxed_controls", "tests")
FOLDERS += (
    "fastgrad/kernels/random",
    "fastgrad/kernels/distributions",
    "tests/estimators",
    "benchmarks",
)


def named(page):
    """Yield what looks like a file or a folder in code spans, and the targets of links."""
    text = (ROOT / page).read_text(encoding="utf-8")
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    for span in re.findall(r"`([^`\s]+)`", text):
        if span.endswith(ENDINGS) and not re.search(
            r"[<>*]|NAME|y_part|x/y|^y\.py|^concrete_vjp", span
        ):
            yield span
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        yield str(((ROOT / page).parent / target).resolve().relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES)
def test_every_file_named_exists(page):
    found = list(named(page))
    assert found
    for name in found:
        places = [ROOT / folder / name for folder in FOLDERS]
        assert any(place.exists() for place in places), f"{page}: {name}"


def test_commands_of_the_forge_are_the_projects_own():
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    assert "bash .ci/run" in workflow
