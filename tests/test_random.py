"""Keys, Philox and noise: known answers, laws, both tails, the same bits however drawn."""

import copy
import dataclasses
import hashlib
import pickle

import numba
import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from strategies import DTYPES, WIDTH, run

import fastgrad as fg
from fastgrad.kernels.compiler import jit
from fastgrad.kernels.random import noise
from fastgrad.kernels.random.philox import philox
from fastgrad.kernels.simd.vectors import LANES, load, store

KINDS = {
    "uniform": stats.uniform(),
    "exponential": stats.expon(),
    "gumbel": stats.gumbel_r(),
    "logistic": stats.logistic(),
    "normal": stats.norm(),
}
by_kind = pytest.mark.parametrize("kind", KINDS)
by_dtype = pytest.mark.parametrize("dtype", DTYPES)
FALSE_ALARM = 1e-6  # of each statistical test, had its seed not been fixed


def draw(kind, shape, **options):
    return getattr(fg.random, kind)(shape, **options)


# -- Philox ------------------------------------------------------------------------------------

# Random123, tests/kat_vectors: counter, key -> output.
KNOWN_ANSWERS = [
    (
        "00000000 00000000 00000000 00000000",
        "00000000 00000000",
        "6627e8d5 e169c58d bc57ac4c 9b00dbd8",
    ),
    (
        "ffffffff ffffffff ffffffff ffffffff",
        "ffffffff ffffffff",
        "408f276d 41c83b0e a20bc7c6 6d5451fd",
    ),
    (
        "243f6a88 85a308d3 13198a2e 03707344",
        "a4093822 299f31d0",
        "d16cfe09 94fdcceb 5001e420 24126ea1",
    ),
]
KNOWN_ANSWERS_7_ROUNDS = [
    (
        "00000000 00000000 00000000 00000000",
        "00000000 00000000",
        "5f6fb709 0d893f64 4f121f81 4f730a48",
    ),
    (
        "ffffffff ffffffff ffffffff ffffffff",
        "ffffffff ffffffff",
        "5207ddc2 45165e59 4d8ee751 8c52f662",
    ),
    (
        "243f6a88 85a308d3 13198a2e 03707344",
        "a4093822 299f31d0",
        "4dfccaba 190a87f0 c47362ba b6b5242a",
    ),
]


def words(text):
    return np.array([int(word, 16) for word in text.split()], np.uint32)


@jit.standalone
def _philox_loop(counters, keys, out):
    for i in range(counters.shape[0]):
        c, k = counters[i], keys[i]
        a, b, d, e = philox(c[0], c[1], c[2], c[3], k[0], k[1])
        out[i, 0], out[i, 1], out[i, 2], out[i, 3] = a, b, d, e


def philox_of(counters, keys):
    out = np.empty((len(counters), 4), np.uint32)
    _philox_loop(counters, keys, out)
    return out


@pytest.mark.parametrize(("counter", "key", "output"), KNOWN_ANSWERS)
def test_philox_known_answers(counter, key, output):
    got = philox_of(words(counter)[None], words(key)[None])[0]
    assert np.array_equal(got, words(output))
    assert np.array_equal(reference.philox(words(counter), words(key)), words(output))


@pytest.mark.parametrize(("counter", "key", "output"), KNOWN_ANSWERS_7_ROUNDS)
def test_the_oracle_knows_other_answers_too(counter, key, output):
    assert np.array_equal(reference.philox(words(counter), words(key), rounds=7), words(output))


def test_philox_equals_the_oracle():
    rng = np.random.default_rng(0)
    counters = rng.integers(0, 2**32, (2000, 4), np.uint32)
    keys = rng.integers(0, 2**32, (2000, 2), np.uint32)
    expected = [reference.philox(c, k) for c, k in zip(counters, keys, strict=True)]
    assert np.array_equal(philox_of(counters, keys), expected)


def test_every_input_bit_moves_half_of_the_output_bits():
    """Over 1,000 inputs, each of 192 flipped bits changes 64 of 128 on average, within 8 sigma."""
    rng = np.random.default_rng(1)
    inputs = rng.integers(0, 2**32, (1000, 6), np.uint32)
    before = philox_of(inputs[:, :4].copy(), inputs[:, 4:].copy())
    sigma = np.sqrt(128 / 4 / len(inputs))
    for bit in range(192):
        flipped = inputs.copy()
        flipped[:, bit // 32] ^= np.uint32(1 << bit % 32)
        after = philox_of(flipped[:, :4].copy(), flipped[:, 4:].copy())
        changed = np.unpackbits((before ^ after).view(np.uint8), axis=1).sum(axis=1).mean()
        assert abs(changed - 64) < 8 * sigma, f"bit {bit}: {changed}"


# -- keys --------------------------------------------------------------------------------------


def test_key_is_a_frozen_value():
    key = fg.Key(7)
    assert key == fg.Key(7)
    assert key == fg.Key(np.int64(7))
    assert key != fg.Key(8)
    assert len({key, fg.Key(7), fg.Key(8)}) == 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        key.words = (0, 0)
    assert pickle.loads(pickle.dumps(key)) == key == copy.deepcopy(key)
    assert fg.Key(2**200) != fg.Key(0)
    assert all(0 <= word < 2**32 for word in key.words)


def test_using_a_key_does_not_change_its_pickle_or_its_hash():
    """Caches keyed by pickles, joblib's for instance, would miss for an equal key."""
    fresh, used = fg.Key(3), fg.Key(3)
    fg.random.uniform(4, rng=used)
    used.fold_in(1)
    assert "kernel_words" in vars(used)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.dumps(fresh, protocol) == pickle.dumps(used, protocol)
    assert hash(fresh) == hash(used) == hash(pickle.loads(pickle.dumps(used)))
    assert vars(pickle.loads(pickle.dumps(used))) == vars(copy.copy(used)) == {"words": used.words}


def test_a_key_gives_these_words_forever():
    """Published results depend on them."""
    assert fg.Key(0).words == (0xB0F478BE, 0xDB2CD7E7)
    expected = [0.1221868947026274, 0.9204681240884398, 0.9016372938310582]
    assert np.array_equal(fg.random.uniform(3, rng=0, dtype=np.float64), expected)


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**32))
def test_fold_in_equals_the_oracle(data, seed):
    key = fg.Key(seed)
    assert key.fold_in(data).words == reference.fold_in(key.words, data)


def test_derived_keys_differ():
    key = fg.Key(3)
    keys = [key, *key.split(1000), *(key.fold_in(2**32 + i) for i in range(100))]
    keys += [k for child in key.split(20) for k in child.split(20)]
    assert len(set(keys)) == 1 + 1000 + 100 + 400
    assert key.split(5) == key.split(1000)[:5] == [key.fold_in(i) for i in range(5)]


def test_streams_of_derived_keys_are_uncorrelated():
    """The largest of 45 correlations of 100,000 normals: within 6.5 sigma, false alarm 4e-9."""
    key = fg.Key(4)
    keys = [key, *key.split(5), *(fg.Key(i) for i in range(4))]
    x = np.stack([fg.random.normal(100_000, rng=k) for k in keys])
    correlation = np.corrcoef(x) - np.eye(len(keys))
    assert np.abs(correlation).max() < 6.5 / np.sqrt(100_000)


def test_every_kind_of_rng():
    assert fg.random.as_key(5) == fg.random.as_key(np.uint8(5)) == fg.Key(5)
    assert fg.random.as_key(np.random.SeedSequence(5)) == fg.Key(5)
    assert fg.random.as_key(fg.Key(5)) == fg.Key(5)
    children = np.random.SeedSequence(5).spawn(2)
    assert fg.random.as_key(children[0]) != fg.random.as_key(children[1])
    generator = np.random.default_rng(5)
    first, second = fg.random.as_key(generator), fg.random.as_key(generator)
    assert first != second
    assert first == fg.random.as_key(np.random.default_rng(5))


def test_a_seed_sequence_is_not_used_up():
    sequence = np.random.SeedSequence(5)
    assert np.array_equal(fg.random.normal(9, rng=sequence), fg.random.normal(9, rng=sequence))


@pytest.mark.parametrize(
    "rng", [None, 1.5, "seed", True, [1, 2], np.random, np.random.RandomState(0)]
)
def test_rng_refused(rng):
    for call in (lambda: fg.random.as_key(rng), lambda: fg.random.gumbel(3, rng=rng)):
        with pytest.raises(TypeError, match="rng"):
            call()


@pytest.mark.parametrize(
    ("make", "error", "name"),
    [
        (lambda: fg.Key(-1), ValueError, "seed"),
        (lambda: fg.Key(1.0), TypeError, "seed"),
        (lambda: fg.Key("1"), TypeError, "seed"),
        (lambda: fg.Key(None), TypeError, "seed"),
        (lambda: fg.Key(True), TypeError, "seed"),
        (lambda: fg.random.as_key(-3), ValueError, "rng must be at least 0, got -3"),
        (lambda: fg.Key(0).fold_in(-1), ValueError, "data"),
        (lambda: fg.Key(0).fold_in(2**64), ValueError, "data"),
        (lambda: fg.Key(0).fold_in(0.5), TypeError, "data"),
        (lambda: fg.Key(0).split(0), ValueError, "n must"),
        (lambda: fg.Key(0).split(2.0), TypeError, "n must"),
        (lambda: fg.random.normal(-1, rng=0), ValueError, "shape"),
        (lambda: fg.random.normal((3, -1), rng=0), ValueError, "shape"),
        (lambda: fg.random.normal(2.5, rng=0), TypeError, "shape"),
        (lambda: fg.random.normal((2**40, 2**40), rng=0), ValueError, r"shape \(1099511627776, "),
        (lambda: fg.random.normal("ab", rng=0), TypeError, "shape"),
        (lambda: fg.random.normal(None, rng=0), TypeError, "shape"),
        (lambda: fg.random.normal(3, rng=0, offset=-1), ValueError, "offset"),
        (lambda: fg.random.normal(3, rng=0, offset=1.5), TypeError, "offset"),
        (lambda: fg.random.normal(3, rng=0, dtype=np.float16), ValueError, "dtype"),
        (lambda: fg.random.normal(3, rng=0, dtype=int), ValueError, "dtype"),
        (lambda: fg.random.normal(3, rng=0, dtype="nonsense"), TypeError, "dtype"),
        (lambda: fg.random.normal(3, rng=0, out=np.empty(4, np.float32)), ValueError, "out"),
        (lambda: fg.random.normal(3, rng=0, out=np.empty(3)), ValueError, "out"),
        (lambda: fg.random.normal(3, rng=0, out=[0, 0, 0]), ValueError, "out"),
        (lambda: fg.random.normal(3, rng=0, out=np.empty(6, np.float32)[::2]), ValueError, "out"),
    ],
)
def test_errors_name_the_argument(make, error, name):
    with pytest.raises(error, match=name):
        make()


# -- variates from bits ------------------------------------------------------------------------


@jit.standalone
def _from_bits(bits, like_real, out):
    for i in range(bits.shape[1]):
        high, low = bits[0, i], bits[-1, i]
        out[0, i] = noise.uniform(high, low, like_real)
        out[1, i] = noise.exponential(high, low, like_real)
        out[2, i] = noise.odds(high, low, like_real)


@jit.standalone
def _vectors_from_bits(bits, like_real, out):
    high, low = bits[0], bits[-1]
    for i in range(0, bits.shape[1], LANES):
        a, b = load(high, i), load(low, i)
        store(out, (0, i), noise.uniform(a, b, like_real))
        store(out, (1, i), noise.exponential(a, b, like_real))
        store(out, (2, i), noise.odds(a, b, like_real))


def chosen_integers(width):
    """Both ends, the middle, powers of two with their neighbours, and some at random."""
    edges = [2**i + j for i in range(width) for j in (-2, -1, 0, 1)]
    edges = {k % 2**width for k in edges}
    edges |= {2**width - 1 - k for k in edges}
    some = np.random.default_rng(0).integers(0, 2**width, 10_000, np.uint64)
    return np.concatenate([np.array(sorted(edges), np.uint64), some])


@by_dtype
def test_variates_at_chosen_bits(dtype):
    """3 ulp everywhere, both ends included: nothing is 0 or 1 or infinite."""
    width = WIDTH[dtype]
    k = chosen_integers(width)
    high = k if width == 32 else k >> np.uint64(32)
    planes = [high, k & np.uint64(2**32 - 1)][: width // 32]
    bits = np.stack(planes).astype(np.uint32)
    out = np.empty((3, len(k)), dtype)
    _from_bits(bits, out, out)
    whole = bits[:, : len(k) // LANES * LANES]
    vectors = np.empty((3, whole.shape[1]), dtype)
    _vectors_from_bits(np.ascontiguousarray(whole), vectors, vectors)
    assert np.array_equal(vectors, out[:, : whole.shape[1]])
    complement = np.uint64(2**width - 1) - k
    expected = [reference.unit(k, width)]
    expected += [reference.minus_log1m(k, width)]
    expected += [reference.unit(k, width) / reference.unit(complement, width)]
    expected[0] = np.minimum(expected[0], np.nextafter(dtype(1), dtype(0)))
    for got, want in zip(out, expected, strict=True):
        assert (np.abs(got - want) <= 3 * np.spacing(want.astype(dtype))).all()
        assert (got > 0).all()
    assert out[0].max() < 1
    least, most = 2.0 ** -(width + 1), (width + 1) * np.log(2)
    np.testing.assert_allclose([out[1].min(), out[1].max()], [least, most], rtol=1e-6)


# -- streams -----------------------------------------------------------------------------------


@by_kind
@by_dtype
@pytest.mark.parametrize("offset", [0, 1, 2047, 123_456_789_012])
def test_noise_equals_the_oracle(kind, dtype, offset):
    key = fg.Key(11)
    got = draw(kind, 5000, rng=key, dtype=dtype, offset=offset)
    want = reference.random(kind, 5000, key.words, WIDTH[dtype], offset)
    assert got.dtype == dtype
    np.testing.assert_allclose(
        got, want.astype(np.float64), rtol=4 * np.finfo(dtype).eps, atol=8 * np.finfo(dtype).eps
    )


@by_kind
@by_dtype
def test_law(kind, dtype):
    """A million draws, Kolmogorov-Smirnov."""
    x = draw(kind, 1_000_000, rng=fg.Key(21), dtype=dtype)
    assert np.isfinite(x).all()
    assert stats.kstest(x.astype(np.float64), KINDS[kind].cdf).pvalue > FALSE_ALARM


@by_kind
def test_neighbours_are_independent(kind):
    """Correlation at lags that share a counter, a lane, a row or a block: 6 sigma, 2e-9 each."""
    x = KINDS[kind].cdf(draw(kind, 1_000_000, rng=fg.Key(22)).astype(np.float64)) - 0.5
    for lag in (1, 2, 3, 4, 16, 32, 48, 64, 512, 2048):
        correlation = np.mean(x[lag:] * x[:-lag]) * 12
        assert abs(correlation) < 6 / np.sqrt(x.size - lag), f"lag {lag}"


@by_kind
def test_float32_and_float64_agree(kind):
    """One key, one address: the same number, as far as 32 bits and a float32 can tell."""
    u32, u64 = (fg.random.uniform(100_000, rng=23, dtype=t).astype(np.float64) for t in DTYPES)
    assert np.abs(u32 - u64).max() <= 2.0**-33 + 2.0**-24
    a, b = (draw(kind, 100_000, rng=23, dtype=t).astype(np.float64) for t in DTYPES)
    if kind == "normal":  # the angle's half bit counts as much as the radius is long
        assert np.abs(a - b).max() < 5e-5
        return
    middle = (u64 > 1e-3) & (u64 < 1 - 1e-3)
    np.testing.assert_allclose(a[middle], b[middle], rtol=0, atol=3e-6)


@given(
    st.sampled_from(sorted(KINDS)),
    st.sampled_from(DTYPES),
    st.lists(st.integers(0, 5000), min_size=1, max_size=5),
    st.integers(0, 2**40),
)
def test_chunks_join(kind, dtype, sizes, start):
    whole = draw(kind, sum(sizes), rng=24, dtype=dtype, offset=start)
    ends = np.cumsum(sizes)
    parts = [
        draw(kind, n, rng=24, dtype=dtype, offset=int(start + end - n))
        for n, end in zip(sizes, ends, strict=True)
    ]
    assert np.array_equal(np.concatenate(parts), whole)


@by_kind
@by_dtype
def test_threads_give_the_same_bits(kind, dtype):
    numba.set_num_threads(1)
    one = draw(kind, 300_001, rng=25, dtype=dtype, offset=5)
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
    assert np.array_equal(draw(kind, 300_001, rng=25, dtype=dtype, offset=5), one)


DIGEST = """
import hashlib, numpy as np, fastgrad as fg
digest = hashlib.sha256()
for kind in ("uniform", "exponential", "gumbel", "logistic", "normal"):
    for dtype in (np.float32, np.float64):
        digest.update(getattr(fg.random, kind)((7, 11111), rng=fg.Key(26), dtype=dtype).tobytes())
text = digest.hexdigest()
"""


def test_another_process_gives_the_same_bits():
    """With another number of threads, too: that shows whatever one with the same would."""
    here = {}
    exec(DIGEST, here)
    assert run(DIGEST + "print(text)", NUMBA_NUM_THREADS="1") == here["text"]
    assert len(here["text"]) == hashlib.sha256().digest_size * 2


@by_kind
def test_shapes_and_out(kind):
    assert draw(kind, (), rng=0).shape == ()
    assert draw(kind, 0, rng=0).shape == (0,)
    assert draw(kind, (3, 0, 2), rng=0).shape == (3, 0, 2)
    assert draw(kind, [2, 3], rng=0).shape == (2, 3)
    assert draw(kind, np.int64(4), rng=0).shape == (4,)
    x = draw(kind, (5, 7), rng=0)
    assert x.dtype == np.float32
    assert np.array_equal(x.ravel(), draw(kind, 35, rng=0))
    out = np.full((5, 7), np.nan, np.float32)
    assert draw(kind, (5, 7), rng=0, out=out) is out
    assert np.array_equal(out, x)


# -- tails -------------------------------------------------------------------------------------

# Far on both sides: float32 uniforms of 24 bits would stop at 16.6, and others at -2.77.
UPPER = (8.0, 12.0, 15.9, 16.7, 18.0, 19.5)
LOWER = (-2.0, -2.5, -2.77, -2.9, -3.0)


def check_gumbel_tails(n, dtype, seed):
    """Count the draws beyond each cut: binomial, with a false alarm of 1e-6 for each cut."""
    key = fg.Key(seed)
    upper, lower = np.zeros(len(UPPER), int), np.zeros(len(LOWER), int)
    step = 1 << 23
    x = np.empty(step, dtype)
    for start in range(0, n, step):
        fg.random.gumbel(step, rng=key, dtype=dtype, offset=start, out=x)
        assert np.isfinite(x.min())
        assert np.isfinite(x.max())
        far = x[(x > UPPER[0]) | (x < LOWER[0])]
        upper += [(far > cut).sum() for cut in UPPER]
        lower += [(far < cut).sum() for cut in LOWER]
    for cut, count in zip(UPPER, upper, strict=True):
        check_count(count, n, -np.expm1(-np.exp(-cut)), f"above {cut}")
    for cut, count in zip(LOWER, lower, strict=True):
        check_count(count, n, np.exp(-np.exp(-cut)), f"below {cut}")


def check_count(count, n, p, what):
    law = stats.binom(n, p)
    low, high = law.ppf(FALSE_ALARM / 2), law.isf(FALSE_ALARM / 2)
    assert low <= count <= high, f"{count} {what}: expected {n * p:.2f}, from {low} to {high}"


@pytest.mark.parametrize(("dtype", "n"), [(np.float32, 1 << 28), (np.float64, 1 << 25)])
def test_gumbel_tails(dtype, n):
    check_gumbel_tails(n, dtype, seed=31)


@by_dtype
def test_exponentials_are_never_zero(dtype):
    """Small values occur as often as they should, none is 0."""
    n = 1 << 24
    x = fg.random.exponential(n, rng=33, dtype=dtype)
    assert x.min() > 0
    assert np.isfinite(x.max())
    for cut in (1e-3, 1e-5, 1e-6, 2.0**-24, 2.0**-26):
        check_count((x < cut).sum(), n, -np.expm1(-cut), f"below {cut}")
    for cut in (5.0, 10.0, 14.0, 16.6):
        check_count((x > cut).sum(), n, np.exp(-cut), f"above {cut}")


@by_dtype
@pytest.mark.parametrize("kind", ["logistic", "normal"])
def test_symmetric_tails(kind, dtype):
    n = 1 << 23
    x = draw(kind, n, rng=34, dtype=dtype)
    for cut in (3.0, 4.0, 5.0, 8.0, 12.0):
        p = KINDS[kind].sf(cut)
        check_count((x > cut).sum(), n, p, f"above {cut}")
        check_count((x < -cut).sum(), n, p, f"below {-cut}")
