"""The examples as stories of the gallery, which runs them and shows what they print and draw."""

import re
import shutil
from pathlib import Path

from PIL import Image

from builders.docstrings import escape
from builders.files import save

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
LARGEST = 500_000  # bytes of a picture, of which a page has a few
HEAD = """
Stories
=======

Each of these runs as it stands, in under 80 lines. They were run when this page was built; the
times and the numbers are those of that run.
"""


def write(folder):
    """Write each example with its first sentence as a title."""
    sources = folder / "story_sources"
    save(sources / "GALLERY_HEADER.rst", HEAD)
    examples = {path.name: path for path in sorted(EXAMPLES.glob("*.py"))}
    for old in sources.glob("*.py"):
        if old.name not in examples:
            old.unlink()
    for name, path in examples.items():
        save(sources / name, told(path.read_text(encoding="utf-8")))


def told(source):
    """Return the source of a story: a title, and the rest of the docstring without markup."""
    found = re.match(r'"""(.*?)"""\n', source, re.DOTALL)
    head, _, rest = found[1].partition("\n\n")
    title = escape(" ".join(head.split()).rstrip(".").partition(": ")[0])
    sentence = escape(" ".join(head.split()))
    body = "\n".join(escape(line) for line in rest.splitlines())
    text = f"{title}\n{'=' * len(title)}\n\n{sentence}\n\n{body}".rstrip()
    return f'r"""\n{text}\n"""\n' + source[found.end() :]


def scrape(block, variables, configuration):
    """Take the pictures that a story has written into the folder where it ran."""
    from sphinx_gallery.scrapers import figure_rst

    places = variables["image_path_iterator"]
    ran = Path(variables["src_file"]).parent
    found = sorted(ran.glob("*.png"))
    shown = []
    for path, place in zip(found, places):
        shutil.move(path, place)
        lighten(Path(place))
        shown.append(place)
    alt = f"What the story {Path(variables['src_file']).stem} draws"
    return figure_rst(shown, configuration["src_dir"], fig_titles=alt)


def lighten(path):
    """Give a picture that is too large for a page 256 colours."""
    if path.stat().st_size > LARGEST:
        with Image.open(path) as image:
            few = image.convert("RGB").quantize(256)
        few.save(path, optimize=True)


def reset(configuration, name):
    """Leave no limit of threads behind, which some stories set."""
    import fastgrad

    fastgrad.set_num_threads(fastgrad.threads.get_num_threads())
