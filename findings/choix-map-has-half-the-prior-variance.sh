#!/usr/bin/env bash
# choix 0.4.1, opt_pairwise and opt_rankings: promise the most probable parameters of a Bradley-Terry or
# Plackett-Luce model under a Gaussian prior of variance 1 / alpha. They add alpha times the sum of squares to the
# negative log-likelihood, where that prior has alpha / 2, so that the prior is one of variance 1 / (2 alpha). After
# three wins in a row with alpha=1 the items are 0.88 apart, not 1.29. ep_pairwise, which takes the same alpha,
# has the variance that it says.
#
# Why it matters here: logits for fastgrad.permutation.PlackettLuce are fitted in this way, and the two ways of the
# package are held against each other. Pass half the alpha to the opt functions.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install choix==0.4.1 numpy==2.4.6 scipy==1.17.1
cat > "$folder/prior.py" <<'EOF2'
import importlib.metadata
import sys

import choix
import numpy as np
from scipy.optimize import brentq

PAIRS = [(0, 1)] * 3
ORDERS = [(0, 1, 2), (0, 2, 1), (1, 0, 2), (0, 1, 2)]


def apart(alpha):
    """How far two items are at the mode, with variance 1 / alpha, after the first has won three times."""
    return brentq(lambda d: alpha / 2 * d - 3 / (1 + np.exp(d)), 0, 60)


def slope(x, winners, alpha):
    """The gradient of the log posterior of Plackett-Luce with variance 1 / alpha: 0 at the mode."""
    out = -alpha * x
    for order in winners:
        for i in range(len(order) - 1):
            left = list(order[i:])
            p = np.exp(x[left] - x[left].max())
            out[left] -= p / p.sum()
            out[order[i]] += 1
    return np.abs(out).max()


def mean_apart(alpha):
    """The exact posterior mean of the difference, whose prior has variance 2 / alpha."""
    d = np.linspace(-40, 40, 400_001)
    return np.average(d, weights=np.exp(-alpha * d * d / 4) / (1 + np.exp(-d)) ** 3)


print("choix", importlib.metadata.version("choix"))
seen = True
print("alpha   mode: choix   of variance 1/alpha   of 1/(2 alpha)   mean: choix's EP   exact")
for alpha in (0.25, 1.0, 4.0):
    first, second = choix.opt_pairwise(2, PAIRS, alpha=alpha)
    mean = choix.ep_pairwise(2, PAIRS, alpha)[0]
    found, said, other = first - second, apart(alpha), apart(2 * alpha)
    print(f"{alpha:5} {found:13.4f} {said:21.4f} {other:16.4f} {mean[0] - mean[1]:18.4f} {mean_apart(alpha):7.4f}")
    seen &= abs(found - other) < 1e-4 < 0.1 * abs(found - said)
    seen &= abs(mean[0] - mean[1] - mean_apart(alpha)) < 0.01 * mean_apart(alpha)
of_orders = choix.opt_rankings(3, ORDERS, alpha=1.0)
slopes = [slope(of_orders, ORDERS, alpha) for alpha in (1.0, 2.0)]
print(f"orders of three items: the slope at what choix finds is {slopes[0]:.4f} for variance 1, {slopes[1]:.1e} for 1/2")
sys.exit(0 if seen and slopes[0] > 0.1 and slopes[1] < 1e-4 else 1)
EOF2
"$folder/venv/bin/python" "$folder/prior.py"
