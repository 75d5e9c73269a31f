#!/usr/bin/env bash
# pyepo 2.2.7 (torch 2.13.0), adaptiveImplicitMLE: the step of the finite difference, alpha * |cost| / |gradient|, is
# said to follow how sparse the gradients are, and in the paper and its authors' code does: alpha rises while a sample
# has less than one entry on average that is not zero, and falls when it has more. Here the measure is the share of
# such entries in the mean over all samples, which is at most 1, and the target is 1 as well. So alpha rises by
# 0.001 in every backward pass but those after which hardly an entry has been zero for long: it is 1 + steps / 1000,
# for one sample and for thirty.
#
# Why it matters here: adaptive I-MLE is a usual rival of perturbed optimisers. With a step that grows without end the
# estimate compares ever farther points, tells less and less of the slope and shrinks as 1 / alpha: a learning rate
# that falls. fastgrad.perturbed.aimle_vjp adapts its strength both ways; compare at an equal, fixed step.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install pyepo==2.2.7 torch==2.13.0 numpy==2.4.6
cat > "$folder/alpha.py" <<'EOF2'
import sys

import numpy as np
import torch
from pyepo.func import adaptiveImplicitMLE
from pyepo.model.opt import optModel

STEPS = 500


class Cheapest(optModel):
    """The `k` cheapest of `n` items."""

    def __init__(self, n, k):
        self.n, self.k = n, k
        super().__init__()

    def _getModel(self):
        return None, list(range(self.n))

    def setObj(self, c):
        self.costs = np.asarray(c, dtype=float)

    def solve(self):
        chosen = np.argsort(self.costs)[: self.k]
        solution = np.zeros(self.n)
        solution[chosen] = 1
        return solution, self.costs[chosen].sum()


seen = True
wanted = torch.tensor([[1.0, 1, 0, 0, 0, 0]])
print("samples  entries of a gradient not zero, of 6   alpha at first, at the end   steps that lowered it")
for samples in (1, 5, 30):
    solver = adaptiveImplicitMLE(Cheapest(6, 2), n_samples=samples)
    entries, alphas = [], [solver.alpha]
    for _ in range(STEPS):
        costs = torch.tensor([[0.3, -0.2, 0.1, 0.5, -0.4, 0.2]], requires_grad=True)
        ((solver(costs) - wanted) ** 2).sum().backward()
        entries.append(int((costs.grad.abs() > 1e-7).sum()))
        alphas.append(solver.alpha)
    changes = np.diff(alphas)
    print(f"{samples:7d}  {np.mean(entries):38.2f}   {alphas[0]:14.3f}, {alphas[-1]:10.3f}   {(changes < 0).sum():21d}")
    seen &= np.mean(entries) > 1.5 and (changes > 0).mean() > 0.98
sys.exit(0 if seen else 1)
EOF2
"$folder/venv/bin/python" "$folder/alpha.py"
