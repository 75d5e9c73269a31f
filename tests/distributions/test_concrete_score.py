"""Relaxations without the score, and the score alone: together what `fg.relax` gives."""

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.distributions.concrete_score import relax_score, relaxed_pair

RNG = np.random.default_rng(4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("temperature", [0.3, 0.5, 1.0])
@pytest.mark.parametrize("shape", [(7, 3), (2, 85, 16), (2, 700), (0, 3)])
def test_relax_in_two_parts_has_its_bits(shape, temperature, dtype):
    logits = (20 * RNG.normal(size=shape)).astype(dtype)
    logits[..., 1], logits[..., 2] = -np.inf, -87  # what has a subnormal probability, or none
    for count in (None, 3):
        for how in ({"coupled": False, "log": False}, {"coupled": True, "log": True}):
            options = how | {"temperature": temperature, "num_samples": count, "rng": 5}
            expected = fg.relax(logits, row_offset=6, **options)
            *parts, score = map(np.empty_like, expected)
            relaxed_pair(logits, row_offset=6, sample_offset=0, out=tuple(parts), **options)
            z, log = expected.sample, how["log"]
            relax_score(logits, z, temperature=temperature, log=log, out=score)
            for found, other in zip((*parts, score), expected, strict=True):
                np.testing.assert_array_equal(found, other)


def test_relaxations_without_the_score_look_at_logits():
    out = np.empty(2, np.int32), np.empty((2, 3)), np.empty((2, 3))
    options = {"num_samples": None, "rng": 0, "coupled": False, "log": False}
    options |= {"temperature": 0.5, "row_offset": 0, "sample_offset": 0, "out": out}
    with pytest.raises(ValueError, match=r"below infinity, got nan at index \(1, 2\)"):
        relaxed_pair(np.array([[0, 0, 0], [0, 0, np.nan]]), **options)
