"""ReinMax's polynomial programme, solved by every estimator that can afford it.

Minimise the mean of |x_i - 0.45|**P over 128 variables, x_i the first entry of a one-hot choice
between two categories: best is never to choose the first. A batch is 64 samples, with one value for
all variables of a sample, so each variable hears the noise of the 127 others. P = 1.5 and P = 2 are
two examples of one minibatch, which do not mix.

Left out are enumeration (2**128 outcomes), what takes milliseconds a step where the others take a
tenth of one, and what draws the line of another here: muprop reinforce's, arms and carms rloo's,
disarm_iw disarm's, gapped_st straight_through's; local_expectation is exact in such a sum.
"""

import numpy as np
from matplotlib.figure import Figure  # pip install fastgrad[plot]

import fastgrad as fg

UNBIASED = ("reinforce", "rebar", "arm", "disarm", "rloo", "double_cv")
BIASED = ("straight_through", "st_gumbel", "gumbel_softmax", "reinmax")
VARIABLES, BATCH, EPOCHS, STEPS, TARGET = 128, 64, 15, 120, np.float32(0.45)
POWERS = np.array([1.5, 2], np.float32)
ZERO, ONE = TARGET**POWERS, (1 - TARGET) ** POWERS  # what x_i = 0 and x_i = 1 cost


def f(x):
    """Return the costs (S, 2) of choices (S, 2, 128, 2), one-hot or relaxed."""
    cost = np.abs(x[..., 0] - TARGET)
    cost *= np.stack([np.sqrt(cost[:, 0]), cost[:, 1]], axis=1)
    return cost.mean(axis=-1)


def grad(x):
    distance, slope = x[..., 0] - TARGET, np.zeros_like(x)
    size = np.abs(distance)
    size[:, 0] = np.sqrt(size[:, 0])
    slope[..., 0] = np.copysign(size, distance) * (POWERS / VARIABLES)[:, None]
    return slope


def index(z):
    """Return f of indices (S, 2, 128): index 0 is x_i = 1."""
    return ONE + (ZERO - ONE) * z.mean(axis=-1, dtype=np.float32)


def expectation(distribution):
    p = np.exp(fg.log_softmax(distribution.logits))
    slope = ((ONE - ZERO) / VARIABLES)[:, None] * p.prod(axis=-1)
    return ZERO + (ONE - ZERO) * p[..., 0].mean(axis=-1), np.stack([slope, -slope], axis=-1)


objective = fg.objective(f, grad=grad, index=index, expectation=expectation)
adam, figure = fg.optim.Adam(learning_rate=8e-3), Figure(figsize=(12, 5), layout="constrained")
start = np.random.default_rng(0).uniform(-0.01, 0.01, (2, VARIABLES, 2)).astype(np.float32)
panels, final = figure.subplots(1, 2), {}
print("loss after 4, 8, 15 epochs, for P = 1.5 and P = 2; least possible:", *ZERO.round(4))
for name in ("exact", *UNBIASED, *BIASED):
    estimator = None if name == "exact" else fg.estimator(name)
    logits, memory, state, losses = start, None, None, []
    for step, key in enumerate(fg.Key(0).split(EPOCHS * STEPS + 1)):
        if step % STEPS == 0:
            losses.append(fg.exact.value(objective, logits))
        if estimator is None:
            g = fg.exact.grad(objective, logits).astype(np.float32)
        else:
            _, g, state, *_ = estimator(objective, logits, num_samples=BATCH, rng=key, state=state)
        logits, memory = adam.update(logits, g, memory)
    for power, panel, curve in zip(POWERS, panels, np.transpose(losses)):
        panel.plot(curve, {"exact": "k:"}.get(name, "--" if name in BIASED else "-"), label=name)
        panel.set(title=f"P = {power} (dashed: biased)", xlabel="epoch", ylabel="expected loss")
    rows = np.transpose([losses[epoch] for epoch in (4, 8, 15)])
    print(f"  {name:17}", "    ".join(" ".join(f"{x:.4f}" for x in row) for row in rows))
    final[name] = losses[-1]
assert np.all(final["rloo"] < (0.3027, 0.2033)), "it takes no derivative, and beats the next:"
assert np.all(final["reinmax"] < (0.3055, 0.2038))
figure.legend(*panel.get_legend_handles_labels(), loc="outside right center")
figure.savefig("03_polynomial_programme.png", dpi=100)
print("wrote 03_polynomial_programme.png")
