"""A slow oracle of the public functions, in NumPy and SciPy: formulae, no blocks and no tricks.

Everything random is computed from a key's two words and the address of the variate, so the library
has to give the same samples, and the same relaxations up to rounding. Functions keep the precision
of what they are given; feed float64, or longdouble for derivatives by differences.
"""

import numpy as np
from scipy.special import gammaln

# -- Philox4x32-10 -----------------------------------------------------------------------------

MASK = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)
NOISE, CONDITIONAL, UNIFORM, KEYS, ANGLE = 0, 2, 4, 6, 8  # the last word of the counter


def philox(counter, key, rounds=10):
    """Return the four words for counters (..., 4) under a key of two words, as uint64."""
    a, b, c, d = np.moveaxis(np.asarray(counter, np.uint64), -1, 0)
    k0, k1 = (np.uint64(word) for word in key)
    for i in range(rounds):
        if i:
            k0 = (k0 + np.uint64(0x9E3779B9)) & MASK
            k1 = (k1 + np.uint64(0xBB67AE85)) & MASK
        product0, product1 = np.uint64(0xD2511F53) * a, np.uint64(0xCD9E8D57) * c
        a, b, c, d = (
            (product1 >> HALF) ^ b ^ k0,
            product1 & MASK,
            (product0 >> HALF) ^ d ^ k1,
            product0 & MASK,
        )
    return np.stack([a, b, c, d], axis=-1)


PART = 1 << 13  # counters at once: what is made of them stays in a cache


def words_at(key, address, lane, sample, purpose):
    """Return the words at arrays of addresses and lanes."""
    address, sample = np.asarray(address, np.uint64), np.asarray(sample, np.uint64)
    places = np.broadcast_arrays(address, lane, sample)
    found = np.empty(places[0].size, np.uint64)
    flat = [np.ravel(x) for x in places]
    for start in range(0, found.size, PART):
        address, lane, sample = (x[start : start + PART] for x in flat)
        last = np.full(address.shape, purpose, np.uint64)
        counter = np.stack([address & MASK, address >> HALF, sample, last], axis=-1)
        words = np.take_along_axis(philox(counter, key), lane[:, None], axis=-1)
        found[start : start + PART] = words[:, 0]
    return found.reshape(places[0].shape)


def fold_in(key, data):
    """Return the words of the key folded with an integer."""
    words = words_at(key, np.uint64(data), np.arange(2), 0, KEYS)
    return tuple(int(word) for word in words)


# -- where a variate stands --------------------------------------------------------------------

WIDE = 512  # rows with more categories are folded into 64 columns
SEGMENT = 4096  # rows with more are cut into segments first
FOLD = 64


def flat_address(element):
    """Return (address, lane) of an element of a stream: 64 elements share 16 addresses."""
    element = np.asarray(element, np.int64)
    return element // FOLD * 16 + element % 16, element % FOLD // 16


def address(row, category, k):
    """Return (address, lane) of the noise of a category: four rows share an address, or fold."""
    row, category = np.broadcast_arrays(np.asarray(row, np.int64), category)
    if k <= WIDE:
        return row // 4 * k + category, row % 4
    inside, lane = flat_address(category)
    return row * 16 * -(-k // FOLD) + inside, lane


# -- variates ----------------------------------------------------------------------------------


def random_bits(key, where, sample, purpose, width):
    """Return integers of `width` bits: an even purpose has high words, the next the low ones."""
    high = words_at(key, *where, sample, purpose)
    if width == 32:
        return high
    return (high << HALF) | words_at(key, *where, sample, purpose + 1)


def unit(k, width):
    """Return u = (k + 1/2) 2^-width."""
    return (k.astype(np.longdouble) + np.longdouble(0.5)) * np.longdouble(2.0) ** -width


def minus_log1m(k, width):
    """Return -log(1 - u), from u or from 1 - u, whichever is small."""
    small = k < np.uint64(2 ** (width - 1))
    found = np.empty(k.shape, np.longdouble)
    found[small] = -np.log1p(-unit(k[small], width))
    found[~small] = -np.log(unit(np.uint64(2**width - 1) - k[~small], width))
    return found


def variates(kind, k, width, angle=None):
    """Turn random integers into one of the five kinds of noise."""
    if kind == "uniform":
        return unit(k, width)
    if kind == "exponential":
        return minus_log1m(k, width)
    if kind == "gumbel":
        return -np.log(minus_log1m(k, width))
    if kind == "logistic":
        return minus_log1m(k, width) - minus_log1m(np.uint64(2**width - 1) - k, width)
    radius = np.sqrt(2 * minus_log1m(k, width))
    return radius * np.cos(2 * np.longdouble(np.pi) * unit(angle, width))


def random(kind, n, key, width, offset=0):
    """Return the first n elements of a stream from `offset` on."""
    where = flat_address(np.arange(offset, offset + n))
    angle = random_bits(key, where, 0, ANGLE, width) if kind == "normal" else None
    return variates(kind, random_bits(key, where, 0, NOISE, width), width, angle)


def exponential_noise(shape, key, width, purpose, row_offset=0, sample_offset=0):
    """Return the exponentials that perturb S samples of (N, K) logits, shape (S, N, K)."""
    samples, n, k = shape
    where = address(np.arange(row_offset, row_offset + n)[:, None], np.arange(k), k)
    sample = np.arange(sample_offset, sample_offset + samples)[:, None, None]
    return minus_log1m(random_bits(key, where, sample, purpose, width), width)


def row_uniforms(samples, n, key, width, row_offset=0, sample_offset=0):
    """Return the uniforms of inverse-CDF sampling, shape (S, N): (k + 1/2) 2^-32 or k 2^-64."""
    rows = np.arange(row_offset, row_offset + n)
    sample = np.arange(sample_offset, sample_offset + samples)[:, None]
    k = random_bits(key, (rows // 4, rows % 4), sample, UNIFORM, width)
    half = np.longdouble(0.5 if width == 32 else 0)
    return (k.astype(np.longdouble) + half) * np.longdouble(2.0) ** -width


# -- categoricals ------------------------------------------------------------------------------


def log_normaliser(logits):
    top = logits.max(axis=-1, keepdims=True)
    return top + np.log(np.exp(logits - top).sum(axis=-1, keepdims=True))


def log_softmax(logits):
    return logits - log_normaliser(logits)


def softmax(logits):
    return np.exp(log_softmax(logits))


def log_prob(logits, z):
    table = log_softmax(logits)
    return np.take_along_axis(
        np.broadcast_to(table, (*z.shape, table.shape[-1])), z[..., None], -1
    )[..., 0]


def one_hot(z, k):
    return (z[..., None] == np.arange(k)).astype(np.float64)


def score(logits, z):
    return one_hot(z, logits.shape[-1]) - softmax(logits)


def entropy(logits):
    p = softmax(logits)
    terms = np.multiply(p, log_softmax(logits), where=p > 0, out=np.zeros(p.shape, p.dtype))
    return -np.sum(terms, axis=-1)


def kl_divergence(p_logits, q_logits):
    p = softmax(p_logits)
    gap = np.subtract(
        log_softmax(p_logits), log_softmax(q_logits), where=p > 0, out=np.zeros(p.shape, p.dtype)
    )
    return np.sum(p * gap, axis=-1)


def cumulative_order(k):
    """Return the order in which inverse-CDF sampling adds up categories.

    Segment by segment, and in a folded row column by column: categories c, c + 64, c + 128, ...
    """
    category = np.arange(k)
    if k <= WIDE:
        return category
    return np.lexsort((category, category % FOLD, category // SEGMENT))


def sample_inverse(logits, u):
    """Return (z, margin): categories (S, N) at uniforms u, and how far u was from another."""
    order = cumulative_order(logits.shape[-1])
    weight = softmax(logits.astype(np.longdouble))[:, order]
    upper = np.cumsum(weight, axis=-1)
    upper /= upper[:, -1:]
    z, margin = np.empty(u.shape, np.int64), np.empty(u.shape)
    for row in range(logits.shape[0]):
        place = np.searchsorted(upper[row], u[:, row], side="right")
        place = np.minimum(place, np.flatnonzero(weight[row])[-1])
        z[:, row] = order[place]
        lower = np.concatenate([[0], upper[row]])
        margin[:, row] = np.minimum(
            np.where(place > 0, np.abs(u[:, row] - lower[place]), 1),
            np.abs(lower[place + 1] - u[:, row]),
        )
    return z, margin


# -- relaxations -------------------------------------------------------------------------------


def perturbed(logits, noise):
    """z_i = log p_i - log E_i."""
    return log_softmax(logits) - np.log(noise)


def margin(x):
    """How far the largest entry is above the next."""
    if x.shape[-1] == 1:
        return np.full(x.shape[:-1], np.inf)
    second, first = np.moveaxis(np.partition(x, -2, axis=-1)[..., -2:], -1, 0)
    return first - second


def conditional(logits, z, time, noise):
    """z~_b = -log T at the sample b = z, z~_i = log p_i - log(T p_i + E'_i) elsewhere."""
    time = time[..., None]
    others = log_softmax(logits) - np.log(time * softmax(logits) + noise)
    return np.where(one_hot(z, logits.shape[-1]) > 0, -np.log(time), others)


def independent_noise(z, fresh):
    """The noise of `conditional` when it is drawn afresh: (T, E'), T being the winner's own."""
    return np.take_along_axis(fresh, z[..., None], -1)[..., 0], fresh


def recovered_noise(logits, z, noise):
    """The noise of `conditional` that gives back z: T = exp(-z_b), E'_i = E_i - T p_i."""
    time = np.exp(-np.take_along_axis(perturbed(logits, noise), z[..., None], -1)[..., 0])
    rest = noise - time[..., None] * softmax(logits)
    return time, np.where(one_hot(z, logits.shape[-1]) > 0, 1, rest)


def relaxed(x, temperature, log=False):
    y = log_softmax(x / temperature)
    return y if log else np.exp(y)


def relax(logits, temperature, samples, key, width, coupled=False, log=False, **offsets):
    """Return what `fastgrad.relax` does for (N, K) logits, and the margin of each sample."""
    shape = (samples, *logits.shape)
    noise = exponential_noise(shape, key, width, NOISE, **offsets)
    x = perturbed(logits, noise)
    z = x.argmax(axis=-1)
    if coupled:
        time, rest = recovered_noise(logits, z, noise)
    else:
        time, rest = independent_noise(
            z, exponential_noise(shape, key, width, CONDITIONAL, **offsets)
        )
    again = conditional(logits, z, time, rest)
    soft, soft_again = relaxed(x, temperature, log), relaxed(again, temperature, log)
    return z, soft, soft_again, score(logits, z), margin(x)


def gradient(function, x, step=1e-7):
    """Central differences of a scalar function of x, in longdouble; -inf entries stay -inf."""
    x = x.astype(np.longdouble)
    result = np.empty(x.shape, np.longdouble)
    for i in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[i] += step
        down[i] -= step
        result[i] = (function(up) - function(down)) / (2 * np.longdouble(step))
    return result


# -- densities ---------------------------------------------------------------------------------


def exp_concrete_log_prob(logits, log_x, temperature):
    """Maddison, Mnih and Teh (2017), equation 22; masked categories take no part."""
    kept = np.isfinite(logits)
    n = kept.sum(axis=-1)
    exponent = np.where(kept, logits - temperature * np.where(kept, log_x, 0), -np.inf)
    return (
        gammaln(n)
        + (n - 1) * np.log(temperature)
        + np.sum(exponent, axis=-1, where=kept)
        - n * log_normaliser(exponent)[..., 0]
    )


def concrete_log_prob(logits, x, temperature):
    """The same with the Jacobian of the logarithm."""
    kept = np.isfinite(logits)
    log_x = np.log(x, where=kept, out=np.zeros(x.shape))
    return exp_concrete_log_prob(logits, log_x, temperature) - log_x.sum(axis=-1)
