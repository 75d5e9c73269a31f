#!/usr/bin/env bash
# vector-quantize-pytorch 1.32.0 (torch 2.13.0), LFQ: its entropies take the logarithm of max(p, 0.00001). Where a
# codebook has more than 100,000 codes and none of them is likelier than that, the entropy of a sample and that of the
# codebook are both the constant 11.513 = log(100000), and their gradients are zero: the loss that should make samples
# certain and all codes used does nothing. With 2^18 codes, inputs near zero and inv_temperature=1 the exact entropies
# are 12.46 and 12.48. At a spread of 0.3 they are too low by 0.33 and 0.73. With 2^12 codes both are right, and at the
# default inv_temperature=100 samples are certain from the start, so that little is seen of it.
#
# Why it matters here: a code of LFQ is so many independent bits, and 2^18 is the size that it is known for. A value of
# 11.513 looks like a codebook in full use. The exact entropy of independent bits is a sum over bits, as
# fastgrad.bernoulli.entropy has it; or begin with samples that are certain.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install vector-quantize-pytorch==1.32.0 torch==2.13.0 numpy==2.4.6
cat > "$folder/entropies.py" <<'EOF2'
import sys

import torch
from vector_quantize_pytorch import LFQ

SAMPLES = 16


def exact(x):
    """The mean entropy of a sample's code, and the entropy of the mean over samples: bits are independent."""
    p = torch.sigmoid(4 * x.double())  # of the codes +1 and -1 by their squared distances
    of_bits = -(p * p.log() + (1 - p) * (1 - p).log())
    codes = torch.ones(len(x), 1, dtype=torch.float64)
    for column in p.T:
        codes = torch.cat([codes * (1 - column)[:, None], codes * column[:, None]], 1)
    mean = codes.mean(0)
    return of_bits.sum(1).mean(), -(mean * mean.log()).sum()


def length_of_gradient(value, x):
    return torch.autograd.grad(value, x, retain_graph=True)[0].norm().item()


seen = True
print("codes   spread of x   entropy of a sample, exact   of the codebook, exact   gradients by the exact ones")
for bits in (12, 16, 18):
    torch.manual_seed(0)
    quantizer = LFQ(dim=bits, codebook_size=2**bits)
    draws = torch.randn(SAMPLES, bits)
    for spread in (0.02, 0.3):
        x = (spread * draws).requires_grad_()
        _, parts = quantizer(x[None], inv_temperature=1.0, return_loss_breakdown=True)
        found = [parts.per_sample_entropy, parts.batch_entropy]
        wanted = exact(x)
        shares = [length_of_gradient(f, x) / length_of_gradient(w, x) for f, w in zip(found, wanted)]
        (sample, codebook), (sample_exact, codebook_exact) = ([v.item() for v in pair] for pair in (found, wanted))
        print(f"2^{bits} {spread:10} {sample:17.3f} {sample_exact:12.3f} {codebook:16.3f} {codebook_exact:9.3f} ", end="")
        print(f"{shares[0]:16.5f} {shares[1]:9.5f}")
        errors = sample_exact - sample, codebook_exact - codebook
        if bits == 12:
            seen &= max(map(abs, errors)) < 0.02 and all(abs(share - 1) < 0.02 for share in shares)
        if bits == 18:
            seen &= min(errors) > 0.3
            seen &= spread > 0.1 or (max(shares) < 1e-3 and max(abs(v - 11.5129) for v in (sample, codebook)) < 1e-3)
sys.exit(0 if seen else 1)
EOF2
"$folder/venv/bin/python" "$folder/entropies.py"
