import numpy as np

import fastgrad as fg

rows, k, chunk = 100_000, 32, 20_000  # as well ten million: a chunk at a time is in memory
logits = np.lib.format.open_memmap("logits.npy", "w+", np.float32, (rows, k))
logits[:] = np.random.default_rng(0).normal(size=(rows, k))
samples = np.lib.format.open_memmap("samples.npy", "w+", np.int32, (rows,))

for first in range(0, rows, chunk):
    part = slice(first, first + chunk)
    fg.sample(logits[part], rng=7, row_offset=first, out=samples[part])
samples.flush()
assert np.array_equal(samples, fg.sample(logits, rng=7))  # what one call would give
print("five chunks, the same samples")
