"""Methods of distributions as functions of logits: fresh arrays, products, refusals."""

import functools

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.interop import families

PAIRS = functools.partial(fg.subset.KSubset, k=2)
LOGITS = np.array([0.3, -1.0, 0.8, 0.1])


def test_results_are_fresh():
    found = families.apply(PAIRS, "mean", LOGITS)
    np.testing.assert_array_equal(found, PAIRS(LOGITS).mean())
    found[:] = 0
    assert families.apply(PAIRS, "mean", LOGITS).sum() == pytest.approx(2)


def test_products():
    z = PAIRS(LOGITS).sample(num_samples=3, rng=0)
    r, score = np.array([1.0, -2.0, 0.5]), PAIRS(LOGITS).score(z)
    np.testing.assert_allclose(families.product(PAIRS, "log_prob", LOGITS, z, r), r @ score)
    one = families.product(PAIRS, "log_prob", LOGITS, z[1], np.array(2.0))
    np.testing.assert_allclose(one, 2 * score[1])


def test_shapes():
    found = families.shapes_of(fg.permutation.PlackettLuce, (5, 3), np.float32)
    assert found == ((5,), (5, 3, 3), (5, 3), np.int32)


def test_what_is_no_family_is_refused():
    with pytest.raises(TypeError, match=r"f must make a distribution with logits .* got list"):
        families.built(list, LOGITS, "f")
    with pytest.raises(TypeError, match=r"whose logits have the shape \(4,\), got \(1, 4\)"):
        families.built(lambda x: PAIRS(x[None]), LOGITS, "f")
    with pytest.raises(TypeError, match="PlackettLuce has no mean: the mean of its permutation"):
        families.apply(fg.permutation.PlackettLuce, "mean", LOGITS)
