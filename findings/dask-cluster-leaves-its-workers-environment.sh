#!/usr/bin/env bash
# distributed 2026.8.0: a LocalCluster of processes sets variables for its workers in the environment of
# the process that starts it, and leaves them there when it is closed: OMP_NUM_THREADS=1 and the same for
# MKL and OpenBLAS, and MALLOC_TRIM_THRESHOLD_=65536 for glibc.
#
# Why it matters here: whatever that process starts afterwards, a training script or a pool of its own,
# has one OpenMP thread, and gives memory of every step back to the system and takes it anew; that is
# slower by the time of filling new pages, and nothing says why.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install distributed==2026.8.0 dask==2026.8.0
cat > "$folder/left.py" <<'EOF'
import os
import sys

import distributed

NAMES = ("OMP_NUM_THREADS", "MALLOC_TRIM_THRESHOLD_")

if __name__ == "__main__":
    for name in NAMES:
        os.environ.pop(name, None)
    how = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(processes=True, **how) as cluster:
        with distributed.Client(cluster) as client:
            assert client.submit(sum, [1, 2]).result() == 3
    left = {name: os.environ.get(name) for name in NAMES}
    print(f"distributed {distributed.__version__}, after the cluster is closed: {left}")
    sys.exit(0 if left == {"OMP_NUM_THREADS": "1", "MALLOC_TRIM_THRESHOLD_": "65536"} else 1)
EOF
"$folder/venv/bin/python" "$folder/left.py"
