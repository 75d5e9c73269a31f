"""Colour a map so that no two neighbours look alike, by gradients through random choices.

Every country draws one of four colours from its own categorical distribution. The number of
clashes is a function of discrete choices and has no derivative; its expectation has one, with
respect to the logits, and estimators find it from samples alone.
"""

import numpy as np
from scipy.spatial import Delaunay

import fastgrad as fg

COUNTRIES, COLOURS, SAMPLES, STEPS, RATE = 40, 4, 64, 300, 1.0

# A map: points in the plane, and a border along each edge of their triangulation.
points = np.random.default_rng(0).random((COUNTRIES, 2))
triangles = Delaunay(points).simplices
borders = np.unique(np.sort(triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2)), axis=0)
here, there = borders.T


def clashes(x):
    """Count borders between equal colours; x is one-hot, (samples, countries, colours)."""
    return np.einsum("sbk,sbk->s", x[:, here], x[:, there])


estimator = fg.estimator("rloo")  # score function, each sample's baseline is the mean of the others
key = fg.Key(2026)
logits = np.zeros((COUNTRIES, COLOURS), dtype=np.float32)

print(f"{COUNTRIES} countries, {len(borders)} borders, {COLOURS} colours")
for step in range(STEPS + 1):
    estimate = estimator(clashes, logits, num_samples=SAMPLES, rng=key.fold_in(step))
    if step % 50 == 0:
        print(f"step {step:3}: {float(np.mean(estimate.value)):6.2f} clashes expected")
    logits -= np.float32(RATE) * estimate.grad

colours = logits.argmax(axis=-1)
left = np.count_nonzero(colours[here] == colours[there])
print(f"each country's likeliest colour: {left} clashes")
assert left <= len(borders) // 20, "a random colouring has clashes on a quarter of its borders"
