#!/usr/bin/env bash
# evo-prot-grad 0.2 (torch 2.13.0): its sampler of sequences proposes by gradients and then accepts or rejects by the
# ratio of the scores. A rejected proposal is kept all the same: the variable that should hold the old state has been
# overwritten by then. The score that is written down is the old one, though. So
# - the chains do not have the law exp(score) of the product of experts: one place under a linear expert has
#   the softmax of half the scores, as if every temperature were 2;
# - of the sequences that come back, a third carry the score of another sequence.
#
# Why it matters here: discrete MCMC by gradients is the other way to expectations over discrete variables, and a
# natural reference for them. The results look like accepted and rejected moves, and no seed shows the
# difference. Score again what comes back, and hold frequencies of one place against the softmax.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install evo-prot-grad==0.2 torch==2.13.0 numpy==2.4.6
cat > "$folder/chains.py" <<'EOF2'
import sys

import torch
from evo_prot_grad import DirectedEvolution, get_expert

LETTERS = "ACDEFGHIKLMNPQRSTVWY"


class Linear(torch.nn.Module):
    """The sum of a score for each place and letter."""

    def __init__(self, scores):
        super().__init__()
        self.scores = torch.nn.Parameter(scores)

    def forward(self, one_hot):
        return (one_hot * self.scores).sum((1, 2))


def run(model, start, chains, steps):
    expert = get_expert("onehot_downstream_regression", "attribute_value", temperature=1.0, model=model)
    evolution = DirectedEvolution([expert], chains, steps, max_mutations=-1, wt_protein=start, random_seed=3)
    variants, reported = evolution()
    return [variant.replace(" ", "") for variant in variants], torch.as_tensor(reported)


def score(model, sequences):
    index = torch.tensor([[LETTERS.index(letter) for letter in s] for s in sequences])
    return model(torch.nn.functional.one_hot(index, len(LETTERS)).float()).detach()


scores = torch.zeros(1, len(LETTERS))
scores[0, :3] = torch.tensor([1.0, 2.0, 0.5])
chains = 4_000
variants, _ = run(Linear(scores), "W", chains, 8)
share = torch.tensor([variants.count(letter) for letter in LETTERS]) / chains
right, flat = scores[0].softmax(0), (scores[0] / 2).softmax(0)
print("one place, letters A, C, D:  drawn", [round(v, 3) for v in share[:3].tolist()])
print("            softmax of the scores ", [round(v, 3) for v in right[:3].tolist()])
print("            softmax of half of them", [round(v, 3) for v in flat[:3].tolist()])

torch.manual_seed(0)
model = Linear(2 * torch.randn(4, len(LETTERS)))
start = "ACDE"
variants, reported = run(model, start, 300, 30)
real = score(model, variants) - score(model, [start])
other = ((real - reported).abs() > 1e-3).float().mean()
print(f"four places: {other:.2f} of the sequences have another score than the one that came with them")

seen = (share - flat).abs().max() < 0.03 and (share - right).abs().max() > 0.1 and 0.15 < other < 0.55
sys.exit(0 if seen else 1)
EOF2
"$folder/venv/bin/python" "$folder/chains.py"
