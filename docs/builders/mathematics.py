"""Formulae as MathML, which browsers draw by themselves: no script, no font, nothing fetched."""

from docutils.nodes import SkipNode
from latex2mathml.converter import convert


def inline(translator, node):
    """Write a formula in a line."""
    translator.body.append(convert(node.astext()))
    raise SkipNode


def display(translator, node):
    """Write a formula that stands alone."""
    formula = convert(node.astext(), display="block")
    translator.body.append(f'<div class="formula" tabindex="0">{formula}</div>')
    raise SkipNode


def setup(app):
    """Make this the renderer of formulae."""
    app.add_html_math_renderer("mathml", (inline, None), (display, None))
    app.config.html_math_renderer = "mathml"
    return {"parallel_read_safe": True, "parallel_write_safe": True}
