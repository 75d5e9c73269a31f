#!/usr/bin/env bash
# Numba 0.68.1 beside torch 2.13.0, on Linux with a libgomp: the first parallel call of a Numba function on the
# layer "omp" sets the number of threads that torch uses to Numba's, whatever `torch.set_num_threads` was told:
# from 1 to 2, or from 2 to 1. It happens once; a number set afterwards stays. The layer "workqueue" leaves it.
#
# Why it matters here: workers that load data, and benchmarks, hold torch to one thread and call NumPy code
# compiled by Numba; from then on they use all cores, or torch's own half of a comparison runs on one. fastgrad
# puts the number back when it starts its threads. With kernels of yours, set it after the first parallel call.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install numba==0.68.1 torch==2.13.0 numpy==2.4.6
cat > "$folder/threads_of_both.py" <<'EOF'
import os
import sys

layer, of_torch, of_numba = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
os.environ |= {"NUMBA_THREADING_LAYER": layer, "NUMBA_NUM_THREADS": str(of_numba)}

import numba
import numpy as np
import torch


@numba.njit(parallel=True)
def double(x):
    for i in numba.prange(x.size):
        x[i] *= 2


torch.set_num_threads(of_torch)
found = [torch.get_num_threads()]
for _ in range(2):
    double(np.ones(1000))
    found.append(torch.get_num_threads())
    torch.set_num_threads(of_torch)
print(f"{numba.threading_layer()}, Numba's {of_numba}: torch had {found[0]}, after a call {found[1]}, "
      f"set again and after another {found[2]}")
sys.exit(0 if found == [of_torch, of_numba if layer == "omp" else of_torch, of_torch] else 1)
EOF
for numbers in "omp 1 2" "omp 2 1" "workqueue 1 2"; do
    # shellcheck disable=SC2086
    "$folder/venv/bin/python" "$folder/threads_of_both.py" $numbers
done
