#!/usr/bin/env bash
# omnibias-graph 0.1.0a2 (torch 2.13.0), soft_top_k: promises memberships between 0 and 1, the relaxed probability that
# an item is among the k largest. It adds k rows of SoftSort, and only the rows of that add to 1: what an item gets
# out of them is not bounded by 1, and does not fall with its score. Of seven scores with k=6 four items get more than
# 1, up to 1.13, and the best gets 0.77, less than five others. With k=n, where all are members, it is not 1 either.
# The sum is k, and at a low temperature it is the hard choice.
#
# Why it matters here: memberships are fed on as probabilities or weights. Nobody sees 1.13 there, but log(1 - m) is
# NaN, and the middle counts for more than the top. Marginals of a distribution over subsets, as
# fastgrad.subset.marginals has them, are between 0 and 1 and in the order of the scores.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install --no-deps omnibias-graph==0.1.0a2
"$folder/venv/bin/pip" -q install torch==2.13.0 numpy==2.4.6
cat > "$folder/members.py" <<'EOF2'
import importlib.metadata
import sys

import torch
from omnibias.graph.torch.ops.relaxation import soft_sort_permutation, soft_top_k

SCORES = torch.tensor([1.5, 0.54, 0.44, 0.4, 0.07, -0.63, -3.5], dtype=torch.float64)


def shown(x):
    return [round(v, 3) for v in x.tolist()]


print("omnibias-graph", importlib.metadata.version("omnibias-graph"))
rows = soft_sort_permutation(SCORES)
print("rows of SoftSort add to", shown(rows.sum(1)), "its columns to", shown(rows.sum(0)))
members = soft_top_k(SCORES, 6)
print("scores    ", shown(SCORES))
print("6 of 7    ", shown(members), "sum", round(members.sum().item(), 6))
print("7 of 7    ", shown(soft_top_k(SCORES, 7)))
hard = soft_top_k(SCORES, 6, temperature=1e-3)
print("6 of 7, temperature 0.001:", shown(hard))
three = soft_top_k(SCORES.new_tensor([2, 1, 0]), 3)
print("3 of 3, scores 2, 1 and 0:", shown(three))

beyond = (members > 1).sum().item()
rank = (members > members[0]).sum().item() + 1
print(beyond, "memberships above 1; the best item has the place", rank)
promised = torch.allclose(members.sum(), members.new_tensor(6.0)) and torch.allclose(hard, (SCORES > -3).double())
seen = beyond == 4 and rank == 6 and members.max() > 1.1 and (three - 1).abs().max() > 0.06
sys.exit(0 if promised and seen else 1)
EOF2
"$folder/venv/bin/python" "$folder/members.py"
