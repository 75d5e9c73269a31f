"""The history of a few benchmarks, from results of asv that the repository keeps."""

import itertools
import json
from pathlib import Path

from matplotlib.figure import Figure

from builders.files import save
from builders.pictures import svg

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "history"


def commits():
    """Return the commits that were measured, in their order: hash, and values in U by name."""
    results = [json.loads(path.read_text()) for path in RESULTS.glob("*/*-*.json")]
    results.sort(key=lambda result: result["date"])
    return [(result["commit_hash"][:8], values(result)) for result in results]


def values(result):
    """Return what asv has noted of a commit, by the first parameter of a benchmark."""
    found = {}
    for benchmark in result["results"].values():
        measured, parameters = benchmark[:2]
        for names, value in zip(itertools.product(*parameters), measured):
            if value is not None and value == value:  # not NaN: this one was asked for
                found[names[0].strip("'")] = value
    return found


def draw(measured):
    """Draw the values of each benchmark against the commits."""
    figure = Figure(figsize=(8, 4), layout="constrained")
    panel = figure.subplots()
    places = range(len(measured))
    for i, name in enumerate(sorted(measured[-1][1], key=measured[-1][1].get, reverse=True)):
        line = [found.get(name) for _, found in measured]
        line = [float("nan") if value is None else value for value in line]
        panel.plot(places, line, "os^Dv"[i % 5] + "-", label=name, markersize=4)
    panel.set_xticks(places, [name for name, _ in measured], rotation=60, family="monospace")
    panel.set(ylabel="U (time of NumPy's log)", ylim=(0, None))
    panel.grid(color="0.85", linewidth=0.5)
    panel.legend(ncols=2, fontsize="small")
    return svg(figure)


def table(measured):
    """Return the values in the first and in the last commit, and the range between."""
    (first, before), (last, now) = measured[0], measured[-1]
    lines = [("function", f"`{first}`", f"`{last}`", "least", "most"), ("---",) * 5]
    for name in sorted(now, key=now.get):
        every = [found[name] for _, found in measured if name in found]
        row = (before.get(name), now[name], min(every), max(every))
        numbers = ["" if value is None else f"{value:.2f}" for value in row]
        lines.append((f"`{name}`", *numbers))
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def write(folder):
    """Write the picture and the table."""
    measured = commits()
    save(folder / "pictures" / "history.svg", draw(measured))
    save(folder / "parts" / "history.md", table(measured))
