"""Categories as estimators draw them: those of `sample`, which test_categorical.py tests."""

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.distributions.discrete import LARGE
from fastgrad.kernels.compiler.jit import standalone
from fastgrad.kernels.distributions import categorical_inverse as inverse
from fastgrad.kernels.distributions.categorical_long import SEGMENT

bound, count = standalone(inverse.bound.py_func), standalone(inverse.count.py_func)
invert = standalone(inverse.invert.py_func)


@pytest.mark.parametrize("k", [3, SEGMENT + 1])
def test_estimators_draw_what_sample_does(k):
    logits = np.random.default_rng(0).normal(size=(2, 3, k)).astype(np.float32)
    d, key = fg.Categorical(logits, row_offset=7), fg.Key(1)
    z = d.drawn(4, key, 2)
    assert z.dtype == np.int32
    np.testing.assert_array_equal(z, d.sample(num_samples=4, rng=key, sample_offset=2))
    wanted = fg.sample(logits, num_samples=4, rng=key, row_offset=7, sample_offset=2)
    np.testing.assert_array_equal(z, wanted)


@pytest.mark.parametrize("k", [1, 2, 16, 512])
@pytest.mark.parametrize("scale", [0, 1, 30])
def test_many_samples_are_those_drawn_few_at_a_time(k, scale):
    rng, samples = np.random.default_rng(k), 4 * inverse.MANY
    logits = (scale * rng.normal(size=(20_000 // k + 1, k))).astype(np.float32)
    logits[::3, rng.permutation(k)[: k // 2]] = -np.inf
    z = fg.sample(logits, num_samples=samples, rng=1)
    few = [fg.sample(logits, num_samples=2, rng=1, sample_offset=i) for i in range(0, samples, 2)]
    np.testing.assert_array_equal(z, np.concatenate(few))


def test_words_exceed_bounds_where_what_they_stand_for_reaches_sums():
    sums = np.sort(np.random.default_rng(0).random((4, 64)), axis=0)
    sums[0], sums[:2, 7], sums[2, 9] = 0.0, 0.5, sums[3, 9]  # masked; equal
    total, bounds = sums[3].copy(), np.empty((3, 64), np.int32)
    assert bound(bounds, sums, total)
    found, wanted = np.empty(64, np.int32), np.empty(64, np.int32)
    for category in range(3):  # words just below and above the bounds, and at both ends
        least = (bounds[category].astype(np.int64) + 2**31).clip(1, 2**32 - 2)
        for words in (least, least + 1, np.ones(64), np.full(64, 2**32 - 1)):
            bits = words.astype(np.uint32).reshape(1, 1, 64)
            assert count(found, bounds, bits[0, 0])
            invert(wanted, sums, total, bits)
            np.testing.assert_array_equal(found, wanted)


def test_what_bounds_cannot_tell_is_known():
    total = np.ones(64)
    sums, bounds = np.stack([np.full(64, 0.25), total]), np.empty((1, 64), np.int32)
    assert bound(bounds, sums, total)
    words = np.ones(64, np.uint32)
    assert count(np.empty(64, np.int32), bounds, words)
    words[40] = 0  # above no bound, though above sums of 0
    assert not count(np.empty(64, np.int32), bounds, words)
    sums[0, 33] = (12345 + 0.5) / 2**32  # what a word stands for, but for rounding
    assert not bound(bounds, sums, total)


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
