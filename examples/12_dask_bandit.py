"""A contextual bandit whose data is a Dask array: one training, the same bits however it is run.

A policy with weights W (D, K) chooses one of K actions for each of 20,000 contexts, and is rewarded
where it chooses the best. Blocks of contexts are tasks; on a cluster, start a distributed.Client,
and nothing else changes. That the chunks do not matter either is shown by training twice.
"""

import numpy as np

try:
    import dask
    import dask.array as da

    import fastgrad.dask as fgd
except ImportError:
    raise SystemExit(print("this is for users of Dask: pip install fastgrad[dask]")) from None

CONTEXTS, D, K, STEPS, RATE = 20_000, 6, 4, 30, 4.0
TRUTH = np.random.default_rng(0).normal(size=(D, K))


def scores(contexts, weights):
    """Return contexts @ weights, summed in an order that does not depend on the block."""
    return (contexts[:, :, None] * weights).sum(axis=1)


def reward(x, contexts):
    """Return 1 where the action is the best one: x is (S, b, K), contexts (b, D)."""
    best = scores(contexts, TRUTH).argmax(axis=-1)
    return np.take_along_axis(x, np.broadcast_to(best[:, None], (*x.shape[:2], 1)), axis=2)[..., 0]


def train(chunk):
    """Train on blocks of so many contexts; return the weights and the mean reward."""
    contexts = fgd.random.normal((CONTEXTS, D), rng=1, dtype=np.float64, chunks=(chunk, D))
    contexts, weights, mean = contexts.persist(), np.zeros((D, K)), 0.0
    for step in range(STEPS):
        logits = da.map_blocks(
            scores, contexts, weights, chunks=(contexts.chunks[0], (K,)), dtype=np.float64
        )
        found = fgd.estimate("rloo", reward, logits, contexts, num_samples=4, rng=step)
        slopes = contexts[:, :, None] * found.grad[:, None, :]
        slope, total = dask.compute(fgd.tree_sum(slopes), fgd.tree_sum(found.value))
        weights = weights + RATE * slope / CONTEXTS
        mean = total / CONTEXTS
    return weights, mean


weights, mean = train(3_000)
print(f"mean reward after {STEPS} steps: {mean:.3f} (chance is {1 / K})")
print("the same weights from other chunks:", bool((weights == train(7_777)[0]).all()))
