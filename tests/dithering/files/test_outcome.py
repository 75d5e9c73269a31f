"""What came of a picture."""

import io

import pytest

from fastgrad.dithering.files import outcome
from fastgrad.dithering.pictures import images

Image = pytest.importorskip("PIL.Image")


def test_what_is_larger():
    file = io.BytesIO()
    Image.new("RGB", (5, 4), "teal").save(file, "PNG")
    source, size = images.Picture(file.getvalue()), len(file.getvalue())
    assert outcome.larger(source, bytes(size)) is None
    reason = outcome.larger(source, bytes(size + 1))
    assert reason == f"its {size + 1} bytes are more than the {size} of standard input"
