#!/usr/bin/env bash
# relaxit 1.2.1 (torch 2.13.0, pyro-ppl 1.9.2), three of its relaxations are not those that they name:
# - HardConcrete and RebarRelaxation draw one uniform for a whole tensor of parameters, so that gates
#   with equal parameters are all open or all shut together (batch_shape says that they are separate);
# - GumbelSoftmaxTopK perturbs the probabilities in place of their logarithms: a class of probability
#   0.9 among four is the first choice in 0.44 of draws;
# - InvertibleGaussian.log_prob belongs to a density whose integral over the simplex is about 9.
# Samples have the right ranges, sums and (of one gate) frequencies, and nothing tells of it.
#
# Why it matters here: fastgrad's hard concrete gates, top-k subsets and densities get compared with
# these. Correlation between entries, and integrals, must be looked at; one entry's mean shows nothing.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install relaxit==1.2.1 torch==2.13.0 pyro-ppl==1.9.2 numpy==2.4.6
cat > "$folder/look.py" <<'EOF2'
import sys

import torch
from relaxit.distributions import (
    GumbelSoftmaxTopK,
    HardConcrete,
    InvertibleGaussian,
    RebarRelaxation,
)

DRAWS = 20_000
torch.manual_seed(0)
half, two = torch.full((2,), 0.5), torch.ones(2)

gates = HardConcrete(two, 0.66 * two, torch.tensor(1.1), torch.tensor(-0.1)).sample((DRAWS,))
both = (gates == 0).all(-1).float().mean()
each = (gates == 0).float().mean()
print(f"hard concrete: one of two gates shut {each:.3f}, both {both:.3f}, squared {each**2:.3f}")

relaxed = RebarRelaxation(half, torch.tensor(0.5)).sample((DRAWS, 1))
moved = (relaxed[:, 0] - relaxed[:, 1]).abs().max()
print(f"REBAR's relaxation: shape {tuple(relaxed.shape)}, entries differ by at most {moved:.1g}")

chances = torch.tensor([0.9, 0.05, 0.03, 0.02])
top = GumbelSoftmaxTopK(probs=chances, K=torch.tensor(1), tau=torch.tensor(1.0))
first = torch.stack([top.sample() for _ in range(DRAWS)])[:, 0].mean()
odd = chances.softmax(0)[0]
print(f"top 1 of 4: first class chosen {first:.3f}, probability {chances[0]:.3f}, softmax of it {odd:.3f}")

gaussian = InvertibleGaussian(torch.zeros(1), torch.ones(1), torch.tensor(1.0))
x = torch.linspace(1e-5, 1 - 1e-5, 400_001, dtype=torch.float64)
total = torch.trapezoid(gaussian.log_prob(torch.stack([x, 1 - x], -1))[:, 0].exp(), x)
normal = torch.distributions.Normal(0.0, 1.0).log_prob((x / (1 - x)).log()) - (x * (1 - x)).log()
print(f"invertible Gaussian: integral {total:.2f}, of the logit-normal density {torch.trapezoid(normal.exp(), x):.3f}")

seen = abs(both - each) < 1e-9 and abs(both - each**2) > 0.1
seen &= bool(moved == 0) and abs(first - odd) < 0.02 and 8 < total < 10
sys.exit(0 if seen else 1)
EOF2
"$folder/venv/bin/python" "$folder/look.py"
