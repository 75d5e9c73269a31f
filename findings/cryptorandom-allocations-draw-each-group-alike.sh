#!/usr/bin/env bash
# cryptorandom 0.4, random_allocation with an integer as prng: starts the generator again for each group. With
# replacement, groups of one size are equal to the last item; without, groups of one of three items never come in the
# order 1, 0, 2, and three of the other five are two to three times as frequent as the last two. A generator object,
# SHA256(seed), is right: all six orders are equally frequent.
#
# Why it matters here: groups are taken as independent samples, for permutation tests and for the variance of an
# estimator over repetitions, which is exactly 0 here. Pass the object, not the seed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install cryptorandom==0.4 numpy==2.4.6 scipy==1.17.1
cat > "$folder/groups.py" <<'EOF2'
import importlib.metadata
import sys
from collections import Counter
from itertools import permutations

import numpy as np
from cryptorandom.cryptorandom import SHA256
from cryptorandom.sample import random_allocation
from scipy.stats import chi2

SEEDS = 600
LIMIT = chi2.ppf(0.999, 5)

print("cryptorandom", importlib.metadata.version("cryptorandom"))
seen = True
for kind, make in (("a seed", int), ("a generator", SHA256)):
    groups = [random_allocation(1000, [50, 50, 50], replace=True, prng=make(seed)) for seed in range(5)]
    equal = [bool(np.array_equal(a, b) and np.array_equal(b, c)) for a, b, c in groups]
    counts = Counter(tuple(int(g[0]) for g in random_allocation(3, [1, 1, 1], prng=make(s))) for s in range(SEEDS))
    frequencies = [counts[order] for order in permutations(range(3))]
    mean = SEEDS / 6
    score = sum((f - mean) ** 2 for f in frequencies) / mean
    print(f"{kind}: three groups with replacement equal {equal}")
    print(f"    orders of three items {frequencies}, chi-square {score:.1f}, of uniform ones {LIMIT:.1f} once in 1000")
    seeded = make is int
    seen &= equal == [seeded] * 5 and (counts[1, 0, 2] == 0) == seeded and (score > LIMIT) == seeded
sys.exit(0 if seen else 1)
EOF2
"$folder/venv/bin/python" "$folder/groups.py"
