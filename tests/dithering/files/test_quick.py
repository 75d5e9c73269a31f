"""Pictures of a moment: they have the colours that are asked for."""

import numpy as np
import pytest

from fastgrad.dithering.files.quick import quickly

pytest.importorskip("PIL")
RAMP = np.repeat(np.tile(np.arange(0, 256, 4, dtype=np.uint8), (8, 1))[..., None], 3, axis=2)


def test_a_palette_is_learned_after_what_is_locked():
    red = np.uint8([[255, 0, 0]])
    made = quickly(RAMP / 255, 4, locked=red)
    np.testing.assert_array_equal(made.palette[:1], red)
    assert len(made.palette) <= 4
    assert made.indices.shape == RAMP.shape[:2]
    assert np.abs(made.palette[made.indices].mean() - RAMP.mean()) < 10


def test_a_given_palette_keeps_its_order():
    palette = np.uint8([[255, 255, 255], [0, 0, 0]])
    made = quickly(RAMP, 16, palette)
    assert made.palette is palette
    assert made.indices[:, 0].all()
    assert not made.indices[:, -1].any()
