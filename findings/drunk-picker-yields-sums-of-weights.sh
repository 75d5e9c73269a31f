#!/usr/bin/env bash
# drunk 0.4, static_picker: promised to do what choice does, faster. It yields the sum of the weights up to the element
# that it drew, not the element: of 5, 6 and 7 with weights 1, 2 and 7 come 1, 3 and 10. In the documented example,
# 1, 2, 3 of equal weights, the two happen to be the same. choice is right.
#
# Why it matters here: with numbered categories, as the index of a class is, the result looks like a draw and is one of
# other categories. Use choice, or numpy's Generator.choice.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install drunk==0.4
cat > "$folder/picker.py" <<'EOF2'
import random
import sys
from collections import Counter
from itertools import islice

import drunk

DRAWS = 10_000
WEIGHTS = {5: 1, 6: 2, 7: 7}

random.seed(0)
picked = Counter(islice(drunk.static_picker(list(WEIGHTS), WEIGHTS.get), DRAWS))
chosen = Counter(drunk.choice(list(WEIGHTS), WEIGHTS.get) for _ in range(DRAWS))
print("elements and weights", WEIGHTS)
print("static_picker", sorted(picked.items()))
print("choice", sorted(chosen.items()))
seen = sorted(picked) == [1, 3, 10] and sorted(chosen) == [5, 6, 7]
for element, total in zip(WEIGHTS, (1, 3, 10), strict=True):
    # Five standard deviations, at most 250 of 10 000.
    seen &= abs(picked[total] - WEIGHTS[element] * DRAWS / 10) < 250 > abs(chosen[element] - WEIGHTS[element] * DRAWS / 10)
seen &= set(islice(drunk.static_picker([1, 2, 3]), 100)) == {1, 2, 3}
sys.exit(0 if seen else 1)
EOF2
"$folder/venv/bin/python" "$folder/picker.py"
