"""Pages that stand elsewhere in the repository, with links that lead somewhere from here."""

import re
from pathlib import Path

from builders.files import save

ROOT = Path(__file__).resolve().parents[2]


def write(folder):
    """Write the pages for contributors and the changelog."""
    for name in ("CONTRIBUTING.md", "CHANGELOG.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        save(folder / name.lower(), re.sub(r"\[([^\]]+)\]\(([^)]+)\)", link, text))


def link(found):
    """Return a link as it is written from docs/generated; to what is no page, only its text."""
    text, target = found[1], found[2]
    if "://" in target:
        return found[0]
    if target.startswith("docs/"):
        return f"[{text}](../{target.removeprefix('docs/')})"
    return f"`{text}`" if "`" not in text else text
