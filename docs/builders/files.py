"""Files that the build makes."""

import hashlib
from pathlib import Path


def save(path: Path, content: str | bytes) -> None:
    """Write a file unless it is there already with the same content, which Sphinx then keeps."""
    data = content.encode() if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_bytes() != data:
        path.write_bytes(data)


def changed(folder: Path, name: str, sources: list[Path]) -> bool:
    """Return whether files differ from those of the last build, and remember these."""
    digest = hashlib.sha256()
    for path in sorted(sources):
        digest.update(path.read_bytes())
    note = folder / "digests" / name
    if note.exists() and note.read_text() == digest.hexdigest():
        return False
    save(note, digest.hexdigest())
    return True
