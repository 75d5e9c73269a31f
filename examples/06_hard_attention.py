"""Hard attention: learn where to look from nothing but how well a question was answered.

A scene has 25 tiles with a sign each, and one of them is lit; the question is which of four signs
that one shows. Attention scores the tiles, one is drawn, and its pixels are all that a reader sees.
To look is a discrete choice: estimators give the gradient by the scores. Soft attention needs none,
since it blends all tiles as it learns; here it is asked to choose one afterwards.
"""

import numpy as np
from matplotlib.figure import Figure  # pip install fastgrad[plot]

import fastgrad as fg

WAYS = ("soft", "straight_through", "gumbel_softmax", "reinmax", "reinforce", "rloo", "rebar")
TILES, PIXELS, SIGNS, BATCH, SAMPLES, STEPS, EVERY, RUNS = 25, 25, 4, 64, 2, 240, 10, 2
ONE_HOT, signs = np.eye(TILES, dtype=np.float32), np.zeros((SIGNS, 5, 5), np.float32)
signs[0, 2], signs[1, :, 2], signs[2], signs[3] = 1, 1, np.eye(5), np.eye(5)[::-1]
light = np.pad(np.ones((3, 3), np.float32), 1).ravel()


def scenes(rng):
    """Return tiles (B, 25, pixels), the tile that is lit, and its sign, one-hot (B, 4)."""
    sign, lit = rng.integers(SIGNS, size=(BATCH, TILES)), rng.integers(TILES, size=BATCH)
    tiles = signs.reshape(SIGNS, PIXELS)[sign] + ONE_HOT[lit][..., None] * light
    tiles += rng.normal(0, 0.5, tiles.shape).astype(np.float32)
    return tiles, lit, ONE_HOT[sign[np.arange(BATCH), lit], :SIGNS]


def reading(tiles, sign, reader):
    """Return the loss of looks x, (S, B, 25), as an objective, and its gradient by the reader."""

    def error(x):
        seen = np.einsum("sbt,btp->sbp", x, tiles)
        log_p = fg.log_softmax(seen @ reader)
        return seen, log_p, np.exp(log_p) - sign

    return fg.objective(
        lambda x: -(error(x)[1] * sign).sum(axis=-1),
        grad=lambda x: np.einsum("sbp,btp->sbt", error(x)[2] @ reader.T, tiles),
    ), lambda x: np.einsum("sbp,sbk->pk", *error(x)[::2]) / len(x)


adam, figure = fg.optim.Adam(learning_rate=0.005), Figure(figsize=(11, 5), layout="constrained")
left, right = figure.subplots(1, 2)
print(f"looks at the lit tile after 30, 80, {STEPS} steps, and probability of the right answer")
for way in WAYS:
    estimator = None if way == "soft" else fg.estimator(way)
    curve = np.empty((RUNS, STEPS, 2))
    for run in range(RUNS):
        rng, state, memory = np.random.default_rng(run), None, None
        params = {"attention": np.zeros(PIXELS, np.float32)}
        params["reader"] = np.zeros((PIXELS, SIGNS), np.float32)
        for step, key in enumerate(fg.Key(run).split(STEPS)):
            (tiles, lit, sign), (one, two) = scenes(rng), key.split(2)
            f, by_reader = reading(tiles, sign, params["reader"])
            logits = tiles @ params["attention"]
            choice = logits.argmax(axis=-1)
            curve[run, step] = np.mean(choice == lit), np.exp(-f.f(ONE_HOT[None, choice])).mean()
            if estimator is None:
                p = np.exp(fg.log_softmax(logits))
                x, slope = p[None], f.grad(p[None])[0]
                slope = p * (slope - (p * slope).sum(axis=-1, keepdims=True))
            else:
                x = ONE_HOT[fg.sample(logits, num_samples=SAMPLES, rng=one)]
                slope, state = estimator(f, logits, num_samples=SAMPLES, rng=two, state=state)[1:3]
            grads = {"attention": np.einsum("bt,btp->p", slope, tiles), "reader": by_reader(x)}
            params, memory = adam.update(params, grads, memory)
    curve = curve.mean(axis=0).reshape(-1, EVERY, 2).mean(axis=1)
    print(f"  {way:17}", *(f"{curve[i, 0]:.2f}" for i in (2, 7, -1)), f"  {curve[-1, 1]:.2f}")
    left.plot(np.arange(1, len(curve) + 1) * EVERY, curve[:, 0], label=way)
assert curve[-1, 0] > 0.9, way
left.set(title=f"share of looks at the lit tile, mean of {RUNS} runs", xlabel="step", xscale="log")
figure.legend(loc="outside lower center", ncols=len(WAYS))
right.imshow(tiles[0].reshape(5, 5, 5, 5).swapaxes(1, 2).reshape(25, 25), cmap="gray")
row, column = divmod(int(choice[0]), 5)
right.plot(column * 5 + 2, row * 5 + 2, "s", c="C1", fillstyle="none", ms=54, mew=4, clip_on=False)
right.set(title="a scene, and where attention looks", xticks=[], yticks=[])
figure.savefig("06_hard_attention.png", dpi=100)
print("wrote 06_hard_attention.png")
