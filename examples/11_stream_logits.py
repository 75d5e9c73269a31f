"""A file of logits that may be larger than memory, sampled piece by piece from a memory map.

A piece is told where its first row stands, and so the samples are those of one call: for any size
of pieces, on any machine. With ROWS = 625_000_000 these are 10**10 logits in a file of 40 GB, and
memory is still that of a piece.
"""

import tempfile
from pathlib import Path

import numpy as np

import fastgrad as fg

ROWS, K, PIECE = 200_000, 16, 30_000
starts = range(0, ROWS, PIECE)

with tempfile.TemporaryDirectory() as folder:
    logits = np.memmap(Path(folder) / "logits", np.float32, "w+", shape=(ROWS, K))
    for i in starts:  # noise in place of the output of a model, made by pieces too
        fg.random.normal(
            logits[i : i + PIECE].shape, rng=1, offset=i * K, out=logits[i : i + PIECE]
        )
    samples = np.memmap(Path(folder) / "samples", np.int32, "w+", shape=(ROWS,))
    for i in starts:
        fg.sample(logits[i : i + PIECE], rng=0, row_offset=i, out=samples[i : i + PIECE])
    same = bool((samples == fg.sample(logits, rng=0)).all())  # as long as one call can do it
    print(f"{ROWS} samples in {len(starts)} pieces; the same as in one: {same}")

    rloo, total = fg.estimator("rloo"), 0.0
    for i in starts:  # and gradients: f has a value for each row, so that rows do not mix
        estimate = rloo(
            lambda x: x[..., 0], logits[i : i + PIECE], num_samples=4, rng=0, row_offset=i
        )
        total += float(estimate.value.sum(dtype=np.float64))
    print(f"category 0 has a probability of {total / ROWS:.3f}, on average")
