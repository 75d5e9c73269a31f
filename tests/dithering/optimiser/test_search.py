"""Direct binary search; its moves are proved in `test_annealing`."""

import numpy as np

from fastgrad.dithering import BlurredError
from fastgrad.dithering.optimiser.diffusion import diffuse
from fastgrad.dithering.optimiser.search import Search, table_of


def test_without_blur_neighbours_that_may_swap_are_in_the_table():
    rng = np.random.default_rng(0)
    image, palette = rng.random((40, 50, 3)), rng.random((8, 3))
    loss = BlurredError(image.astype(np.float32), sigma=0, weights=rng.random((40, 50)) + 0.1)
    table, _ = table_of(loss)
    assert table.shape[0] == 3  # a kernel reads one row above and below, whatever stands there
    assert np.count_nonzero(table) == 1
    assert table[1, 1] == loss.table[0, 0]
    indices = diffuse(loss, palette)
    search = Search(loss, indices, palette)
    for _ in range(8):
        search.sweep()
    nearest = np.square(image[:, :, None] - palette).sum(axis=-1).argmin(axis=-1)
    assert (indices != nearest).mean() < 0.002  # which needs no search
