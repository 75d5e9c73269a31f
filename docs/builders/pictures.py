"""Pictures that explain: how estimates scatter, what relaxations are, what control variates do."""

import io

import numpy as np
from matplotlib.figure import Figure

import fastgrad as fg
from builders import estimators
from builders.files import save

CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(0.75)]])  # of the simplex


def svg(figure):
    """Return a figure as SVG, the same bytes for the same figure."""
    data = io.BytesIO()
    figure.savefig(data, format="svg", metadata={"Date": None})
    return data.getvalue()


def scatter():
    """Draw many estimates of one gradient by five estimators, in two of its coordinates."""
    names = ("reinforce", "rloo", "rebar", "gumbel_softmax", "local_expectation")
    f, distribution = estimators.PROBLEMS["two variables of 4 categories"]
    truth = fg.exact.grad(f, distribution)[0, :2]
    figure = Figure(figsize=(11, 2.6), layout="constrained")
    for panel, name in zip(figure.subplots(1, len(names), sharex=True, sharey=True), names):
        run, state, points = fg.estimator(name), None, []
        for key in fg.Key(1).split(300):
            got = run(f, distribution, num_samples=4, rng=key, state=state)
            points.append(got.grad[0, :2])
            state = got.state
        x, y = np.transpose(points)
        panel.plot(x, y, ".", markersize=2, color="C0")
        panel.plot(*truth, "+", color="C3", markersize=14, markeredgewidth=2)
        panel.plot(x.mean(), y.mean(), "o", color="none", markeredgecolor="k", markersize=8)
        panel.set(title=name, xlim=(-0.9, 0.9), ylim=(-0.9, 0.9), aspect="equal")
    return figure


def on_plane(x):
    """Place points of the simplex of three categories on the plane."""
    return (x @ CORNERS).T


def triangle(panel):
    """Draw the simplex."""
    panel.plot(*np.vstack([CORNERS, CORNERS[:1]]).T, color="0.6", linewidth=0.8)
    panel.set(aspect="equal", xticks=[], yticks=[])
    panel.axis("off")


def temperatures():
    """Draw relaxed samples at four temperatures."""
    logits = np.log([0.5, 0.3, 0.2])
    figure = Figure(figsize=(11, 2.8), layout="constrained")
    for panel, temperature in zip(figure.subplots(1, 4), (2.0, 1.0, 0.5, 0.1)):
        x = fg.gumbel_softmax(logits, temperature=temperature, num_samples=600, rng=0)
        triangle(panel)
        panel.plot(*on_plane(x), ".", markersize=2, color="C0")
        panel.set_title(f"temperature {temperature:g}")
    return figure


def conditional():
    """Draw relaxed samples, and those drawn again given the category that won."""
    logits = np.log([0.5, 0.3, 0.2])
    found = fg.relax(logits, temperature=0.7, num_samples=600, rng=0)
    figure = Figure(figsize=(7.5, 3), layout="constrained")
    parts = (("relaxed", found.relaxed), ("drawn again, given the sample", found.conditional))
    for panel, (title, x) in zip(figure.subplots(1, 2), parts):
        triangle(panel)
        for category in range(3):
            won = found.sample == category
            panel.plot(*on_plane(x[won]), ".", markersize=3, color=f"C{category}")
        panel.set_title(title)
    return figure


def learning():
    """Draw the error of three estimators on eight bits while two of them learn."""
    runs, steps, window = 200, 800, 20
    f = fg.objective(
        lambda b: ((b - 0.45) ** 2).mean(axis=-1), grad=lambda b: 2 * (b - 0.45) / b.shape[-1]
    )
    distribution = fg.Bernoulli(np.zeros((runs, 8)))
    truth = 0.1 / 8 / 4
    figure = Figure(figsize=(7, 3.2), layout="constrained")
    panel = figure.subplots()
    for name, samples in (("reinforce", 2), ("rebar", 1), ("relax", 2)):
        run, state, errors = fg.estimator(name), None, []
        for key in fg.Key(0).split(steps):
            got = run(f, distribution, num_samples=samples, rng=key, state=state)
            errors.append(np.mean((got.grad - truth) ** 2))
            state = got.state
        curve = np.reshape(errors, (-1, window)).mean(axis=1)
        panel.semilogy(np.arange(len(curve)) * window, curve, label=name)
    panel.set(xlabel="calls", ylabel="variance", title="two evaluations of f a call, 8 bits")
    panel.legend()
    return figure


def write(folder):
    """Write the pictures."""
    if estimators.unchanged(folder, "pictures", __file__):
        return
    for make in (scatter, temperatures, conditional, learning):
        save(folder / "pictures" / f"{make.__name__}.svg", svg(make()))
