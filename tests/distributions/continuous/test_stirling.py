"""The kernels of Stirling's remainders: small and large shapes, any layout, against mpmath."""

import numpy as np
import pytest

from fastgrad.distributions.continuous import stirling

mp = pytest.importorskip("mpmath")
EPS = 2.0**-52


def test_shapes_and_layouts():
    a = np.linspace(0.1, 30, 24).reshape(4, 6)
    for function in (stirling.log_gamma_remainder, stirling.digamma_gap, stirling.exp_remainder):
        whole = function(a)
        assert whole.shape == (4, 6)
        np.testing.assert_array_equal(function(a.T), whole.T)
        np.testing.assert_array_equal(function(a[:, ::2]), whole[:, ::2])
        assert function(a[1, 2]).shape == ()
        assert function(a[1, 2]) == whole[1, 2]


@pytest.mark.parametrize("exponent", [-1022, -961, -960, -901, -900, -899, -53, -1, 0, 1, 2, 3])
def test_log_gamma_remainder_of_small_shapes(exponent):
    """Absolute errors are those of the logarithm alone, though its argument is near overflow."""
    a = 1.37 * 2.0**exponent
    with mp.workdps(60):  # as with 700, but for the 58th digit
        exact = mp.loggamma(a) - (mp.mpf(a) - 0.5) * mp.log(a) + a - mp.log(2 * mp.pi) / 2
        error = float(abs(mp.mpf(float(stirling.log_gamma_remainder(a))) - exact))
        assert error <= EPS * (12 + abs(float(mp.log(a)))), error / EPS
        gap = mp.log(a) - mp.digamma(a)
        error = float(abs(mp.mpf(float(stirling.digamma_gap(a))) - gap))
        assert error <= 4 * EPS * (1 + abs(float(gap))), error / EPS
