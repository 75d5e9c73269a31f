"""What structures share: all outcomes are listed; log_prob, score and samples belong to them."""

import numpy as np
import pytest
from structures import STRUCTURES

import fastgrad as fg

LISTED = [name for name, d in STRUCTURES.items() if "outcomes" not in d.lacks]
SCORED = [name for name, d in STRUCTURES.items() if "score" not in d.lacks]
# Those whose samples name what they hold, and so are not features themselves.
KINDS = "PlackettLuce", "GumbelMatching", "SpanningTree", "Arborescence", "LinearChain"
NAMED = [name for name, d in STRUCTURES.items() if type(d).__name__ in KINDS]
DRAWS = 4000


@pytest.mark.parametrize("name", LISTED)
def test_probabilities_sum_to_one(name):
    d = STRUCTURES[name]
    log_p = d.log_probabilities()
    assert log_p.shape == (d.num_outcomes, *d.batch_shape)
    np.testing.assert_allclose(np.exp(log_p).sum(axis=0), 1, rtol=1e-12)


@pytest.mark.parametrize("name", LISTED)
def test_score_is_the_derivative_of_log_prob(name):
    d, h = STRUCTURES[name], 1e-6
    z = d.everything()
    score = d.score(z)
    assert score.shape == (d.num_outcomes, *d.logits.shape)
    inner = tuple(range(1 + len(d.batch_shape), 1 + d.logits.ndim))
    direction = np.random.default_rng(1).normal(size=d.logits.shape)
    up, down = (d.with_logits(d.logits + s * h * direction).log_prob(z) for s in (1, -1))
    expected = (up - down) / (2 * h)
    np.testing.assert_allclose((score * direction).sum(axis=inner), expected, atol=1e-8)


@pytest.mark.parametrize("name", LISTED)
def test_samples_have_their_law(name):
    """Counts of 4,000 samples within 5.5 standard errors of what is expected.

    Outcomes with the same features are one here.
    """
    d = STRUCTURES[name]
    z = d.sample(num_samples=DRAWS, rng=5)
    assert z.shape == (DRAWS, *d.everything().shape[1:])
    x, everything = d.features(z), d.features(d.everything())
    p = np.exp(d.log_probabilities())
    inner = tuple(range(1 + len(d.batch_shape), x.ndim))
    for outcome in everything:
        probability = np.where((everything == outcome).all(axis=inner), p, 0).sum(axis=0)
        share = (x == outcome).all(axis=inner).mean(axis=0)
        error = np.sqrt(probability * (1 - probability) / DRAWS)
        assert (abs(share - probability) < 5.5 * error + 1 / DRAWS).all()


@pytest.mark.parametrize("name", [n for n, d in STRUCTURES.items() if "mean" not in d.lacks])
def test_mean_and_its_product(name):
    d, h = STRUCTURES[name], 1e-6
    if "outcomes" not in d.lacks:
        p, x = np.exp(d.log_probabilities()), d.features(d.everything())
        p = p.reshape(p.shape + (1,) * (x.ndim - p.ndim))
        np.testing.assert_allclose(d.mean(), (p * x).sum(axis=0), rtol=1e-10)
    rng = np.random.default_rng(2)
    r, direction = rng.normal(size=d.feature_shape), rng.normal(size=d.logits.shape)
    up, down = (d.with_logits(d.logits + s * h * direction).mean() for s in (1, -1))
    expected = (r * (up - down)).sum() / (2 * h)
    np.testing.assert_allclose((d.mean_vjp(r) * direction).sum(), expected, rtol=1e-6)


@pytest.mark.parametrize("name", STRUCTURES)
def test_samples_are_those_of_the_whole(name):
    d = STRUCTURES[name]
    whole = d.sample(num_samples=5, rng=3)
    np.testing.assert_array_equal(d.sample(num_samples=2, rng=3, sample_offset=3), whole[3:])
    if len(d.batch_shape):
        last = d.with_logits(d.logits[1:]).from_row(1)
        np.testing.assert_array_equal(last.sample(num_samples=5, rng=3), whole[:, 1:])


@pytest.mark.parametrize("name", STRUCTURES)
def test_one_sample_has_no_leading_axis(name):
    d = STRUCTURES[name]
    first = d.sample(num_samples=1, rng=3)
    np.testing.assert_array_equal(d.sample(rng=3), first[0])
    if "relaxation" not in d.lacks:
        relaxed = [d.gumbel_softmax(temperature=0.7, rng=3, **n) for n in ({"num_samples": 1}, {})]
        np.testing.assert_array_equal(relaxed[1], relaxed[0][0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", STRUCTURES)
def test_features_have_the_dtype_of_the_logits(name, dtype):
    d = STRUCTURES[name]
    d = d.with_logits(d.logits.astype(dtype))
    x = d.features(d.sample(num_samples=2, rng=0))
    assert x.dtype == dtype
    assert x.shape == (2, *d.feature_shape)


@pytest.mark.parametrize("name", LISTED)
def test_the_list_is_a_categorical_with_its_product(name):
    d, h = STRUCTURES[name], 1e-6
    r = np.random.default_rng(4).normal(size=(*d.batch_shape, d.num_outcomes))
    direction = np.random.default_rng(5).normal(size=d.logits.shape)
    up, down = (d.with_logits(d.logits + s * h * direction).listed.logits for s in (1, -1))
    expected = (r * (up - down)).sum() / (2 * h)
    np.testing.assert_allclose((d.listed_vjp(r) * direction).sum(), expected, rtol=1e-6)


@pytest.mark.parametrize("name", LISTED)
def test_a_list_that_is_known_knows_its_place(name):
    d = STRUCTURES[name].from_row(2)
    assert d.listed.row_offset == 2
    assert d.from_row(3).listed.row_offset == 5
    assert d.listed.row_offset == 2


def test_too_many_outcomes_are_refused_in_one_sentence():
    d = fg.subset.KSubset(np.zeros(40), 20)
    message = r"KSubset has too many outcomes to list, 1.38e\+11 for each of 1 variables"
    with pytest.raises(ValueError, match=message):
        fg.exact.value(lambda x: x[:, 0], d)
    with pytest.raises(ValueError, match=message):
        fg.estimator("unordered_set")(lambda x: x[:, 0], d, num_samples=4, rng=0)


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("bad", [-2, 2**20])
def test_features_of_what_is_no_sample_are_refused(name, bad):
    """They are written at the places that samples name."""
    d = STRUCTURES[name]
    z = d.sample(num_samples=3, rng=0).copy()
    z.reshape(-1)[-1] = bad
    with pytest.raises(ValueError, match=f"z must be from .*, got {bad}"):
        d.features(z)
    with pytest.raises(TypeError, match="z must hold integers, got dtype float64"):
        d.features(z * 1.0)


@pytest.mark.parametrize("bad", [-1, 3, 2**30])
def test_features_of_no_category_are_refused(bad):
    d = fg.Categorical(np.zeros((2, 3)))
    with pytest.raises(ValueError, match=f"z must be from 0 to 2, got {bad}"):
        d.features(np.array([[0, bad]], np.int32))


@pytest.mark.parametrize("items", [0, 1, 3])
def test_sets_of_another_size_have_no_probability(items):
    d, x = fg.subset.KSubset(np.zeros((2, 4)), 2), np.zeros((2, 4))
    x[:, 0], x[1, :2], x[0, :items] = 0, 1, 1
    for method in (d.log_prob, d.score):
        with pytest.raises(ValueError, match=f"x must hold sets of 2 items, got {items}"):
            method(x)
