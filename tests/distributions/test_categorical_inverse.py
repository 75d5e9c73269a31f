"""Categories as estimators draw them: those of `sample`, which test_categorical.py tests."""

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.distributions.discrete import LARGE
from fastgrad.kernels.distributions.categorical_long import SEGMENT


@pytest.mark.parametrize("k", [3, SEGMENT + 1])
def test_estimators_draw_what_sample_does(k):
    logits = np.random.default_rng(0).normal(size=(2, 3, k)).astype(np.float32)
    d, key = fg.Categorical(logits, row_offset=7), fg.Key(1)
    z = d.drawn(4, key, 2)
    assert z.dtype == np.int32
    np.testing.assert_array_equal(z, d.sample(num_samples=4, rng=key, sample_offset=2))
    wanted = fg.sample(logits, num_samples=4, rng=key, row_offset=7, sample_offset=2)
    np.testing.assert_array_equal(z, wanted)


@pytest.mark.parametrize(("n", "k"), [(101, 17), (2, 600)])
def test_a_kept_softmax_changes_no_bit_of_what_is_made_of_it(monkeypatch, n, k):
    logits = np.random.default_rng(0).normal(size=(n, 1, k)).astype(np.float32)
    logits[0, 0, 1:], logits[1, 0, 3] = -30.0, -np.inf
    d, options = fg.Categorical(logits), {"num_samples": 6, "rng": 1}
    own = d.keeping()
    own.drawn(4, fg.Key(1), 2)
    assert own.kept_softmax is not None
    f = fg.objective(size_of, grad=lambda x: np.ones_like(x) * np.arange(k) / 100)
    pooled = fg.estimator("reinforce", baseline="optimal_pooled")
    names = ("reinforce", "vimco", "muprop", "double_cv", "rodeo")
    runs, found = [*map(fg.estimator, names), pooled], []
    for _ in range(2):
        for run in runs:
            for size in (None, 2):
                found.append(run(f, d, block_size=size, **options).grad)
                assert d.kept_softmax is None
        monkeypatch.setattr(fg.Categorical, "keeping", lambda d: d)
    kept, not_kept = found[: len(found) // 2], found[len(found) // 2 :]
    np.testing.assert_array_equal(kept, not_kept)
    assert np.all(kept[0][0, 0, 1:] < 0)  # 1 - p of a certain outcome has its digits


def test_a_few_variables_are_not_copied_to_keep_a_softmax():
    few, many = fg.Categorical(np.zeros((LARGE // 4 - 1, 4))), fg.Categorical(np.zeros((LARGE, 1)))
    assert few.keeping() is few
    assert many.keeping() is not many


def size_of(x):
    """Return an f of all variables together."""
    return (x * np.arange(x.shape[-1])).sum(axis=(1, 2, 3)) / 100


def test_logits_that_have_become_invalid_since_are_refused():
    logits = np.zeros((5, 3), np.float32)
    d = fg.Categorical(logits, copy=False)
    logits[3, 1] = np.nan
    with pytest.raises(ValueError, match=r"logits must be below infinity, got nan at index \(3, 1"):
        d.drawn(4, fg.Key(1), 0)
