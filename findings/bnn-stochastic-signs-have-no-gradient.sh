#!/usr/bin/env bash
# bnn 0.1.2 (torch 2.13.0), StochasticInputBinarizer: draws its signs in the place of its input, and looks for the inputs
# between -1 and 1, through which the gradient is to pass, only then: it finds signs, and the gradient is 0
# everywhere. The input itself is gone, too. BasicInputBinarizer passes the gradient of all inputs between -1 and 1.
# In prepare_binary_model, ignore_layers_name=["_first_"] leaves out the last layer, and "_last_" the first.
#
# Why it matters here: such a layer is the usual baseline for estimators of binary gates. Nothing below it learns,
# and nothing says so. Write x.clone() before it and your own backward pass, and name layers by their own names.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install bnn==0.1.2 torch==2.13.0 numpy==2.4.6
cat > "$folder/signs.py" <<'EOF2'
import importlib.metadata
import sys

import torch
from bnn import BConfig, prepare_binary_model
from bnn.ops import BasicInputBinarizer, StochasticInputBinarizer

print("bnn", importlib.metadata.version("bnn"))
leaf = torch.linspace(-1.5, 1.5, 3001, requires_grad=True)
between = int((leaf.abs() < 1).sum())
seen = True
for binarizer in (BasicInputBinarizer(), StochasticInputBinarizer()):
    torch.manual_seed(0)
    x = leaf * 1.0
    before = x.detach().clone()
    out = binarizer(x)
    (gradient,) = torch.autograd.grad(out.sum(), leaf)
    passed, kept = int(gradient.sum()), bool((x == before).all())
    print(f"{type(binarizer).__name__}: gradient of {passed} of {between} inputs, input kept: {kept}")
    stochastic = isinstance(binarizer, StochasticInputBinarizer)
    seen &= set(out.tolist()) <= {-1.0, 0.0, 1.0}
    seen &= passed == (0 if stochastic else between) and kept == (not stochastic)

for name, other in (("_first_", "last"), ("_last_", "first")):
    net = torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.Linear(5, 6), torch.nn.Linear(6, 2))
    config = BConfig(activation_pre_process=BasicInputBinarizer)
    binary = prepare_binary_model(net, config, ignore_layers_name=[name])
    left = [i for i, layer in enumerate(binary) if type(layer) is torch.nn.Linear]
    print(f'ignore_layers_name=["{name}"] leaves layer {left} of 0, 1, 2')
    seen &= left == ([2] if other == "last" else [0])
sys.exit(0 if seen else 1)
EOF2
"$folder/venv/bin/python" "$folder/signs.py"
