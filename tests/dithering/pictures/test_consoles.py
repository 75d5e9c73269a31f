"""Consoles: their limits, and pictures that keep them, as read back from files."""

import io

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.dithering.pictures.consoles import CONSOLES, SUMMARIES, limits_of

Image = pytest.importorskip("PIL.Image")
BITS = {"snes": 5, "gbc": 5, "mega-drive": 3, "sms": 2}


@pytest.fixture(scope="module")
def photograph():
    from fastgrad.dithering.files.plan import PHOTOGRAPH

    return np.asarray(Image.open(PHOTOGRAPH).resize((44, 36)))


def test_every_console_is_described():
    assert set(SUMMARIES) == set(CONSOLES)
    assert limits_of("Mega-Drive") is CONSOLES["mega-drive"]
    with pytest.raises(ValueError, match="tiles must be one of"):
        limits_of("snez")
    with pytest.raises(TypeError, match="tiles must be Tiles or the name of a console, got 8"):
        limits_of(8)


@pytest.mark.parametrize("name", CONSOLES)
def test_a_file_keeps_the_limits(photograph, tmp_path, name):
    limits = CONSOLES[name]
    fg.dither(photograph, tiles=name, speed=10).save(tmp_path / "out.png")
    with Image.open(io.BytesIO((tmp_path / "out.png").read_bytes())) as image:
        indices = np.asarray(image)
        colors = np.array(image.getpalette()).reshape(-1, 3)
    assert len(colors) == limits.palettes * limits.colors
    across, down = limits.size
    for y in range(0, 36, down):
        for x in range(0, 44, across):
            tile = indices[y : y + down, x : x + across]
            assert np.unique(tile // limits.colors).size == 1
            assert np.unique(colors[tile].reshape(-1, 3), axis=0).shape[0] <= limits.colors
    assert np.unique(indices // limits.colors).size > 1
    if name in BITS:  # whose first bits are all there is
        shown = colors >> (8 - BITS[name])
        again = np.round(shown * 255 / ((1 << BITS[name]) - 1))
        assert np.abs(again - colors).max() <= 1
    else:
        assert (colors[:, None] == np.asarray(limits.inks)).all(axis=2).any(axis=1).all()
    if limits.shared_color:
        assert (colors[:: limits.colors] == colors[0]).all()
