"""Rows that come and go are where they were, in C order."""

import numpy as np
import pytest
from scipy.ndimage import uniform_filter1d

from fastgrad.dithering.optimiser.held_rows import BlurredRows, HeldRows


@pytest.mark.parametrize("planes", [1, 3])
@pytest.mark.parametrize("margin", [0, 2])
def test_rows_stay_as_long_as_they_are_kept(planes, margin):
    held, wide = HeldRows(planes, 5, np.float32, 4, margin=margin, fill=9), 4
    for end in range(10, 200, 7):
        keep = max(4, end - 20)
        held.extend(end, keep)
        rows = held.at(wide)[:, margin : margin + end - wide]
        assert (rows == 9).all(), "new rows are filled"
        rows[:] = np.arange(wide, end)[:, None]
        wide = end
        for row in range(keep, end):
            here = held.at(row)
            assert here.flags.c_contiguous
            assert (here[:, margin] == row).all()


def test_a_single_plane_takes_no_more_room_than_its_rows():
    one, three = (HeldRows(planes, 100, np.uint8, 0) for planes in (1, 3))
    for held in (one, three):
        held.extend(80, 0)
    assert one.at(0).base.size == 90 * 100
    assert three.at(0).base.size == 4 * 90 * 100, "any row may be the first of an array of all"


@pytest.mark.parametrize("radius", [0, 2])
@pytest.mark.parametrize("sizes", [[40], [1] * 40, [5, 0, 1, 20, 13, 1]])
def test_rows_are_blurred_as_if_all_had_come_at_once(radius, sizes):
    def blur(planes):
        size = 2 * radius + 1
        return size * uniform_filter1d(planes, size, axis=1, mode="constant")

    planes = np.random.default_rng(0).integers(0, 99, (2, sum(sizes), 3)).astype(np.float64)
    rows, taken, begin = BlurredRows(blur, radius, 2, 3, np.float64, 7, 7 + sum(sizes)), [], 0
    for size in sizes:
        taken.append(rows.add(planes[:, begin : begin + size]))
        begin += size
        assert rows.given == 7 + begin
        assert rows.end == 7 + sum(part.shape[1] for part in taken)
        assert rows.end >= rows.given - radius
    np.testing.assert_allclose(np.concatenate(taken, axis=1), blur(planes), atol=1e-9)
