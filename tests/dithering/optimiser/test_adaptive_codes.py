"""The lengths of adaptive codes."""

import math

import numpy as np
import pytest

from fastgrad.dithering.optimiser import adaptive_codes
from fastgrad.dithering.optimiser.adaptive_codes import PRIOR, code_length


def exact(counts):
    """Return the bits by the gamma function."""

    def rising(n, prior):
        return (math.lgamma(n + prior) - math.lgamma(prior)) / math.log(2)

    whole = sum(rising(n, PRIOR * counts.shape[1]) for n in counts.sum(axis=1))
    return whole - sum(rising(n, PRIOR) for n in counts.ravel())


@pytest.mark.parametrize("total", [0, 1, 255, 256, 5000])
def test_code_length_is_that_of_gamma_functions(total):
    rng = np.random.default_rng(0)
    counts = rng.multinomial(total, [0.7, 0.2, 0.1, 0.0], size=3)
    assert code_length(counts) == pytest.approx(exact(counts), rel=1e-9)


def test_tables_that_stay_in_memory_change_nothing(monkeypatch):
    counts = np.random.default_rng(1).multinomial(3000, [0.5, 0.3, 0.2], size=2)
    adaptive_codes._rising.cache_clear()
    kept = [code_length(counts) for _ in range(3)]
    assert adaptive_codes._rising.cache_info().misses == 2  # one for symbols, one for contexts
    monkeypatch.setattr(adaptive_codes, "KEPT", 1)
    assert {*kept} == {code_length(counts)}
    assert adaptive_codes._rising.cache_info().currsize == 2
