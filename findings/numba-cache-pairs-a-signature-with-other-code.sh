#!/usr/bin/env bash
# numba 0.68.1 (cache=True): two processes that compile one function for two types at the same moment,
# with the same empty cache folder, can leave an index in which one type's entry names the file that
# holds the other type's machine code. Saving takes the first free file number, writes the index, then
# the data, without a lock: both processes pick the same number, and the last index and the last data
# may be of different processes. Every later process loads that entry without a look at the signature
# inside: a call then raises a TypeError about unboxing, or, where both types have the same width,
# returns numbers that are wrong.
#
# Why it matters here: worker pools, pytest-xdist and clusters start with an empty cache all the time.
# This project names its data by their key and checks what it loads; one with plain cache=True should
# warm the cache in one process first, or give each worker a NUMBA_CACHE_DIR of its own.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install numba==0.68.1 numpy==2.4.6
cd "$folder"
cat > total.py <<'EOF'
import numba


@numba.njit
def total(x):
    s = x[0]
    for i in range(1, x.size):
        s += x[i]
    return s
EOF
cat > pairs.py <<'EOF'
import os
import shutil
import sys

import numba
import numpy as np
from numba.core.caching import FunctionCache
from total import total

PAIRS = 600
arrays = [np.ones(4, np.float32), np.ones(4, np.int32)]
signatures = [(numba.typeof(x),) for x in arrays]
for signature in signatures:
    total.compile(signature)
context = total.targetctx
wrong = 0
for pair in range(PAIRS):
    os.environ["NUMBA_CACHE_DIR"] = numba.config.CACHE_DIR = f"cache{pair}"
    begin, go = os.pipe()
    children = []
    for signature in signatures:
        child = os.fork()
        if child == 0:
            os.close(go)
            cache = FunctionCache(total.py_func)
            os.read(begin, 1)  # until the parent lets both go
            cache.save_overload(signature, total.overloads[signature])
            os._exit(0)
        children.append(child)
    os.close(begin)
    os.close(go)
    for child in children:
        os.waitpid(child, 0)
    cache = FunctionCache(total.py_func)
    for signature in signatures:
        loaded = cache.load_overload(signature, context)
        wrong += loaded is not None and loaded.signature.args != signature
    shutil.rmtree(f"cache{pair}")
print(f"numba {numba.__version__}: {wrong} of {PAIRS} pairs left an entry with the other type's code")
sys.exit(0 if wrong else 1)
EOF
venv/bin/python pairs.py
