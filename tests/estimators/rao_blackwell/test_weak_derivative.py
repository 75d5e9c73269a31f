"""Measure-valued derivatives of counts that are coupled to the samples: stochastic triples."""

import numpy as np
import pytest
from structures import STRUCTURES, objective_of

import fastgrad as fg

COUNTS = ("Poisson", "Binomial", "Binomial of one", "Geometric", "NegativeBinomial")
COUPLED = fg.estimator("measure_valued", coupled=True)


@pytest.mark.parametrize("name", COUNTS)
def test_weights_of_one_more_make_the_gradient(name):
    """The sum over all counts, without sampling, of one variable after the other."""
    d = STRUCTURES[name]
    for logit in d.logits.reshape(-1):
        one = d.with_logits(np.array(logit))
        z, p = one.table(), np.exp(one.log_probabilities())
        more = one.one_more(z)
        assert more.z.shape == more.coefficients.shape == (1, *z.shape)
        assert more.z.max() <= z.max() + (name not in ("Binomial", "Binomial of one"))
        change = np.sin(more.z[0]) - np.sin(z)
        found = (p * more.coefficients[0] * change).sum()
        np.testing.assert_allclose(found, fg.exact.grad(np.sin, one), rtol=1e-9)


def test_each_variable_costs_one_evaluation():
    d = STRUCTURES["two of Poisson"]
    f = objective_of(d)
    found = COUPLED(f, d, num_samples=5, rng=0)
    assert found.evaluations == 5 * 3
    assert fg.estimator("measure_valued")(f, d, num_samples=5, rng=0).evaluations == 5 * 5
    blocks = COUPLED(f, d, num_samples=5, rng=0, block_size=2)
    np.testing.assert_array_equal(blocks.grad, found.grad)


def test_examples_do_not_mix():
    one = STRUCTURES["NegativeBinomial"]
    f = objective_of(one)
    both = one.with_logits(np.array([-1.5, -0.5]))
    found = COUPLED(f, both, num_samples=6, rng=1)
    again = COUPLED(f, both.with_logits(np.array([-1.5, 0.5])), num_samples=6, rng=1)
    assert found.grad[0] == again.grad[0]
    moments = fg.moments(COUPLED, f, both, num_samples=4, rng=2, draws=2000)
    truth = fg.exact.grad(f, both)
    assert (abs(moments.mean - truth) < 5.5 * moments.standard_error).all()


def test_multinomials_are_refused():
    d = STRUCTURES["Multinomial"]
    with pytest.raises(TypeError, match="coupled must be False for Multinomial: one more is one"):
        COUPLED(objective_of(d), d, num_samples=2, rng=0)
