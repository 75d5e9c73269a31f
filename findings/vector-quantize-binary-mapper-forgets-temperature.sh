#!/usr/bin/env bash
# vector-quantize-pytorch 1.32.0 (torch 2.13.0), BinaryMapper: its bits are drawn with the logits divided by the
# temperature, while the soft code that the straight-through gradient goes by, and log_prob, take the logits as they
# are. For a function that is linear in the code, for which straight-through is exact, the gradient is that of
# temperature 1 whatever the temperature is: at 0.2 five times too large for one of two bits, and of the
# right size for the other by chance. At temperature 1 all is right.
#
# Why it matters here: cooling is what such relaxations are used with, and straight-through gradients are compared with
# each other at equal temperatures. The values follow the temperature, which hides that the gradients do not. Divide
# the logits yourself and leave temperature at 1: then all three agree.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install vector-quantize-pytorch==1.32.0 torch==2.13.0 numpy==2.4.6
cat > "$folder/mapper.py" <<'EOF2'
import sys

import torch
from vector_quantize_pytorch.binary_mapper import BinaryMapper

DRAWS = 100_000
f = torch.tensor([0.0, 1.0, 2.0, 5.0])  # of the codes 00, 10, 01, 11, bits in the order of the logits


def drawn(logits, temperature):
    leaf = logits.clone().requires_grad_()
    code, _ = mapper(leaf.expand(DRAWS, 2), temperature=temperature)
    value = (code @ f).mean()
    return value.item(), torch.autograd.grad(value, leaf)[0]


def exact(logits, temperature):
    leaf = logits.clone().requires_grad_()
    on = (leaf / temperature).sigmoid()
    first, second = torch.stack([1 - on[0], on[0]]), torch.stack([1 - on[1], on[1]])
    value = torch.outer(second, first).flatten() @ f
    return value.item(), torch.autograd.grad(value, leaf)[0]


torch.manual_seed(0)
mapper = BinaryMapper(bits=2)
logits = torch.tensor([0.5, -1.0])
at_one = exact(logits, 1.0)[1]
seen = True
print("temperature   value drawn, exact   gradient drawn        exact                 logits divided before")
for temperature in (2.0, 1.0, 0.5, 0.2):
    value, grad = drawn(logits, temperature)
    true_value, true_grad = exact(logits, temperature)
    divided = drawn(logits / temperature, 1.0)[1] / temperature
    texts = ["({:7.4f}, {:7.4f})".format(*g.tolist()) for g in (grad, true_grad, divided)]
    print(f"{temperature:11.1f}   {value:11.3f}, {true_value:5.3f}   " + "    ".join(texts))
    seen &= abs(value - true_value) < 0.03 and torch.allclose(grad, at_one, atol=1e-4)
    seen &= torch.allclose(divided, true_grad, atol=1e-4)
    seen &= temperature == 1 or (grad - true_grad).abs().max() > 0.05
sys.exit(0 if seen else 1)
EOF2
"$folder/venv/bin/python" "$folder/mapper.py"
