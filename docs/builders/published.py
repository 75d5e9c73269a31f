"""Figures that papers or their programmes print, and claims without figures, beside ours."""

import numpy as np

import fastgrad as fg
from builders import estimators, structures
from builders.files import save

BITS = np.array([0, 1, 1, 2, 1, 2, 2, 3])  # of categories of the toy: d logits / d eta
LIU = {0: 0.01275, 1: 0.00756, 2: 0.00633, 3: 0.00525, 4: 0.00363, 7: 0.00100, 8: 0.00099}
NOTEBOOK = "Liu et al., 2019, notebook"
DRAWS = 10_000  # as in the notebook
LEARNED = 50  # calls, of what learns


def of_three_bits():
    """Return what a notebook prints of three bits that share a logit, and ours by enumeration."""
    f, logits = fg.objectives.bernoulli3(), np.zeros(8)
    yield "gradient of E[f], three bits", -0.0450, float(fg.exact.grad(f, logits) @ BITS)
    for summed, printed in LIU.items():
        run = fg.estimator("sum_and_sample", summed=summed, baseline="independent")
        samples = min(max(2, summed + 1), 8)
        found = fg.moments(run, f, logits, num_samples=samples, rng=0, draws=DRAWS)
        assert found.covariance is not None, "8 logits are few"
        variance = float(BITS @ found.covariance @ BITS)
        if summed == 0:  # two samples there must be, and half the variance is theirs
            variance *= samples
        yield f"variance of `sum_and_sample`, {summed} of 8 summed", printed, variance


def learned(name, f, distribution, **options):
    """Return the variance of an estimator after some calls, with 4 samples."""
    run, state = fg.estimator(name, **options), None
    for call in range(LEARNED):
        state = run(f, distribution, num_samples=4, rng=call, state=state).state
    found = fg.moments(run, f, distribution, num_samples=4, rng=0, draws=1000, state=state)
    return found.variance.sum()


def claims():
    """Return claims without figures, and how variances compare here."""
    weights, tree = structures.PROBLEMS["SpanningTree, 5 edges"]
    f = estimators.square(weights)
    score = learned("rloo", f, tree)
    found = (f"`{name}` {learned(name, f, tree) / score:.2f}" for name in ("rebar", "pooled"))
    yield (
        "Struminsky et al., 2021, and pytorch-recursive-gumbel-max-trick",
        "on trees, a relaxation given the trace lowers the variance of the score with a baseline",
        f"{', '.join(found)} of the variance of `rloo`",
    )
    f, d = estimators.PROBLEMS["two variables of 4 categories"]
    one, other = (
        fg.moments(name, f, d, num_samples=4, rng=0, draws=4000).variance.sum()
        for name in ("local_expectation", "rloo")
    )
    yield (
        "De Smet et al., 2023 (IndeCateR, here `local_expectation`)",
        "at equal samples, lower variance and no bias",
        f"{one / other:.2f} of the variance of `rloo`",
    )


def table():
    """Return the table."""
    lines = [("source", "what", "printed", "here"), ("---",) * 4]
    lines += [
        (NOTEBOOK, what, f"{printed:.5f}", f"{ours:.5f}") for what, printed, ours in of_three_bits()
    ]
    lines += [(source, what, "no figure", ours) for source, what, ours in claims()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def write(folder):
    """Write the table."""
    if not estimators.unchanged(folder, "published", __file__):
        save(folder / "parts" / "published.md", table())
