#!/usr/bin/env bash
# sparsemax 0.1.9 (torch 2.13.0): Sparsemax(dim=0) of a matrix is the sparsemax of its rows, as with dim=1, and so is
# its gradient: dim is used for three axes and more only. Each row sums to 1 and the columns do not. The same numbers
# with a third axis of length 1 are right.
#
# Why it matters here: a matrix of scores over its first axis is what attention, assignments and stacks of samples
# have. Shapes are right, all is finite, and the result is a distribution, over the other axis. Pass the transposed
# matrix; entmax 1.3 does as dim says.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install sparsemax==0.1.9 entmax==1.3 torch==2.13.0 numpy==2.4.6
cat > "$folder/axes.py" <<'EOF2'
import importlib.metadata
import sys

import entmax
import torch
from sparsemax import Sparsemax

print("sparsemax", importlib.metadata.version("sparsemax"))
scores = torch.tensor([[0.1, 0.9, 0.3, 0.2], [0.8, 0.4, 0.6, 0.7]], dtype=torch.float64, requires_grad=True)
weights = torch.arange(8.0, dtype=torch.float64).reshape(2, 4) ** 2


def of(function):
    """Value and gradient of a weighted sum."""
    value = function(scores)
    (gradient,) = torch.autograd.grad((weights * value).sum(), scores)
    return torch.stack((value.detach(), gradient))


columns = of(lambda x: entmax.sparsemax(x, dim=0))
rows = of(Sparsemax(dim=1))
asked = of(Sparsemax(dim=0))
negative = of(Sparsemax(dim=-2))
third = of(lambda x: Sparsemax(dim=0)(x[:, :, None])[:, :, 0])
for name, (value, _) in {"dim=0": asked, "entmax, dim=0": columns, "dim=1": rows, "third axis": third}.items():
    print(f"{name:14}", value.round(decimals=3).tolist(), "sums of columns", value.sum(0).round(decimals=2).tolist())
seen = torch.allclose(asked, rows) and torch.allclose(negative, rows) and torch.allclose(third, columns)
sys.exit(0 if seen and not torch.allclose(rows, columns) else 1)
EOF2
"$folder/venv/bin/python" "$folder/axes.py"
