#!/usr/bin/env bash
# optax 0.2.8 (JAX 0.10.2): make_perturbed_fun takes its whole argument for one point. Given a batch, as a
# function of rows is usually called, it weighs each row's outcome with the log-density of the noise of all
# rows: the mean is right, but each row's gradient carries the noise of all others, and its error grows with
# the root of their number. With 256 rows of 4 and 1,000 samples it is nearly three times the gradient itself; under
# vmap, a key for each row, the same samples leave a seventh of it.
#
# Why it matters here: perturbed argmax is for batches of logits. Whoever compares or moves from there takes
# the error for that of the method. fastgrad's perturbed solvers score each row with its own noise.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install optax==0.2.8 jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6
cat > "$folder/rows.py" <<'EOF2'
import sys

import jax
import jax.numpy as jnp
from optax.perturbations import make_perturbed_fun

worth = jnp.arange(4.0)


def argmax(logits):
    return jax.nn.one_hot(jnp.argmax(logits, -1), 4)


perturbed = make_perturbed_fun(argmax, 1000, 1.0)  # Gumbel noise: its mean is the softmax


def whole(key, logits):
    return perturbed(key, logits) @ worth


def by_rows(key, logits):
    return jax.vmap(perturbed)(jax.random.split(key, len(logits)), logits) @ worth


def root_mean_square(x):
    return float(jnp.sqrt(jnp.mean(x**2)))


errors = {}
for rows in (1, 16, 256):
    logits = jax.random.normal(jax.random.key(1), (rows, 4))
    p = jax.nn.softmax(logits)
    exact = p * (worth - (p @ worth)[:, None])
    keys = jax.random.split(jax.random.key(0), 50)
    for name, f in (("whole batch", whole), ("vmap over rows", by_rows)):
        grad = jax.grad(lambda x, key, f=f: f(key, x).sum())
        estimates = jax.vmap(grad, (None, 0))(logits, keys)
        errors[name, rows] = root_mean_square(estimates - exact)
        bias = root_mean_square(estimates.mean(0) - exact)
        print(f"{rows:3} rows, {name}: gradient {root_mean_square(exact):.3f}, error of an estimate "
              f"{errors[name, rows]:.3f}, of the mean of {len(keys)} {bias:.3f}")
grown = errors["whole batch", 256] / errors["whole batch", 1]
flat = errors["vmap over rows", 256] / errors["vmap over rows", 1]
print(f"error of 256 rows over that of one: {grown:.1f}, under vmap {flat:.1f}")
sys.exit(0 if grown > 10 and flat < 1.5 else 1)
EOF2
"$folder/venv/bin/python" "$folder/rows.py"
