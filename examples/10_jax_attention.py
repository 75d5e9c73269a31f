"""Hard attention in JAX: a model that looks at one of several items, trained under jit with optax.

Each of 12 items has a mark and a value; the target is the value of the item that is marked. The
model scores the items, looks at one that it draws, and predicts from this one alone. REBAR gives
the gradient of the scores, JAX that of the reader; both come from one call of jax.grad.
"""

from matplotlib.figure import Figure  # pip install fastgrad[plot]

try:
    import jax
    import jax.numpy as jnp
    import optax

    import fastgrad.jax
except ImportError:
    raise SystemExit(print("this is for users of JAX: pip install fastgrad[jax] optax")) from None

ITEMS, WIDTH, BATCH, STEPS, OPTIMIZER = 12, 8, 64, 400, optax.adam(0.03)


def batch_of(key):
    """Draw items (BATCH, ITEMS, WIDTH), of which one is marked, and targets (BATCH,)."""
    for_items, for_mark = jax.random.split(key)
    items = jax.random.normal(for_items, (BATCH, ITEMS, WIDTH))
    marked = jax.random.randint(for_mark, (BATCH,), 0, ITEMS)
    marks = jax.nn.one_hot(marked, ITEMS)
    items = items.at[..., 0].set(3 * marks + 0.5 * items[..., 0])
    return items, (marks * items[..., 1]).sum(axis=-1), marked


def loss(params, items, target, key, state):
    """Return the mean loss as an expectation over where the model looks."""
    scores = items @ params["score"]

    def f(x):  # (S, BATCH, ITEMS), one-hot or relaxed -> a loss for each example
        seen = jnp.einsum("sbi,biw->sbw", x, items)
        return (seen @ params["read"] + params["bias"] - target) ** 2

    value, state = fastgrad.jax.expectation(f, scores, key, num_samples=4, state=state)
    return value.mean(), state


@jax.jit
def train(params, key):
    """Run all steps as one program."""
    scores = jnp.zeros((BATCH, ITEMS))
    start = fastgrad.jax.initial_state(lambda x: x[..., 0], scores, num_samples=4)

    def step(carry, key):
        params, memory, state = carry
        for_batch, for_loss = jax.random.split(key)
        items, target, _ = batch_of(for_batch)
        slope = jax.value_and_grad(loss, has_aux=True)
        (value, state), grads = slope(params, items, target, for_loss, state)
        updates, memory = OPTIMIZER.update(grads, memory)
        return (optax.apply_updates(params, updates), memory, state), value

    start = params, OPTIMIZER.init(params), start
    (params, _, _), values = jax.lax.scan(step, start, jax.random.split(key, STEPS))
    return params, values


params = {"score": jnp.zeros(WIDTH), "read": jnp.full(WIDTH, 0.1), "bias": jnp.zeros(())}
params, losses = train(params, jax.random.key(0))
items, _, marked = batch_of(jax.random.key(1))
chance = jax.nn.softmax(items @ params["score"])
found = (chance.argmax(axis=-1) == marked).mean()
print(f"loss of the first steps {losses[:20].mean():.2f}, of the last {losses[-20:].mean():.3f}")
print(f"the likeliest item is the marked one in {found:.0%} of new examples")
assert found > 0.9
figure = Figure(figsize=(9, 3.5), layout="constrained")
left, right = figure.subplots(1, 2)
left.semilogy(losses)
left.set(title="loss", xlabel="step")
right.imshow(chance[:24], cmap="gray_r", vmin=0, vmax=1, aspect="auto")
right.plot(marked[:24], range(24), "s", c="C1", fillstyle="none")
right.set(title="where it looks, and the mark", xlabel="item", ylabel="example")
figure.savefig("10_jax_attention.png", dpi=100)
