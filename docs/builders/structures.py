"""Sets, orders, trees, chains and counts: which estimators take them, and how far these scatter."""

import numpy as np
from matplotlib.figure import Figure

import fastgrad as fg
from builders import estimators
from builders.files import save
from builders.pictures import svg
from fastgrad.comparison.runs import REFUSALS

SAMPLES = 4  # of which some estimators then list all draws in a moment
WEIGHTS = np.array([0.9, -0.4, 0.1, -0.7, 0.3])
LOGITS = np.array([0.5, -0.2, 0.0, 0.3, 0.1])
EDGES = np.array([[0, 1], [1, 2], [2, 0], [2, 3], [3, 0]])
ARCS = np.array([[0, 1], [0, 2], [1, 2], [2, 1], [2, 3]])
STEPS = np.array([[[0.9, -0.4], [0.1, -0.7]], [[0.3, 0.6], [-0.5, 0.2]]])
COLUMNS = 6  # panels in a row
PLACES = np.arange(16.0).reshape(4, 4) % 7 / 7  # what an item costs in a place
FORMULAE = {
    "subset.KSubset": r"p(z) \propto \prod_{i \in z} e^{\phi_i}, \quad s(z) = z - E[z]",
    "subset.Knapsack": r"p(z) \propto \prod_{i \in z} e^{\phi_i}"
    r"\quad \mathrm{where}\ \sum_{i \in z} c_i \le B,\quad s(z) = z - E[z]",
    "permutation.PlackettLuce": r"p(z) = \prod_{i=1}^{k} \frac{e^{\phi_{z_i}}}"
    r"{\sum_{j \notin \{z_1, \dots, z_{i-1}\}} e^{\phi_j}}",
    "permutation.GumbelMatching": r"z = \mathrm{argmax}_P \sum_{ij} P_{ij} (\phi_{ij} + G_{ij})",
    "trees.SpanningTree": r"p(z) = \prod_{i=1}^{N-1} \frac{e^{\phi_{z_i}}}"
    r"{\sum_{e\ \mathrm{closing\ no\ circle}} e^{\phi_e}}",
    "trees.Arborescence": r"p(z) = \prod_{i} \frac{e^{\phi_{z_i}}}"
    r"{\sum_{e\ \mathrm{into\ the\ node\ or\ circle}\ i} e^{\phi_e}}",
    "trees.WeightedTree": r"p(z) \propto \prod_{e \in z} e^{\phi_e}, \quad s(z) = z - E[z]",
    "chains.LinearChain": r"p(z) \propto \prod_{t=1}^{L} e^{\phi_t(z_{t-1}, z_t)},"
    r"\quad s(z) = x(z) - E[x]",
    "bernoulli.CopulaBernoulli": r"p(z) = \int \varphi(u) \prod_i \Phi\left( (2 z_i - 1)"
    r"\frac{t_i + a_i u}{\sqrt{1 - a_i^2}} \right) du, \quad \Phi(t_i) = \sigma(\phi_i)",
    "counts.Binomial": r"p(z) = \binom{n}{z} \sigma(\phi)^z \sigma(-\phi)^{n - z},"
    r"\quad s(z) = z - n \sigma(\phi)",
    "counts.Geometric": r"p(z) = \sigma(-\phi)^z \sigma(\phi),"
    r"\quad s(z) = 1 - (z + 1) \sigma(\phi)",
    "counts.Multinomial": r"p(z) = n! \prod_k \frac{p_k^{z_k}}{z_k!}, \quad s(z) = z - n p",
    "counts.NegativeBinomial": r"p(z) = \binom{z + n - 1}{z} \sigma(\phi)^z \sigma(-\phi)^n,"
    r"\quad s(z) = z - (z + n) \sigma(\phi)",
    "counts.Poisson": r"p(z) = \frac{e^{\phi z - e^{\phi}}}{z!}, \quad s(z) = z - e^{\phi}",
}
PROBLEMS = {
    "KSubset, 2 of 5": (WEIGHTS, fg.subset.KSubset(LOGITS, 2)),
    "PlackettLuce, 4 items": (PLACES, fg.permutation.PlackettLuce(LOGITS[:4])),
    "SpanningTree, 5 edges": (WEIGHTS, fg.trees.SpanningTree(LOGITS, EDGES)),
    "Arborescence, 5 edges": (WEIGHTS, fg.trees.Arborescence(LOGITS, ARCS)),
    "WeightedTree, 5 edges": (WEIGHTS, fg.trees.WeightedTree(LOGITS, EDGES)),
    "Knapsack, 5 items": (WEIGHTS, fg.subset.Knapsack(LOGITS, [1, 2, 2, 3, 1], 4)),
    "LinearChain, 2 steps": (STEPS, fg.chains.LinearChain(LOGITS[:4].repeat(2).reshape(2, 2, 2))),
    "CopulaBernoulli, 3 bits": (
        WEIGHTS[:3],
        fg.bernoulli.CopulaBernoulli(LOGITS[:3], [0.6, -0.8, 0.3]),
    ),
    "Binomial, 2 of 3 trials": (WEIGHTS[:2], fg.counts.Binomial(LOGITS[:2], 3)),
    "Poisson, 2 variables": (WEIGHTS[:2], fg.counts.Poisson(LOGITS[:2])),
    "Multinomial, 3 of 4": (WEIGHTS[:4], fg.counts.Multinomial(LOGITS[:4], 3)),
}


def rows(heads, cells):
    """Return a table with a row for each distribution."""
    lines = [("distribution", heads), ("---", "---")]
    lines += [(f"{{py:class}}`fastgrad.{name}`", cells(name)) for name in FORMULAE]
    return "\n".join(f"| {first} | {second} |" for first, second in lines) + "\n"


def takers(name):
    """Return links to the estimators that take a distribution."""
    return ", ".join(
        f"[{one}](generated/estimators/{one}.md)" if one in estimators.ESTIMATORS else f"`{one}`"
        for one in fg.list_estimators(distribution=estimators.DISTRIBUTIONS[name])
    )


def distributions():
    """Return the tables of structures and counts: what they are, and the estimators they have."""
    formulae = rows("probability, score", lambda name: f"${FORMULAE[name]}$")
    return f"{formulae}\n{rows('estimators', takers)}"


def measure(weights, distribution):
    """Return squared bias and variance by estimator, as shares of the true gradient's square."""
    f = estimators.square(weights)
    truth, found = fg.exact.grad(f, distribution), {}
    for name in fg.list_estimators(distribution=type(distribution)):
        try:
            found[name] = estimators.moments(name, f, distribution, SAMPLES, truth)
        except REFUSALS:
            continue
    return found


def draw():
    """Draw bias and variance of every estimator on every problem."""
    names = fg.list_estimators(distribution=fg.counts.Poisson)
    names += [name for name in ("rebar", "relax") if name not in names]
    lines = -(-len(PROBLEMS) // COLUMNS)
    figure = Figure(figsize=(15, 4.2 * lines), layout="constrained")
    panels = figure.subplots(lines, COLUMNS, sharey=True, squeeze=False)
    for panel, (title, problem) in zip(panels.flat, PROBLEMS.items()):
        for name, (bias, variance) in measure(*problem).items():
            place = names.index(name)
            for value, mark in ((variance, "oC0"), (bias, "sC3")):
                if value > estimators.FLOOR:
                    panel.plot(value, place, mark, markersize=6 if mark[0] == "o" else 4)
        panel.set(title=title, xscale="log", xlim=(1e-3, 1e2))
        panel.set_xticks([1e-2, 1, 1e2])
        panel.grid(color="0.85", linewidth=0.5)
    for panel in panels.flat[len(PROBLEMS) :]:
        panel.set_visible(False)
    for panel in panels[-1]:
        panel.set_xlabel("of the square of the truth")
    first = panels[0, 0]
    first.set_yticks(range(len(names)), names)
    first.invert_yaxis()
    first.plot([], [], "oC0", label="variance")
    first.plot([], [], "sC3", markersize=4, label="bias, squared")
    figure.legend(loc="outside lower right", ncols=2)
    return svg(figure)


def write(folder):
    """Write the table and the picture."""
    if estimators.unchanged(folder, "structures", __file__):
        return
    save(folder / "parts" / "distributions.md", distributions())
    save(folder / "pictures" / "structures.svg", draw())
