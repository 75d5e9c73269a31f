"""Sphinx's settings: `sphinx-build -W docs docs/_build`, with `-t quick` for one story only.

The build fetches nothing. What can be made by code is made before Sphinx reads its sources, into
docs/generated: tables, pictures, the reference, and the stories that the gallery runs.
"""

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE)]
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # threads that spin starve each other
os.environ.setdefault("MPLBACKEND", "Agg")

from builders import (
    command,
    dithering,
    docstrings,
    estimators,
    history,
    inventories,
    pages,
    pictures,
    published,
    reference,
    stories,
    structures,
)

import fastgrad

QUICK = tags.has("quick")  # noqa: F821
ONLINE = tags.has("online")  # noqa: F821
GENERATED = HERE / "generated"

TEXTS = (inventories, pages, command, reference, stories)
PICTURES = (history, estimators, structures, published, pictures, dithering)
for builder in (*TEXTS, *PICTURES):
    builder.write(GENERATED)

project = "fastgrad"
author = copyright = "fastgrad developers"
version = release = fastgrad.__version__
extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "builders.mathematics",
]
exclude_patterns = [
    "_build",
    "builders",
    "snippets",
    "generated/parts",
    "generated/extra",
    "generated/story_sources",
    "generated/stories/*.md5",
    "sg_execution_times.rst",
    "generated/stories/sg_execution_times.rst",
]
suppress_warnings = ["config.cache"]  # the gallery's settings hold functions
default_role = "py:obj"

myst_enable_extensions = ["colon_fence", "dollarmath", "deflist"]
myst_heading_anchors = 3
myst_links_external_new_tab = False

autosummary_generate = True
autosummary_ignore_module_all = False
autodoc_default_options = {"members": True, "show-inheritance": False}
autodoc_typehints = "none"  # the docstrings say them in words
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
numpydoc_use_plots = False

intersphinx_mapping = inventories.mapping(GENERATED, ONLINE)

sphinx_gallery_conf = {
    "examples_dirs": str(GENERATED / "story_sources"),
    "gallery_dirs": "generated/stories",
    "filename_pattern": r"/01_" if QUICK else r"\.py$",
    "image_scrapers": (stories.scrape,),
    "capture_repr": (),
    "download_all_examples": False,
    "abort_on_example_error": True,
    "plot_gallery": True,
    "remove_config_comments": True,
    "write_computation_times": False,
    "show_signature": False,
    "within_subsection_order": "FileNameSortKey",
    "reset_modules": (stories.reset,),
}

NO_SECTION = ["index", "start", "idea", "pipeline", "others", "performance", "reliability"]
NO_SECTION += ["benchmarks", "architecture", "generated/command", "generated/contributing"]
NO_SECTION += ["generated/changelog"]
html_theme = "pydata_sphinx_theme"
html_title = "fastgrad"
templates_path = ["_templates"]
html_static_path = ["_static"]
html_extra_path = ["generated/extra"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_favicon = "_static/favicon.svg"
html_sidebars = {page: [] for page in NO_SECTION}
html_copy_source = False
html_show_sourcelink = False
html_context = {"default_mode": "auto"}
html_theme_options = {
    "logo": {"text": "fastgrad"},
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
    "show_prev_next": True,
    "navigation_with_keys": False,
    "header_links_before_dropdown": 6,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}


def setup(app):
    """Repair docstrings before numpydoc reads them."""
    app.connect("autodoc-process-docstring", docstrings.repair, priority=100)
    app.connect("autodoc-skip-member", docstrings.skip)
