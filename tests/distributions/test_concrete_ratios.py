"""Relaxations and winners by ratios, against the oracle and the perturbed logits."""

import numpy as np
import pytest
import reference
from strategies import DTYPES, WIDTH, some_logits

import fastgrad as fg
from fastgrad import subset

KEY = fg.Key(40)
by_dtype = pytest.mark.parametrize("dtype", DTYPES)
by_temperature = pytest.mark.parametrize("temperature", [1.0, 0.5])


def noise_of(shape, dtype, purpose=reference.NOISE):
    return reference.exponential_noise(shape, KEY.words, WIDTH[dtype], purpose)


def tied_logits(n, k, dtype):
    """Rows in which the two largest perturbed logits of a sample are equal but for rounding."""
    noise = noise_of((1, n, k), dtype)[0]
    x = np.log(noise) - 2
    pairs = np.argsort(np.random.default_rng(0).random((n, k)), axis=1)[:, :2]
    x[np.arange(n)[:, None], pairs] += 2
    return x.astype(dtype)


def perturbed_winners(x, samples):
    """Winners by perturbed logits, whose largest one is taken."""
    return subset.gumbel_top_k(x, 1, num_samples=samples, rng=KEY)[..., 0]


def all_winners(x, samples):
    """Winners of all functions that look at ratios, by name."""
    options = {"num_samples": samples, "rng": KEY}
    found = {"sample": fg.sample(x, method="gumbel", **options)}
    found["hard"] = fg.gumbel_softmax(x, temperature=0.7, hard=True, **options).argmax(-1)
    for temperature in (1.0, 0.5):
        soft = fg.gumbel_softmax(x, temperature=temperature, **options)
        pair = fg.relax(x, temperature=temperature, **options)
        assert np.array_equal(soft, pair.relaxed)
        for y in (soft, pair.conditional):
            ordered = np.sort(y, axis=-1)
            assert (ordered[..., -1] > ordered[..., -2]).all()
        found |= {f"soft {temperature}": soft.argmax(-1), f"relax {temperature}": pair.sample}
        found[f"conditional {temperature}"] = pair.conditional.argmax(-1)
    return found


@by_dtype
@pytest.mark.parametrize("k", [2, 5, 16, 600])
def test_ties_are_settled_by_the_perturbed_logits(k, dtype):
    """Where a ratio and a perturbed logit may disagree: ratios alone would choose another one."""
    n = 4096 if k < 100 else 70
    x = tied_logits(n, k, dtype)
    expected = perturbed_winners(x, 1)
    for name, z in all_winners(x, 1).items():
        assert np.array_equal(z, expected), name
    top = x - x.max(axis=1, keepdims=True)
    ratios = np.exp(top) / noise_of((1, n, k), dtype)[0].astype(dtype)
    assert (ratios.argmax(-1) != expected[0]).mean() > 0.1


@by_dtype
def test_a_tie_does_not_reach_into_other_rows(dtype):
    """A row is that of a call of its own, though its neighbours are settled in another way."""
    x = np.concatenate([tied_logits(40, 3, dtype), some_logits(60, 3, dtype)])
    for temperature in (1.0, 0.5):
        options = {"temperature": temperature, "rng": KEY}
        whole = fg.relax(x, **options)
        hard = fg.gumbel_softmax(x, hard=True, **options)
        for i in (0, 1, 39, 40, 77):
            row = fg.relax(x[i : i + 1], row_offset=i, **options)
            for a, b in zip(whole, row, strict=True):
                assert np.array_equal(a[i], b[0])
            own = fg.gumbel_softmax(x[i : i + 1], hard=True, row_offset=i, **options)
            assert np.array_equal(hard[i], own[0])


@pytest.mark.slow
@by_dtype
def test_winners_are_the_same_on_every_draw(dtype):
    """A million draws of each function, logits of all scales."""
    for k, n in ((2, 8192), (7, 2048), (64, 256), (1000, 16)):
        x = some_logits(n, k, dtype)
        expected = perturbed_winners(x, 100)
        for name, z in all_winners(x, 100).items():
            assert np.array_equal(z, expected), name


@by_dtype
@by_temperature
def test_to_a_few_ulp(temperature, dtype):
    """Of noise, weights and a quotient, beside the rounding of logits less their maximum."""
    x, samples = some_logits(64, 6, dtype), 8
    got = fg.gumbel_softmax(x, temperature=temperature, num_samples=samples, rng=KEY)
    noise = noise_of((samples, *x.shape), dtype)
    z = reference.perturbed(x.astype(np.longdouble), noise)
    expected = reference.relaxed(z, temperature)
    depth = x.max(axis=-1, keepdims=True) - np.where(np.isfinite(x), x, 0)
    bound = (8 + depth / 2) * np.finfo(dtype).eps / temperature
    assert (np.abs(got - expected) <= bound * expected + 2 * np.finfo(dtype).tiny).all()


@by_dtype
@by_temperature
@pytest.mark.parametrize("width", [3, 700])
def test_relaxations_keep_their_digits_down_to_the_least_normal_number(temperature, width, dtype):
    """Of logits so low that their weights, were they not raised, would underflow."""
    lowest = np.log(np.finfo(dtype).tiny) * temperature
    n = 300 if width == 3 else 8
    x = np.zeros((n, width), dtype)
    x[:, 1] = lowest + np.linspace(-25, 5, n)
    x[:, 2] = -np.inf
    x = np.where(np.arange(width) > 2, -np.inf, x).astype(dtype)
    options = {"temperature": temperature, "num_samples": 20, "rng": KEY}
    got = fg.relax(x, **options)
    assert np.array_equal(got.relaxed, fg.gumbel_softmax(x, **options))
    noise, fresh = (
        noise_of((20, *x.shape), dtype, p) for p in (reference.NOISE, reference.CONDITIONAL)
    )
    y = x.astype(np.longdouble)
    z = reference.perturbed(y, noise)
    time, rest = reference.independent_noise(z.argmax(-1), fresh)
    again = reference.conditional(y, z.argmax(-1), time, rest)
    least = np.finfo(dtype).tiny
    for value, exact in ((got.relaxed, z), (got.conditional, again)):
        expected = reference.relaxed(exact, temperature)
        seen = expected > 4 * least
        assert (seen & (expected < 1e6 * least)).any()
        error = np.abs(value[seen] / expected[seen] - 1).max()
        assert error < 40 * np.finfo(dtype).eps / temperature
        assert (value[..., 2:] == 0).all()


@by_dtype
@by_temperature
@pytest.mark.parametrize("k", [3, 16, 600])
def test_products_are_those_of_the_relaxations_drawn(k, temperature, dtype):
    """Of the same bits, ties that were settled among them: what is left is a product's rounding."""
    n = 90 if k < 100 else 3
    x = np.concatenate([tied_logits(n // 3, k, dtype), some_logits(n - n // 3, k, dtype)])
    cotangents = np.random.default_rng(1).normal(size=(2, 2, *x.shape)).astype(dtype)
    for coupled in (False, True):
        options = {"temperature": temperature, "rng": KEY, "coupled": coupled}
        pair = fg.relax(x, num_samples=2, **options)
        found = fg.relax_vjp(x, *cotangents, **options)
        p = reference.softmax(x.astype(np.longdouble))
        steps, sizes = [], []
        for y, r in zip(pair[1:3], cotangents, strict=True):
            y = y.astype(np.longdouble)
            mean = (y * r).sum(-1, keepdims=True)
            steps.append(y * (r - mean) / temperature)
            sizes.append((y * (abs(r) + (y * abs(r)).sum(-1, keepdims=True))) / temperature)
        top = np.take_along_axis(pair.conditional, pair.sample[..., None], axis=-1)
        kept = steps[1] * (1 - (pair.conditional / top.astype(np.longdouble)) ** temperature)
        steps[1] = kept - p * kept.sum(-1, keepdims=True)
        sizes[1] = sizes[1] + p * sizes[1].sum(-1, keepdims=True)
        for g, step, size in zip(found, steps, sizes, strict=True):
            bound = 8 * np.finfo(dtype).eps * size.sum(axis=0) + np.finfo(dtype).tiny
            assert (abs(g - step.sum(axis=0)) <= bound).all()
        del options["coupled"]
        assert np.array_equal(found[0], fg.gumbel_softmax_vjp(x, cotangents[0], **options))


def test_what_is_refused_does_no_harm():
    """Logits that `relax` sees to be invalid only by their sums."""
    x = np.zeros((70, 5), np.float32)
    for bad in (np.nan, np.inf):
        x[33, 2] = bad
        with pytest.raises(ValueError, match="logits"):
            fg.relax(x, temperature=0.5, rng=KEY)
    x[33] = -np.inf
    with pytest.raises(ValueError, match="logits"):
        fg.relax(x, temperature=1, rng=KEY)
    wide = np.full((2, 600), -np.inf)
    with pytest.raises(ValueError, match="logits"):
        fg.relax(wide, temperature=1, rng=KEY)
