"""Choose inks: which few of thirty filaments print a photograph best, by k-subsets.

The loss of a set of inks is the error of every colour of the picture when it may be any mixture of
two inks of the set. There are 142,506 sets of five. A distribution over them has one logit for each
ink; RLOO estimates the gradient of the expected loss, which 60 steps of Adam lower. The best set
that was drawn is then compared with all of them.

    python 14_choose_inks.py
"""

from itertools import combinations
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure  # pip install fastgrad[plot]
from PIL import Image

import fastgrad as fg

INKS, CHOSEN, STEPS, SAMPLES = 30, 5, 60, 16
PHOTOGRAPH = Path(fg.__file__).parent / "data" / "astronaut.jpg"


def errors(colors, inks):
    """Return the squared error of colours as the best mixture of each pair of inks."""
    table = np.empty((len(inks), len(inks), len(colors)))
    for i, j in combinations(range(len(inks)), 2):
        along = inks[j] - inks[i]
        share = np.clip((colors - inks[i]) @ along / max(along @ along, 1e-9), 0, 1)
        table[i, j] = table[j, i] = np.square(inks[i] + share[:, None] * along - colors).sum(1)
    return table


def main():
    """Learn which inks to take, and print how good they are among all sets."""
    rng = np.random.default_rng(2)
    inks = rng.uniform(0, 1, (INKS, 3))
    photograph = np.asarray(Image.open(PHOTOGRAPH).convert("RGB").resize((16, 16))) / 255
    table = errors(photograph.reshape(-1, 3), inks)
    pairs = np.array(list(combinations(range(CHOSEN), 2)))
    met = {}

    def loss(sets):
        return table[sets[:, pairs[:, 0]], sets[:, pairs[:, 1]]].min(axis=1).mean(axis=1)

    def f(x):  # k-hot samples, (S, INKS)
        sets = np.nonzero(x)[1].reshape(len(x), CHOSEN)
        values = loss(sets)
        met.update(zip(map(tuple, sets.tolist()), values.tolist()))
        return values

    logits, adam, state = np.zeros(INKS), fg.optim.Adam(learning_rate=0.2), None
    rloo, means, shares = fg.estimator("rloo"), [], []
    for step in range(STEPS):
        estimate = rloo(f, fg.subset.KSubset(logits, CHOSEN), num_samples=SAMPLES, rng=step)
        logits, state = adam.update(logits, estimate.grad, state)
        means.append(float(np.mean(estimate.value)))
        shares.append(fg.subset.marginals(logits, CHOSEN))
    best = min(met, key=met.get)
    every = np.array(list(combinations(range(INKS), CHOSEN)))
    values = np.concatenate([loss(part) for part in np.array_split(every, 200)])
    better = int((values < met[best] - 1e-12).sum())
    print(f"{len(met)} sets of {len(every)} were tried; {better} are better than the best of them")

    figure = Figure(figsize=(9, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(means, label="expected loss")
    left.axhline(values.min(), color="0.5", linestyle="--", label="least of all sets")
    left.set(xlabel="step", ylabel="mean squared error")
    left.legend()
    for ink, share in zip(inks, np.transpose(shares)):
        right.plot(share, color=ink)
    right.set(xlabel="step", ylabel="chance that an ink is taken", ylim=(0, 1))
    figure.savefig("14_choose_inks.png", dpi=120)


if __name__ == "__main__":
    main()
