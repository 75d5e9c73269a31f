"""One sample of a few variables of two outcomes, with its relaxations, as nodes of a quadrature."""

import numpy as np

from fastgrad.distributions import discrete
from fastgrad.estimators.base import read_only
from fastgrad.estimators.relaxed_controls.relaxed_pairs import Draws, Pair

STEP, REACH = 0.3, 34.0  # of the trapezoidal rule: errors near 1e-14
NODES = 2**20  # most numbers in the samples


def quadrature(distribution, num_samples, temperatures, *, coupled=True):
    """Return draws of one sample as the nodes of a quadrature, and weights; None if too many.

    For variables of two outcomes. Given the sample b, the perturbed logit has the sign of b and the
    size log1p(v / (1 - v) / r), with v uniform and r the probability of the other outcome. In the
    log odds of v the trapezoidal rule converges exponentially: the nearest pole is pi / 2 away.
    """
    outcomes = discrete.num_outcomes(distribution)
    if num_samples != 1 or outcomes != 2 or not distribution.logits.size:
        return None
    log_p = discrete.log_probabilities(distribution).astype(np.float64).reshape(2, -1)
    odds = np.arange(-REACH, REACH + STEP / 2, STEP)
    density = 1 / (4 * np.cosh(odds / 2) ** 2)
    density /= density.sum()
    variables, each = log_p.shape[1], 2 * odds.size * (1 if coupled else odds.size)
    if each**variables * variables * discrete.num_features(distribution) > NODES:
        return None

    # Nodes of each variable alone: (2 outcomes, noise, conditional noise or 1, variables).
    sign = np.array([-1.0, 1.0]).reshape(2, 1, 1, 1)
    distance = np.logaddexp(0, odds[:, None] - log_p[::-1, None, :])[:, :, None]
    weight = np.exp(log_p)[:, None, None] * density[:, None, None]
    shape = (2, odds.size, 1 if coupled else odds.size, variables)
    z = np.broadcast_to(sign * distance, shape).reshape(each, variables)
    again = z if coupled else np.broadcast_to(sign * distance.swapaxes(1, 2), shape)
    again = again.reshape(each, variables)
    weight = weight if coupled else weight * density[:, None]
    weight = np.broadcast_to(weight, shape).reshape(each, variables)

    # All combinations of them, as examples side by side.
    choice = np.indices((each,) * variables).reshape(variables, -1)
    of = (choice.T, np.arange(variables))
    batch = (choice.shape[1], *distribution.batch_shape)
    sample = read_only((z[of] > 0).astype(np.int32).reshape(1, *batch))
    pairs = []
    for temperature in temperatures:
        temperature = np.array(np.broadcast_to(temperature, batch), distribution.logits.dtype)
        x = _relaxed(distribution, z[of].reshape(batch) / temperature)
        y = x if coupled else _relaxed(distribution, again[of].reshape(batch) / temperature)
        pairs.append(Pair(x, y, read_only(temperature)))
    return Draws(sample, tuple(pairs)), np.prod(weight[of], axis=1)


def _relaxed(distribution, x):
    """Return one sample of the features whose second category has log odds x."""
    one, other = np.exp(-np.logaddexp(0, -x)), np.exp(-np.logaddexp(0, x))
    x = one if discrete.single_logit(distribution) else np.stack([other, one], axis=-1)
    return read_only(x.astype(distribution.logits.dtype)[None])
