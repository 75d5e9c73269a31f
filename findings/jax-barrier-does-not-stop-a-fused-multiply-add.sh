#!/usr/bin/env bash
# jax 0.10.2 (CPU): `lax.optimization_barrier` between a product and a sum does not keep XLA from
# making one fused multiply-add of them under jit. The sum is then rounded once instead of twice, and
# differs in its last bit from the same two operations called one by one, and from NumPy's.
#
# Why it matters here: who wants the same bits from a traced function as from NumPy, to compare seeded
# results across frameworks, reaches for the barrier, and finds a difference in a fifth of all
# numbers. Here such steps are calls into compiled code, or callbacks to NumPy.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6
cd "$folder"
JAX_PLATFORMS=cpu "$folder/venv/bin/python" - <<'EOF'
import jax
import numpy as np

a, b, c = np.random.default_rng(0).normal(size=(3, 100_000)).astype(np.float32)


@jax.jit
def apart(a, b, c):
    return a + jax.lax.optimization_barrier(b * c)


twice = a + b * c
once = (a.astype(np.float64) + b.astype(np.float64) * c).astype(np.float32)
found = np.asarray(apart(a, b, c))
differ, fused = (found != twice).mean(), (found == once).mean()
print(f"rounded twice, as NumPy does: all but {differ:.2%}; rounded once: {fused:.2%}")
assert differ > 0.001, "the barrier keeps the two operations apart now"
assert fused > 0.999
EOF
