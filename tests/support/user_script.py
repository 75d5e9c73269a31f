"""What a user's own script looks like to a type checker in strict mode: see `test_typing`."""

import numpy as np
import numpy.typing as npt

import fastgrad as fg

Floats = npt.NDArray[np.float32]


def f(x: Floats) -> Floats:
    return (x[..., 0] ** 2).sum(axis=-1)


def grad(x: Floats) -> Floats:
    slope = np.zeros_like(x)
    slope[..., 0] = 2 * x[..., 0]
    return slope


def main() -> None:
    key = fg.Key(0)
    logits = np.zeros((20, 4), np.float32)
    z = fg.sample(logits, num_samples=3, rng=key)
    soft = fg.gumbel_softmax(logits, temperature=0.5, rng=key.fold_in(1))
    both = fg.relax(logits, temperature=0.5, num_samples=2, rng=1)
    shapes = [z.shape, soft.shape, both.conditional.shape, fg.log_prob(logits, z).shape]
    slopes = fg.relax_vjp(logits, both.relaxed, None, temperature=0.5, rng=1)[0]
    total = float(fg.entropy(logits).sum() + fg.kl_divergence(logits, logits).sum())

    objective = fg.objective(f, grad=grad)
    rebar = fg.estimator("rebar", temperature=0.3)
    state = None
    adam = fg.optim.Adam(learning_rate=0.01)
    memory = None
    for step in range(3):
        found = rebar(objective, logits, num_samples=4, rng=key.fold_in(step), state=state)
        state = found.state
        logits, memory = adam.update(logits, found.grad, memory)
    names = fg.list_estimators()
    table = fg.compare(
        objective, logits[:2], estimators=names[:2], num_samples=4, repeats=10, rng=0
    )
    truth = fg.exact.grad(objective, logits[:2])

    bits = fg.bernoulli.sample(np.zeros(5), num_samples=2, rng=0)
    plan = fg.permutation.sinkhorn(np.eye(3), temperature=0.5).matrix
    chosen = fg.subset.k_hot(np.zeros(6), 2, rng=0)
    noise = fg.random.normal((2, 3), rng=0)
    law = fg.continuous.Normal(np.zeros(3), np.zeros(3))
    pathwise = fg.estimator("pathwise")
    normal = law.sample(num_samples=2, rng=0)

    picture = fg.dither(np.zeros((8, 8, 3), np.uint8), colors=2, rng=0)
    indices, palette = picture.indices, picture.palette
    print(shapes, slopes, total, table, truth, bits, plan, chosen, noise, pathwise, normal)
    print(indices.shape, palette.shape)


if __name__ == "__main__":
    main()
