"""A page for each estimator, and the table by which one chooses among them.

Bias and variance are those of two small problems whose true gradient is known. f is a square, so
its gradient at a relaxed point is not the one that counts, and biased estimators show their bias.
"""

import io
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import fastgrad as fg
from builders.files import changed, save
from builders.formulae import FORMULAE
from fastgrad.comparison.runs import REFUSALS
from fastgrad.estimators.registry import ESTIMATORS

SAMPLES = (1, 2, 4, 8, 16)
DRAWS = 1000
WEIGHTS = np.array([[0.9, -0.4, 0.1, -0.7], [-0.6, 0.8, -0.2, 0.5]])
TARGET = 0.3
LOGITS = np.array([[0.5, -0.2, 0.0, 0.3], [0.1, 0.4, -0.5, 0.2]])
FLOOR = 1e-6  # below which a bias is rounding, or nothing


def square(weights):
    """Return f(x) = (sum of weights times x, less the target) squared, with its gradient."""
    axes = tuple(range(1, 1 + weights.ndim))

    def residual(x):
        return (x * weights).sum(axis=axes) - TARGET

    def grad(x):
        return 2 * residual(x).reshape(-1, *(1,) * weights.ndim) * weights

    return fg.objective(lambda x: residual(x) ** 2, grad=grad)


PROBLEMS = {
    "two variables of 4 categories": (square(WEIGHTS), fg.Categorical(LOGITS)),
    "three binary variables": (square(WEIGHTS[0, :3]), fg.Bernoulli(LOGITS[0, :3])),
}
DISTRIBUTIONS = {  # by the names under which they are public
    "Categorical": fg.Categorical,
    "Bernoulli": fg.Bernoulli,
    "subset.KSubset": fg.subset.KSubset,
    "subset.Knapsack": fg.subset.Knapsack,
    "permutation.PlackettLuce": fg.permutation.PlackettLuce,
    "permutation.GumbelMatching": fg.permutation.GumbelMatching,
    "trees.SpanningTree": fg.trees.SpanningTree,
    "trees.Arborescence": fg.trees.Arborescence,
    "trees.WeightedTree": fg.trees.WeightedTree,
    "chains.LinearChain": fg.chains.LinearChain,
    "bernoulli.CopulaBernoulli": fg.bernoulli.CopulaBernoulli,
    **{f"counts.{name}": getattr(fg.counts, name) for name in fg.counts.__all__},
}
KIND = {"two variables of 4 categories": "categorical", "three binary variables": "binary"}


def measure(name, problem):
    """Return numbers of samples, squared biases and variances by the true gradient's square.

    None where the estimator does not take such variables. A bias within its own noise is none.
    """
    f, distribution = PROBLEMS[problem]
    truth, found = fg.exact.grad(f, distribution), []
    for samples in SAMPLES:
        if samples < ESTIMATORS[name].min_samples:
            continue
        try:
            found.append((samples, *moments(name, f, distribution, samples, truth)))
        except REFUSALS:
            continue
    return np.array(found).T if found else None


def moments(name, f, distribution, samples, truth):
    """Return an estimator's squared bias and variance by the true gradient's square."""
    got = fg.moments(name, f, distribution, num_samples=samples, rng=0, draws=DRAWS)
    size, noise = np.sum(truth**2), np.sum(got.standard_error**2)
    bias = np.sum((got.mean - truth) ** 2)
    bias = bias if bias > 9 * noise + 1e-12 * size else 0.0  # three standard errors
    return bias / size, np.sum(got.variance) / size


def everything():
    """Return what was measured, by estimator and problem."""
    return {name: {p: measure(name, p) for p in PROBLEMS} for name in ESTIMATORS}


def draw(name, measured):
    """Draw an estimator's bias and variance, with RLOO's variance for comparison."""
    own = {problem: got for problem, got in measured[name].items() if got is not None}
    figure = Figure(figsize=(4.2 * len(own), 3.1), layout="constrained")
    panels = figure.subplots(1, len(own), squeeze=False)[0]
    for panel, (problem, (samples, bias, variance)) in zip(panels, own.items()):
        other = measured["rloo"][problem]
        if name != "rloo":
            panel.loglog(other[0], other[2], ":", color="0.45", label="variance of rloo")
        if variance.max() > FLOOR:
            panel.loglog(samples, np.maximum(variance, FLOOR), "o-", color="C0", label="variance")
        if bias.max() > 0:
            panel.loglog(samples, np.maximum(bias, FLOOR), "s--", color="C3", label="bias, squared")
        panel.set(title=problem, xlabel="samples S", xticks=SAMPLES, ylim=(1e-4, 1e2))
        panel.set_xticks(SAMPLES, [str(s) for s in SAMPLES])
        panel.minorticks_off()
        panel.grid(color="0.85", linewidth=0.5)
        panel.legend(fontsize="small")
    panels[0].set_ylabel("of the true gradient's square")
    data = io.BytesIO()
    figure.savefig(data, format="svg", metadata={"Date": None})
    return data.getvalue()


def kinds(measured):
    """Return which variables an estimator takes, in words."""
    found = [KIND[problem] for problem, got in measured.items() if got is not None]
    return found[0] if len(found) == 1 else "any"


def at(got, samples, which):
    """Return what was measured with so many samples, or with the nearest number there is."""
    return got[which][np.argmin(np.abs(got[0] - samples))]


def row(name, measured):
    """Return an estimator's line of the table."""
    cls, got = ESTIMATORS[name], measured[name]
    first = next(one for one in got.values() if one is not None)
    needs = ", ".join(f"`{part}`" for part in cls.needs) or "values"
    bias = "none" if cls.unbiased else f"{100 * np.sqrt(at(first, 8, 1)):.0f}&nbsp;%"
    bias = "0 here" if bias == "0&nbsp;%" else bias
    variance = at(first, 8, 2)
    return (
        f"[{name}](generated/estimators/{name}.md)",
        kinds(got),
        needs,
        cls.evaluations.replace("*", "×"),
        bias,
        f"{variance:.2g}" if variance > FLOOR else "0",
    )


def takers(cls):
    """Return the names of the distributions that an estimator takes."""
    return [name for name, kind in DISTRIBUTIONS.items() if cls.refusal(kind) is None]


def page(name, measured):
    """Return an estimator's page."""
    cls = ESTIMATORS[name]
    got = {problem: one for problem, one in measured[name].items() if one is not None}
    figures = "; ".join(
        f"{problem}: variance {at(one, 8, 2):.2g}, squared bias {at(one, 8, 1):.2g}"
        for problem, one in got.items()
    )
    facts = [
        ("Unbiased", "yes" if cls.unbiased else "no"),
        ("Variables", kinds(measured[name])),
        ("Distributions", ", ".join(f"`{taker}`" for taker in takers(cls))),
        ("Needs", ", ".join(f"`{part}`" for part in cls.needs) or "the values of f"),
        ("Evaluations of f", cls.evaluations),
        ("Fewest samples", str(cls.min_samples)),
        ("Paper", cls.paper),
    ]
    text = f"# {name}\n\n$$\n{FORMULAE[name]}\n$$\n\n"
    text += "\n".join(f"{term}\n: {value}\n" for term, value in facts)
    text += f"\n![{name} with 8 samples, by the true gradient's square. {figures}]({name}.svg)\n\n"
    text += "Problem and symbols: [which estimator](../../estimators.md).\n\n"
    text += "```{eval-rst}\n"
    text += f".. autoclass:: {cls.__module__}.{cls.__qualname__}\n   :no-members:\n```\n"
    return text


def unchanged(folder, name, *builders):
    """Return whether what is measured, and the modules that measure it, are those of before."""
    package = Path(fg.__file__).parent
    sources = [*package.glob("estimators/**/*.py"), *package.glob("comparison/*.py")]
    sources += package.glob("distributions/**/*.py")
    sources += [Path(__file__), Path(__file__).with_name("formulae.py"), *map(Path, builders)]
    return not changed(folder, name, sources)


def write(folder):
    """Write the table, and the page and picture of each estimator."""
    if unchanged(folder, "estimators"):
        return
    measured = everything()
    heads = ("estimator", "variables", "needs", "evaluations", "bias", "variance")
    lines = [heads, ("---",) * len(heads), *(row(name, measured) for name in ESTIMATORS)]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    tree = "\n".join(f"generated/estimators/{name}" for name in ESTIMATORS)
    save(folder / "parts" / "estimators.md", f"{table}\n\n```{{toctree}}\n:hidden:\n{tree}\n```\n")
    for name in ESTIMATORS:
        save(folder / "estimators" / f"{name}.svg", draw(name, measured))
        save(folder / "estimators" / f"{name}.md", page(name, measured))
