"""Categories as estimators draw them: those of `sample`, which test_categorical.py tests."""

import numpy as np
import pytest

import fastgrad as fg
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


def test_logits_that_have_become_invalid_since_are_refused():
    logits = np.zeros((5, 3), np.float32)
    d = fg.Categorical(logits, copy=False)
    logits[3, 1] = np.nan
    with pytest.raises(ValueError, match=r"logits must be below infinity, got nan at index \(3, 1"):
        d.drawn(4, fg.Key(1), 0)
