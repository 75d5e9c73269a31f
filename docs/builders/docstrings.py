"""Docstrings of the package as reStructuredText.

They are written for people in front of a terminal: ``(*batch, K)`` in a type is no emphasis there,
and ``abs(x)`` between bars no substitution. What would be markup by accident is escaped; examples
and what stands between back-quotes stay as they are.
"""

import re

CODE = re.compile(r"(``.+?``|`[^`]+`|\*\*[^\s*][^*]*\*\*(?!\w)|(?<!\w)\*[A-Za-z][\w ]*\*(?!\w))")
MARKS = re.compile(r"([*|])|(?<=\w)(_)(?!\w)")


def escape(line):
    """Escape stray markup of one line."""
    parts = CODE.split(line)
    return "".join(
        part if i % 2 else MARKS.sub(lambda m: "\\" + m[0], part) for i, part in enumerate(parts)
    )


def repair(app, what, name, obj, options, lines):
    """Escape stray markup in a docstring, in place, but in examples and blocks of code."""
    doctest, literal = False, None
    for i, line in enumerate(lines):
        indent = len(line) - len(line.lstrip())
        if literal is not None and line.strip() and indent <= literal:
            literal = None
        if line.lstrip().startswith(">>>"):
            doctest = True
        elif not line.strip():
            doctest = False
        if not doctest and literal is None:
            lines[i] = escape(line)
            if line.rstrip().endswith("::"):
                literal = indent


def skip(app, what, name, obj, skip, options):
    """Leave out the fields of named tuples: the class lists its attributes in words."""
    text = getattr(obj, "__doc__", None) or ""
    return True if text.startswith("Alias for field number") else None
