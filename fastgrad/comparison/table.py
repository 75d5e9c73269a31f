"""The result of a comparison: rows, as text, as a dictionary, as a picture."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import numpy as np

from fastgrad import _tables
from fastgrad._typing import FloatArray
from fastgrad.estimators import Estimator

COLUMNS = (  # title, attribute, format
    ("samples", "num_samples", "d"),
    ("evaluations", "evaluations", "d"),
    ("bias", "bias", ".2e"),
    ("± s.e.", "bias_error", ".0e"),
    ("variance", "variance", ".3e"),
    ("m.s. error", "error", ".3e"),
    ("seconds", "seconds", ".2e"),
    ("variance s", "variance_seconds", ".2e"),
    ("error s", "error_seconds", ".2e"),
)


@dataclasses.dataclass(frozen=True, eq=False)
class Row:
    """The results of one estimator. Squares are summed over all logits.

    Attributes
    ----------
    label : str
        The name of the estimator, and its options that are not the default.
    estimator : Estimator
        The estimator itself.
    num_samples, evaluations : int
        Numbers of samples and of evaluations of f in one estimate.
    bias : float
        Distance of the mean gradient from the true gradient.
    bias_error : float
        Root mean square that this distance would have if there were no bias, because the moments
        are those of a sample.
    variance : float
        Mean squared distance of the gradient from its own mean.
    error : float
        Mean squared distance of the gradient from the true gradient.
    seconds : float
        Time of one estimate, including that of f.
    error_seconds : float
        Error, or the error of rounding where that is larger, times seconds. Rows are sorted by it.
    exact : bool
        Whether the moments are exact.
    state : dict of arrays, or None
        State of the estimator when it was measured.
    """

    label: str
    estimator: Estimator
    num_samples: int
    evaluations: int
    bias: float
    bias_error: float
    variance: float
    error: float
    seconds: float
    error_seconds: float
    exact: bool
    state: dict[str, Any] | None

    @property
    def variance_seconds(self) -> float:
        """Variance times seconds: the variance of the mean of all estimates made in one second."""
        return self.variance * self.seconds


@dataclasses.dataclass(frozen=True, eq=False)
class Comparison:
    """The result of `compare`, which prints as a table.

    Attributes
    ----------
    rows : tuple of Row
        The estimators, the best first.
    skipped : dict of str
        Estimators that could not be compared: the reason by label.
    truth : str
        How the true gradient was found.
    grad : array, the shape of the logits
        The true gradient.
    num_samples, repeats, warm_up : int
        The options of the comparison.
    evaluations : int
        Number of points at which f was evaluated in the whole comparison.
    """

    rows: tuple[Row, ...]
    skipped: dict[str, str]
    truth: str
    grad: FloatArray
    num_samples: int
    repeats: int
    warm_up: int
    evaluations: int

    @property
    def best(self) -> Row:
        """The row of the best estimator."""
        return self.rows[0]

    @property
    def reason(self) -> str:
        """Why the first row is the best, in one sentence."""
        text = f"{self.best.label} has the smallest error per second"
        if len(self.rows) == 1:
            return f"{text}: nothing else could be compared"
        ours, next_ = self.rows[0].error_seconds, self.rows[1].error_seconds
        ratio = f"{next_ / ours:.3g} times" if ours > 0 else "infinitely"
        return f"{text}, {ratio} less than {self.rows[1].label}, of {len(self.rows)} compared"

    def __str__(self) -> str:
        titles = ["estimator", "unbiased", *(title for title, *_ in COLUMNS)]
        table = [
            [
                row.label + "*" * row.exact + "†" * (row.state is not None),
                "yes" if row.estimator.unbiased else "no",
                *(format(getattr(row, name), form) for _, name, form in COLUMNS),
            ]
            for row in self.rows
        ]
        lines = [_tables.aligned([titles, *table], left=2)]
        calls = f"{self.num_samples} evaluations of f in an estimate, or the fewest that will do"
        lines += [f"{calls}; {self.repeats} estimates", f"truth: {self.truth}"]
        if any(row.exact for row in self.rows):
            lines.append("* exact moments")
        if any(row.state is not None for row in self.rows):
            lines.append(f"† with what it had learned in {self.warm_up} estimates before")
        lines += [f"skipped: {label}: {reason}" for label, reason in self.skipped.items()]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as numbers and strings, for JSON.

        Returns
        -------
        dict
        """
        names = ["label", *(name for _, name, _ in COLUMNS), "exact"]
        rows = [
            {
                "estimator": row.estimator.name,
                "unbiased": row.estimator.unbiased,
                **{name: getattr(row, name) for name in names},
                "stateful": row.state is not None,
            }
            for row in self.rows
        ]
        fields = ("truth", "num_samples", "repeats", "warm_up", "evaluations")
        return {
            "rows": rows,
            "skipped": dict(self.skipped),
            "grad": self.grad.tolist(),
            **{name: getattr(self, name) for name in fields},
        }

    def plot(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        figure: Any = None,
        title: str | None = None,
    ) -> Any:
        """Draw bars of error times seconds, and variance against seconds.

        Parameters
        ----------
        path : path-like, optional
            Name of a picture file to write, in any format that Matplotlib writes.
        figure : matplotlib Figure or SubFigure, optional
            The figure to draw in; by default a new one.
        title : str, optional
            Title of the figure.

        Returns
        -------
        matplotlib Figure or SubFigure
            The figure.

        Raises
        ------
        ImportError
            If Matplotlib, which this needs, is missing.
        """
        if figure is None:
            try:
                from matplotlib.figure import Figure
            except ImportError:
                raise ImportError("Matplotlib is needed: pip install fastgrad[plot]") from None
            figure = Figure(figsize=(11, 1.2 + 0.3 * max(8, len(self.rows))), layout="constrained")
        bars, points = figure.subplots(1, 2)
        colours = ["tab:blue" if row.estimator.unbiased else "tab:orange" for row in self.rows]
        places = np.arange(len(self.rows), 0, -1)
        names = ("error_seconds", "variance_seconds", "variance", "seconds")
        error, spread, variance, seconds = (
            np.array([getattr(row, name) for row in self.rows]) for name in names
        )
        low, high = _decades(np.concatenate([error, spread]))
        for values, height in ((error, 0.8), (spread, 0.3)):
            width = np.maximum(values, low) - low
            bars.barh(places, width, height, low, color=colours, alpha=0.6)
        bars.set(xscale="log", xlim=(low, high))
        bars.set_yticks(places, [f"{row.label}  {i}" for i, row in enumerate(self.rows, 1)])
        bars.set_xlabel("mean squared error × time (thin: variance × time)")
        low, high = _decades(variance)
        points.set(xscale="log", xlim=_decades(seconds), yscale="log", ylim=(low, high))
        points.scatter(seconds, np.maximum(variance, low), c=colours, clip_on=False)
        for i, at in enumerate(zip(seconds, np.maximum(variance, low)), 1):
            points.annotate(str(i), at, xytext=(5, 3), textcoords="offset points")
        points.set_xlabel("seconds (blue: unbiased, orange: biased)")
        points.set_ylabel("variance")
        if title is not None:
            figure.suptitle(title)
        if path is not None:
            figure.savefig(path, dpi=120)
        return figure


def _decades(values: FloatArray) -> tuple[float, float]:
    """Return powers of ten around positive values, without those below 1e-12 of the largest."""
    largest = max(values.max(), 1e-300)
    shown = values[values > 1e-12 * largest]
    low = shown.min() if shown.size else largest
    return 10 ** np.floor(np.log10(low / 1.1)), 10 ** np.ceil(np.log10(largest * 1.1))
