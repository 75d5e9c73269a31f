"""What f may return, and what is said of anything else."""

import numpy as np
import pytest

from fastgrad.distributions.categorical import Categorical
from fastgrad.objectives import as_objective, objective

RNG = np.random.default_rng(5)
LOGITS = RNG.normal(size=(2, 3, 4))
Z = RNG.integers(0, 4, (5, 2, 3)).astype(np.int32)


@pytest.mark.parametrize("shape", [(5,), (5, 2), (5, 2, 3)])
def test_values_are_a_leading_part_of_the_samples(shape):
    values = as_objective(lambda x: np.ones(shape)).outcomes(Categorical(LOGITS), Z)
    assert values.value.shape == shape


@pytest.mark.parametrize("shape", [(), (1,), (5, 3), (2,), (5, 2, 3, 4), (4,)])
def test_values_of_another_shape_are_refused(shape):
    f = as_objective(lambda x: np.ones(shape))
    with pytest.raises(ValueError, match=r"f must return values .* = \(5, 2, 3\), got \("):
        f.outcomes(Categorical(LOGITS), Z)


def test_values_of_another_kind_are_refused():
    with pytest.raises(TypeError, match="value of f must be float32 or float64, got dtype complex"):
        as_objective(lambda x: np.ones(5, complex)).outcomes(Categorical(LOGITS), Z)


def test_credit_has_the_shape_of_the_samples():
    credit = RNG.normal(size=Z.shape)
    values = as_objective(lambda x: (np.ones(5), credit)).outcomes(Categorical(LOGITS), Z)
    np.testing.assert_array_equal(values.credit, credit)
    with pytest.raises(ValueError, match=r"credit must have shape \(5, 2, 3\), got \(5, 2\)"):
        as_objective(lambda x: (np.ones(5), credit[..., 0])).outcomes(Categorical(LOGITS), Z)


def test_only_a_pair_of_value_and_credit_is_understood():
    with pytest.raises(ValueError, match=r"f must return values or \(values, credit\), got 3"):
        as_objective(lambda x: (1, 2, 3)).outcomes(Categorical(LOGITS), Z)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_traced_to_its_sample(bad):
    value, credit = np.ones((5, 2)), np.ones(Z.shape)
    value[3, 1] = credit[2, 0, 1] = bad
    f = as_objective(lambda x: value)
    with pytest.raises(ValueError, match=rf"f must be finite, got {bad} for sample 3 at \(1,\)"):
        f.outcomes(Categorical(LOGITS), Z)
    with pytest.raises(ValueError, match="for sample 13 at"):
        f.outcomes(Categorical(LOGITS), Z, offset=10)
    f = as_objective(lambda x: (value[:, 0], credit))
    with pytest.raises(ValueError, match=rf"credit must be finite, got {bad} for sample 2 at"):
        f.outcomes(Categorical(LOGITS), Z)


def test_a_large_value_is_no_error():
    f = as_objective(lambda x: np.full(5, 3e38, np.float32))
    assert f.outcomes(Categorical(LOGITS), Z).value[0] > 1e38


def test_the_gradient_is_checked():
    x = np.ones((5, 2, 3, 4), np.float32)
    f = objective(lambda x: x, grad=lambda x: 2.0 * x)
    assert f.gradient(x).dtype == np.float32
    with pytest.raises(ValueError, match="the gradient of f must have shape"):
        objective(lambda x: x, grad=lambda x: x[0]).gradient(x)
    with pytest.raises(ValueError, match="the gradient of f must be finite, got nan for sample 7"):
        objective(lambda x: x, grad=lambda x: x * np.nan).gradient(x, offset=7)


def test_neighbours_are_checked():
    f = objective(lambda x: x, local=lambda z: np.ones((*z.shape, 4)))
    assert f.neighbours(Categorical(LOGITS), Z).shape == (5, 2, 3, 4)
    with pytest.raises(ValueError, match=r"local must have shape \(5, 2, 3, 4\), got \(5, 2, 3\)"):
        objective(lambda x: x, local=lambda z: z * 1.0).neighbours(Categorical(LOGITS), Z)


def test_a_value_is_checked_in_the_type_of_the_logits():
    d = Categorical(LOGITS.astype(np.float32))
    with pytest.raises(ValueError, match=r"f must be finite in float32, got 1e\+300 for sample 0"):
        as_objective(lambda x: np.full(5, 1e300)).outcomes(d, Z)
    as_objective(lambda x: np.full(5, 1e300)).outcomes(Categorical(LOGITS), Z)
