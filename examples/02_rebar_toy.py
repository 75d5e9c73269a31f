"""REBAR's toy: push bits towards 0 by gradients that drown in noise, or do not.

Minimise the mean of (b_i - t)**2 over D random bits. At t = 0.499 the two outcomes of a bit are
worth almost the same: the true gradient is tiny and what matters is the variance of its estimate.
Two hundred runs go side by side as the examples of a minibatch, which never mix; their squared
errors against the known gradient are the variance, at every step of the training. Each estimator
may evaluate f twice a step.

One bit is a special case: the right constant baseline leaves no variance at all, and rebar, which
has no baseline, is worse than plain reinforce. So there are 8 bits too.
"""

import time

import numpy as np
from matplotlib.figure import Figure  # pip install fastgrad[plot]

import fastgrad as fg

RUNS, STEPS, WINDOW = 200, 250, 10
SAMPLES = {"reinforce": 2, "rloo": 2, "arm": 2, "disarm": 2, "rebar": 1, "relax": 2}
TOYS = [(0.45, 1), (0.45, 8), (0.499, 1), (0.499, 8)]


def toy(t):
    """Return the mean of (b - t)**2 over the bits of each run, and its gradient by b."""
    return fg.objective(
        lambda b: ((b - t) ** 2).mean(axis=-1), grad=lambda b: 2 * (b - t) / b.shape[-1]
    )


def train(name, t, bits):
    """Return, at each step, the variance per bit and the mean probability of a 1."""
    f, estimator, key = toy(t), fg.estimator(name), fg.Key(0)
    adam, state, memory = fg.optim.Adam(learning_rate=0.04), None, None
    logits, variance, ones = np.zeros((RUNS, bits)), np.empty(STEPS), np.empty(STEPS)
    for step in range(STEPS):
        estimate = estimator(
            f, fg.Bernoulli(logits), num_samples=SAMPLES[name], rng=key.fold_in(step), state=state
        )
        p = 1 / (1 + np.exp(-logits))
        truth = (1 - 2 * t) / bits * p * (1 - p)
        variance[step] = np.mean((estimate.grad - truth) ** 2)
        ones[step] = p.mean()
        logits, memory = adam.update(logits, estimate.grad, memory)
        state = estimate.state
    return variance, ones


figure = Figure(figsize=(13, 6), layout="constrained")
panels = figure.subplots(2, len(TOYS), sharex=True, sharey="row")
began = time.perf_counter()
for (t, bits), (upper, lower) in zip(TOYS, panels.T):
    print(f"t = {t}, D = {bits}: variance at the start, midway, at the end; probability of a 1")
    final = {}
    for name in SAMPLES:
        variance, ones = train(name, t, bits)
        curve = variance.reshape(-1, WINDOW).mean(axis=1)
        first, middle, last = curve[[0, len(curve) // 2, -1]]
        print(f"  {name:10} {first:9.2e} {middle:9.2e} {last:9.2e}   {ones[-1]:.3f}")
        upper.semilogy(np.arange(len(curve)) * WINDOW, curve, label=name)
        lower.plot(ones, label=name)
        final[name] = last
    upper.set_title(f"t = {t}, {bits} bit{'s' * (bits > 1)}")
    lower.set_xlabel("step")
panels[0, 0].set_ylabel("variance of the gradient")
panels[1, 0].set_ylabel("probability of a 1")
panels[1, 0].legend()
figure.savefig("02_rebar_toy.png", dpi=100)
assert final["disarm"] < 1e-3 * final["rebar"] < 1e-3 * final["reinforce"]
print(f"{time.perf_counter() - began:.0f} s; wrote 02_rebar_toy.png")
