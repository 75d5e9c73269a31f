"""Invalid logits that kernels see by the way: no pass looks for them, and none slips through."""

import numpy as np
import pytest
from strategies import DTYPES

import fastgrad as fg
from fastgrad import _validate

INF, NAN = np.inf, np.nan
HEATS = {"by ratios": 0.5, "by logarithms": 0.7, "both": None}


def heats(x, t):
    """Return one temperature for all rows, or those of both kinds in turns."""
    return np.where(np.arange(len(x)) % 2, 0.5, 0.7) if t is None else t


def none(x):
    return np.zeros((0, *x.shape), x.dtype)


CALLS = {
    "sample": lambda x, t: fg.sample(x, rng=0),
    "sample by noise": lambda x, t: fg.sample(x, rng=0, method="gumbel"),
    "soft": lambda x, t: fg.gumbel_softmax(x, temperature=heats(x, t), rng=0),
    "hard": lambda x, t: fg.gumbel_softmax(x, temperature=heats(x, t), rng=0, hard=True),
    "log": lambda x, t: fg.gumbel_softmax(x, temperature=heats(x, t), rng=0, log=True),
    "product": lambda x, t: fg.gumbel_softmax_vjp(x, x, temperature=heats(x, t), rng=0),
    "product of none": lambda x, t: fg.gumbel_softmax_vjp(
        x, none(x), temperature=heats(x, t), rng=0
    ),
    "relax": lambda x, t: fg.relax(x, temperature=heats(x, t), rng=0),
    "products": lambda x, t: fg.relax_vjp(x, x, x, temperature=heats(x, t), rng=0),
    "products of none": lambda x, t: fg.relax_vjp(x, none(x), temperature=heats(x, t), rng=0),
}
by_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
by_heat = pytest.mark.parametrize("t", HEATS.values(), ids=HEATS.keys())


@by_call
@by_heat
def test_valid_logits_are_not_looked_at(call, t, monkeypatch):
    seen = []
    monkeypatch.setattr(_validate, "check_logits", lambda *given: seen.append(given))
    call(np.array([[0.0, 1.0, -INF], [2.0, -3e38, 3e38]], np.float32), t)
    assert not seen


@by_call
@by_heat
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 1), (70, 3), (5000, 16), (2, 600)], ids=str)  # 600: folded
def test_invalid_logits_are_told_wherever_they_are(call, t, dtype, shape):
    x, (n, k) = np.zeros(shape, dtype), shape
    for row, column in ((0, 0), (n // 2, k // 2), (n - 1, k - 1)):
        for value in (NAN, INF):
            x[row, column] = value
            with pytest.raises(ValueError, match=rf"got {value} at index \({row}, {column}\)"):
                call(x, t)
        x[row] = -INF
        with pytest.raises(ValueError, match=rf"only -inf in row \({row},\)"):
            call(x, t)
        x[row] = NAN
        with pytest.raises(ValueError, match=rf"got nan at index \({row}, 0\)"):
            call(x, t)
        x[row] = 0
    call(x, t)


@by_heat
@pytest.mark.parametrize("options", [{}, {"hard": True}, {"log": True}], ids=str)
def test_logits_that_are_written_over_are_looked_at_before(options, t):
    for value in (NAN, INF, -INF):
        x = np.zeros((4, 3), np.float32)
        x[2, :] = value
        given = x.copy()
        with pytest.raises(ValueError, match=f"got {value} at|only {value} in row"):
            fg.gumbel_softmax(x, temperature=heats(x, t), rng=0, out=x, **options)
        np.testing.assert_array_equal(x, given)
