#!/usr/bin/env bash
# mallows-models 0.1.0 (numpy 1.23.5), mallows_hamming: sample draws how many places differ from the centre, and then
# sends these places round in one cycle. Orders whose changed places fall into two cycles or more are never drawn,
# while prob, in the same file, gives them what the formula does: of four items, the three double swaps have
# 0.029 each and never come up, and the six cycles of four come up half again as often as prob says. At
# six changed places more than half of the orders that belong there never come. Its Kendall's tau sampler is right.
#
# Why it matters here: such samples are data for models of orders, and references for gradients through them. The law of
# the distance is right, which is what one looks at; expectations of anything else are off. Count whole orders of
# four items against the probabilities, or draw a permutation until no place stays.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install mallows-models==0.1.0 numpy==1.23.5 scipy==1.10.1
cat > "$folder/orders.py" <<'EOF2'
import importlib.metadata
import itertools
import sys
from collections import Counter

import mallows_models
import numpy as np

sys.path.insert(0, mallows_models.__path__[0])  # its modules import each other by their bare names
import mallows_hamming
import mallows_kendall

ITEMS, DRAWS, THETA = 4, 40_000, 0.3
CENTRE = np.arange(ITEMS)
ORDERS = [np.array(order) for order in itertools.permutations(range(ITEMS))]


def frequencies(sampler):
    np.random.seed(0)
    counts = Counter(map(tuple, sampler.sample(DRAWS, ITEMS, theta=THETA).astype(int)))
    return np.array([counts[tuple(order)] / DRAWS for order in ORDERS])


def is_double_swap(order):
    return np.all(order != CENTRE) and np.array_equal(order[order], CENTRE)


print("mallows-models", importlib.metadata.version("mallows-models"))
found = frequencies(mallows_hamming)
wanted = np.array([mallows_hamming.prob(order, CENTRE, theta=THETA) for order in ORDERS])
distance = np.array([mallows_hamming.distance(order, CENTRE) for order in ORDERS])
double = np.array([is_double_swap(order) for order in ORDERS])
cycle = (distance == ITEMS) & ~double
print(f"prob adds to {wanted.sum():.3f}")
for name, chosen in {"three double swaps": double, "six cycles of four": cycle, "all others": distance < ITEMS}.items():
    print(f"{name}: prob {wanted[chosen].sum():.3f}, drawn {found[chosen].sum():.3f}")
far = [mallows_hamming.sample_at_dist(6, 6) for _ in range(5000)]
print("six changed places:", len(set(map(tuple, far))), "of 265 orders in 5000 draws")

weights = np.exp([-THETA * mallows_kendall.distance(order) for order in ORDERS])
kendall = np.abs(frequencies(mallows_kendall) - weights / weights.sum()).max()
print(f"Kendall's tau: no frequency is off by more than {kendall:.4f}")
laws = all(abs(found[distance == d].sum() - wanted[distance == d].sum()) < 0.01 for d in range(ITEMS + 1))
never = found[double].sum() == 0 and found[cycle].sum() > 1.4 * wanted[cycle].sum()
sys.exit(0 if laws and never and kendall < 0.01 and len(set(map(tuple, far))) == 120 else 1)
EOF2
"$folder/venv/bin/python" "$folder/orders.py"
