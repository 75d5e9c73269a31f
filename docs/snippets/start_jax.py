import jax
import jax.numpy as jnp

import fastgrad.jax as fgj


def loss(logits, weights, key):
    def f(x):  # one-hot samples, shape (S, 5, 3)
        return ((x @ weights).sum(axis=-1) - 1) ** 2

    return fgj.expectation(f, logits, key, estimator="rloo", num_samples=16).value


step = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))
logits, weights = jnp.zeros((5, 3)), jnp.arange(3.0)
for key in jax.random.split(jax.random.key(0), 200):
    value, (for_logits, for_weights) = step(logits, weights, key)
    logits, weights = logits - 0.1 * for_logits, weights - 0.01 * for_weights
print(f"loss {value:.3f}")
assert value < 0.5
