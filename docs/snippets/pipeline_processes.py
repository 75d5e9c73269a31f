from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np

import fastgrad as fg


def work(first):  # a function of a module, which a process can import
    fg.set_num_threads(1)  # one for each process: the processes share the processors
    logits = np.random.default_rng(0).normal(size=(4000, 16)).astype(np.float32)
    return fg.sample(logits[first : first + 2000], rng=7, row_offset=first)


if __name__ == "__main__":
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        parts = np.concatenate(list(pool.map(work, [0, 2000])))
    print(f"{len(parts)} samples of two processes, compiled once: they share the kernel cache")
    assert len(parts) == 4000
