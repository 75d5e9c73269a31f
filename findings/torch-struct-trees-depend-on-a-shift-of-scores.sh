#!/usr/bin/env bash
# torch-struct 0.5 (torch 2.13.0): NonProjectiveDependencyCRF, the distribution over the trees of a sentence, adds 0.00001
# to the weight exp(score) of every arc. Adding one number to all scores changes no tree's probability; here it does:
# with scores around -10 the probabilities of the arcs of 4 words add to 3.65, around -15 to 1.17, where each word has
# one head and they must add to 4; the logarithm of the partition is too large by .4 and 8.9. In float64, too.
#
# Why it matters here: it is the reference for sums over spanning trees that people have, and log probabilities or
# unscaled scores are low for long sentences. Arcs lighter than about 0.001 are wrong in silence. Take each word's
# largest score off first (and add it to the partition): weights are at most 1 then, and errors near 0.00001.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install torch-struct==0.5 torch==2.13.0 numpy==2.4.6
cat > "$folder/trees.py" <<'EOF2'
import importlib.metadata
import itertools
import sys
import warnings

import torch

warnings.simplefilter("ignore")  # it defines no arg_constraints
from torch_struct import NonProjectiveDependencyCRF

WORDS, ROOT = 4, -1


def is_tree(heads):
    """Whether every word leads to the root, which has one child."""
    for word in range(WORDS):
        for _ in range(WORDS):
            word = heads[word] if word != ROOT else ROOT
        if word != ROOT:
            return False
    return heads.count(ROOT) == 1


def enumerated(scores):
    """The logarithm of the sum over all trees, and each arc's probability; the root's are on the diagonal."""
    trees = [heads for heads in itertools.product(range(ROOT, WORDS), repeat=WORDS) if is_tree(heads)]
    arcs = torch.zeros(len(trees), WORDS, WORDS, dtype=torch.float64)
    for arc, heads in zip(arcs, trees):
        for word, head in enumerate(heads):
            arc[word if head == ROOT else head, word] = 1
    weights = (arcs * scores).sum((1, 2))
    return weights.logsumexp(0).item(), (weights.softmax(0)[:, None, None] * arcs).sum(0)


print("torch-struct", importlib.metadata.version("torch-struct"))
torch.manual_seed(0)
scores = torch.randn(WORDS, WORDS, dtype=torch.float64)
sums, far = {}, {}
for shift in (0, -5, -10, -15):
    partition, right = enumerated(scores + shift)
    found = NonProjectiveDependencyCRF(scores[None] + shift)
    sums[shift] = found.marginals[0].sum().item()
    far[shift] = (found.marginals[0] - right).abs().max().item()
    print(
        f"scores {shift:+4d}: log partition {found.partition.item():8.3f}, right {partition:8.3f};"
        f" probabilities add to {sums[shift]:.3f}, right {right.sum().item():.3f}; largest error {far[shift]:.5f}"
    )
seen = abs(sums[0] - WORDS) < 1e-3 and abs(sums[-10] - WORDS) > 0.3 and abs(sums[-15] - WORDS) > 2 and far[0] > 1e-7
sys.exit(0 if seen else 1)
EOF2
"$folder/venv/bin/python" "$folder/trees.py"
