"""The head of a file of kernels names the slow and plain code that says what they compute."""

import ast
import functools
import re

import pytest
from strategies import ROOT

KERNELS = ROOT / "fastgrad" / "kernels"
FILES = [
    path
    for path in sorted(KERNELS.rglob("*.py"))
    if "\n@kernel" in path.read_text() and path.name != "check.py"  # NumPy itself says so
]


@functools.cache
def defined(path):
    """Names of the functions and classes in a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {
        node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef))
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(KERNELS)))
def test_a_file_of_kernels_names_its_oracle(path):
    head = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert "Oracle: " in head
    oracle = head[head.index("Oracle: ") :]
    files = [ROOT / name for name in re.findall(r"tests/[\w/]+\.py", oracle)]
    assert files
    names = set(re.findall(r"`(\w+)`", oracle))
    assert names <= set().union(*map(defined, files))
