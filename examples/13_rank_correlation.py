"""Learn to rank: Spearman's correlation as the objective, where least squares is led astray.

A linear model is to put 500 things in order. What it learns from is a score that is monotone in the
truth but far from linear, and one in ten scores is nonsense. Least squares chases the largest
scores; the correlation of soft ranks, `fg.order.soft_rank`, sees the order only, and has gradients.

    python 13_rank_correlation.py
"""

import numpy as np
from matplotlib.figure import Figure  # pip install fastgrad[plot]
from scipy.stats import spearmanr

import fastgrad as fg

FEATURES, THINGS, STEPS = 12, 500, 300
METHODS = {"quadratic": 0.02, "entropic": 0.02, "laplace": 0.1}  # and their temperatures


def things(rng, weights, count):
    """Return features, the truth, and scores: a steep function of it, a tenth replaced."""
    x = rng.normal(size=(count, FEATURES))
    truth = x @ weights
    scores = np.exp(2.5 * (truth + 0.3 * rng.normal(size=count)))
    wrong = rng.random(count) < 0.1
    return x, truth, np.where(wrong, rng.permutation(scores), scores)


def correlation(prediction, target, **options):
    """Return the correlation of soft ranks with hard ones, and its gradient by the prediction."""
    a = fg.order.soft_rank(prediction, **options)
    b = fg.order.soft_rank(target, hard=True)
    a, b = a - a.mean(), b - b.mean()
    norms = np.linalg.norm(a), np.linalg.norm(b)
    value = a @ b / (norms[0] * norms[1])
    grad = (b / norms[1] - value * a / norms[0]) / norms[0]
    return value, fg.order.soft_rank_vjp(prediction, grad - grad.mean(), **options)


def learn(x, scores, method, temperature):
    """Return weights that put things in the order of their scores, and the objective's course."""
    w, memory, course = np.zeros(FEATURES) + 1e-3, None, []
    adam = fg.optim.Adam(learning_rate=0.03)
    for _ in range(STEPS):
        value, grad = correlation(x @ w, scores, method=method, temperature=temperature)
        w, memory = adam.update(w, -x.T @ grad, memory)
        course.append(value)
    return w, course


rng = np.random.default_rng(0)
weights = rng.normal(size=FEATURES) / np.sqrt(FEATURES)
x, _, scores = things(rng, weights, THINGS)
x_new, truth, _ = things(rng, weights, 5000)
figure = Figure(figsize=(6, 4), layout="constrained")
axes = figure.subplots()
squares = np.linalg.lstsq(np.c_[x, np.ones(THINGS)], scores, rcond=None)[0][:FEATURES]
found = {"least squares": spearmanr(x_new @ squares, truth).statistic}
for method, temperature in METHODS.items():
    w, course = learn(x, scores, method, temperature)
    found[method] = spearmanr(x_new @ w, truth).statistic
    axes.plot(course, label=f"soft ranks, {method}")
for name, value in found.items():
    print(f"{name:>14}: rank correlation with the truth {value:.3f}")
assert min(found[method] for method in METHODS) > max(0.98, found["least squares"])
axes.set(xlabel="step", ylabel="correlation of soft ranks with the scores'")
axes.legend()
figure.savefig("13_rank_correlation.png", dpi=100)
print("wrote 13_rank_correlation.png: how the objective rose")
