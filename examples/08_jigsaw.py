"""Put the shuffled pieces of a photograph back together, by Gumbel-Sinkhorn.

Nothing is known but how well the edges of two pieces fit. A permutation puts each piece in a place;
its score, the sum of the fits of neighbours, is quadratic in it, so its derivative at relaxed ones
says how much each piece would like each place, given where its neighbours are thought to be. A step
moves the logits towards that, times an inverse temperature that rises: natural gradient ascent of
the expected score plus an entropy that fades. On the way pieces are blends: the expected picture.
"""

import time
from pathlib import Path

import numpy as np
from PIL import Image  # pip install fastgrad[dither]

import fastgrad as fg

GRID, SAMPLES, RATE, NOISE, SHARPNESS = 6, 8, 0.3, 0.3, 8.0
COOLING, START, END = 1.01, 0.5, 5.0
PIECES = GRID * GRID

with Image.open(Path(fg.__file__).parent / "data" / "astronaut.jpg") as photograph:
    side = min(photograph.size) // GRID
    image = np.asarray(photograph.convert("RGB"), np.float32)[: side * GRID, : side * GRID] / 255
tiles = image.reshape(GRID, side, GRID, side, 3).swapaxes(1, 2).reshape(PIECES, side, side, 3)
order = np.random.default_rng(0).permutation(PIECES)  # piece i belongs in place order[i]
pieces = tiles[order]


def fits(last, before, first, after):
    """Return how well piece j continues piece i: near 1 for the best, and against the next best."""
    forward = np.sqrt(np.abs((2 * last - before)[:, None] - first)).mean(axis=(2, 3))
    backward = np.sqrt(np.abs((2 * first - after) - last[:, None])).mean(axis=(2, 3))
    cost = forward + backward + 1e-3
    np.fill_diagonal(cost, np.inf)
    next_best = [np.sort(cost, axis=axis).take([1], axis) for axis in (0, 1)]
    return sum(np.exp(SHARPNESS * (1 - cost / n)) for n in next_best).clip(0, 40) / 10


def assemble(x):
    """Return the picture of pieces in places x, shape (PIECES, PIECES): permutation or blend."""
    placed = np.einsum("ip,ihwc->phwc", x, pieces).reshape(GRID, GRID, side, side, 3)
    return placed.swapaxes(1, 2).reshape(image.shape)


place, turned = np.arange(PIECES).reshape(GRID, GRID), pieces.swapaxes(1, 2)
across = fits(*(turned[:, i] for i in (-1, -2, 0, 1))), place[:, :-1].ravel(), place[:, 1:].ravel()
down = fits(*(pieces[:, i] for i in (-1, -2, 0, 1))), place[:-1].ravel(), place[1:].ravel()


def slope(x):
    """Return the derivative of the score by the places of pieces, (samples, PIECES, PIECES)."""
    g = np.zeros_like(x)
    for fit, here, there in (across, down):
        g[..., here] += fit @ x[..., there]
        g[..., there] += fit.T @ x[..., here]
    return g


began, key, inverse, step = time.perf_counter(), fg.Key(0), START, 0
log_alpha, scenes = np.zeros((PIECES, PIECES), np.float32), [assemble(np.eye(PIECES))]
while inverse < END:
    x = fg.permutation.gumbel_sinkhorn(
        log_alpha, temperature=1.0, num_samples=SAMPLES, rng=key.fold_in(step), noise_scale=NOISE
    ).matrix
    log_alpha += np.float32(RATE) * (np.float32(inverse) * slope(x).mean(axis=0) - log_alpha)
    inverse, step = inverse * COOLING, step + 1
    expected = x.mean(axis=0)
    if step % 25 == 0:
        right = (fg.permutation.matching(log_alpha) == order).mean()
        print(f"step {step}: {right:.0%} of pieces in place, surest {expected.max():.2f}")
    if len(scenes) == 1 and expected.max() > 0.25:
        scenes.append(assemble(expected))
found = fg.permutation.matching(log_alpha)
scenes.append(assemble(np.eye(PIECES)[found]))
Image.fromarray((np.hstack(scenes) * 255).round().astype(np.uint8)).save("08_jigsaw.png")
right, seconds = (found == order).sum(), time.perf_counter() - began
print(f"{right} of {PIECES} pieces in place, {seconds:.0f} s; wrote 08_jigsaw.png")
assert right == PIECES
