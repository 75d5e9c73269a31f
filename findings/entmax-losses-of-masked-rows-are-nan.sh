#!/usr/bin/env bash
# entmax 1.3 (torch 2.13.0): a class that is masked by a logit of -inf has probability 0 in sparsemax and
# entmax15, and their gradients are right. The losses of the same rows are NaN in all four functions, while
# their gradients are finite and right; budget_bisect is NaN in its value as well.
#
# Why it matters here: -inf is how masks are written. Training goes on well, and what is logged, compared or
# watched for divergence is NaN. fastgrad's Fenchel-Young losses give the value of the row without the class.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install entmax==1.3 torch==2.13.0 numpy==2.4.6
cat > "$folder/masked.py" <<'EOF2'
import sys

import entmax
import torch

masked = torch.tensor([[1.0, 0.5, -0.3, -torch.inf]], requires_grad=True)
without = torch.tensor([[1.0, 0.5, -0.3]], requires_grad=True)
target = torch.tensor([0])
seen = True
for name in ("sparsemax", "entmax15"):
    values = [getattr(entmax, name)(x, dim=-1)[0, :3] for x in (masked, without)]
    seen &= torch.allclose(*values)
    print(name, "of the masked row:", values[0].tolist())
for name in ("sparsemax_loss", "entmax15_loss", "sparsemax_bisect_loss", "entmax_bisect_loss"):
    losses = [getattr(entmax, name)(x, target).sum() for x in (masked, without)]
    grads = [torch.autograd.grad(loss, x)[0][0, :3] for loss, x in zip(losses, (masked, without))]
    print(f"{name}: {losses[0].item()}, without the class {losses[1].item():.4f};",
          "same gradient" if torch.allclose(*grads) else "other gradient")
    seen &= bool(losses[0].isnan()) and bool(losses[1].isfinite()) and torch.allclose(*grads)
budget = entmax.budget_bisect(masked, budget=2)
print("budget_bisect:", budget.tolist())
sys.exit(0 if seen and budget.isnan().all() else 1)
EOF2
"$folder/venv/bin/python" "$folder/masked.py"
