from concurrent.futures import ThreadPoolExecutor

import numpy as np

import fastgrad as fg

fg.set_num_threads(1)  # the pool has its own; for the whole process
logits = np.random.default_rng(0).normal(size=(4000, 16)).astype(np.float32)
whole = fg.sample(logits, rng=7)


def work(first):  # kernels release the interpreter's lock
    return fg.sample(logits[first : first + 1000], rng=7, row_offset=first)


with ThreadPoolExecutor(4) as pool:
    parts = list(pool.map(work, range(0, 4000, 1000)))
assert np.array_equal(np.concatenate(parts), whole)  # the same bits, however it is cut
print("four threads, the same samples")
