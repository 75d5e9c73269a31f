"""Results written to memory of an input: they are right, or refused."""

import numpy as np
import pytest
from strategies import DTYPES

import fastgrad as fg
from fastgrad import sparse

RNG = np.random.default_rng(0)
CALLS = {
    "log_softmax": lambda x, out: fg.log_softmax(x, out=out),
    "gumbel_softmax": lambda x, out: fg.gumbel_softmax(x, temperature=0.7, rng=1, out=out),
    "relaxed_top_k": lambda x, out: fg.subset.relaxed_top_k(x, 2, temperature=0.7, rng=1, out=out),
    "k_hot": lambda x, out: fg.subset.k_hot(x, 2, rng=1, out=out),
    "sparsemax": lambda x, out: sparse.sparsemax(x, out=out),
    "entmax15": lambda x, out: sparse.entmax15(x, out=out),
    "gumbel_sparsemax": lambda x, out: sparse.gumbel_sparsemax(x, temperature=0.7, rng=1, out=out),
    "score": lambda x, out: fg.score(x, np.zeros(len(x), int), out=out),
    "bernoulli.gumbel_softmax": lambda x, out: fg.bernoulli.gumbel_softmax(
        x, temperature=0.7, rng=1, out=out
    ),
}
REFUSED = "out must not share memory with an input, unless it is the same"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CALLS)
def test_the_input_itself_may_be_written_to(name, dtype):
    call, x = CALLS[name], RNG.normal(size=(300, 7)).astype(dtype)
    expected, own = call(x.copy(), None), x.copy()
    assert call(own, own) is own
    np.testing.assert_array_equal(own, expected)


@pytest.mark.parametrize("shift", [1, 7, 40, -1, -2000])
@pytest.mark.parametrize("name", CALLS)
def test_what_overlaps_the_input_is_refused(name, shift):
    """Rows would be overwritten before they are read."""
    buffer = RNG.normal(size=2 * 2100)
    before, first = buffer.copy(), 2050
    x = buffer[first : first + 2100].reshape(300, 7)
    out = buffer[first + shift :][:2100].reshape(300, 7)
    with pytest.raises(ValueError, match=REFUSED):
        CALLS[name](x, out)
    np.testing.assert_array_equal(buffer, before)


def test_samples_that_overlap_logits_are_refused():
    x = RNG.normal(size=(300, 7)).astype(np.float32)
    memory = x.reshape(-1).view(np.int32)
    for call in (
        lambda: fg.sample(x, rng=0, out=memory[:300]),
        lambda: fg.subset.gumbel_top_k(x, 2, rng=0, out=memory[:600].reshape(300, 2)),
        lambda: fg.bernoulli.sample(x.reshape(-1)[:300], rng=0, out=memory[1:301]),
    ):
        with pytest.raises(ValueError, match=REFUSED):
            call()


def test_more_samples_than_the_input_holds_are_refused():
    memory = RNG.normal(size=(3, 10, 7))
    with pytest.raises(ValueError, match=REFUSED):
        fg.gumbel_softmax(memory[0], temperature=1.0, num_samples=3, rng=0, out=memory)


def test_arrays_of_a_relaxation_stand_apart():
    x = RNG.normal(size=(10, 7))
    z, (a, b, c) = np.empty(10, np.int32), np.empty((3, 10, 7))
    fg.relax(x, temperature=1.0, rng=0, out=fg.Relaxation(z, a, b, c))
    for arrays in ((z, a, a, c), (z, x, b, c), (z, a, b, x)):
        with pytest.raises(ValueError, match="out must share no memory with the logits"):
            fg.relax(x, temperature=1.0, rng=0, out=fg.Relaxation(*arrays))
