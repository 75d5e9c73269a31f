"""A variational autoencoder with discrete codes for handwritten digits, in plain NumPy.

An encoder turns 8 x 8 pixels into 16 choices among 6 categories each, a decoder turns these into
the probabilities of the pixels. Both learn from the evidence lower bound (ELBO), the decoder by
backpropagation from codes sampled, the encoder through the sampling: that is for the estimators.
"""

import numpy as np
from matplotlib.figure import Figure  # pip install fastgrad[plot]
from scipy.special import expit, log_expit

import fastgrad as fg

try:
    from sklearn.datasets import load_digits
    from threadpoolctl import threadpool_limits  # comes with scikit-learn
except ImportError:
    raise SystemExit(print("the digits are scikit-learn's: pip install scikit-learn")) from None

NAMES = ("reinforce", "rloo", "rebar", "straight_through", "st_gumbel", "reinmax")
N, K, HIDDEN, BATCH, SAMPLES, STEPS, EVERY = 16, 6, 64, 100, 4, 250, 25
threadpool_limits(1)  # at this size threads would only wait for each other
pixels = np.random.default_rng(0).permutation(load_digits().data > 7).astype(np.float32)
train, test = pixels[:1500], pixels[1500:]


def encode(images, params, key):
    """Return hidden units, logits, the slope of the divergence from a uniform prior, and codes."""
    hidden = np.tanh(images @ params["see"])
    logits = (hidden @ params["infer"]).reshape(-1, N, K)
    log_p = fg.log_softmax(logits)
    slope = np.exp(log_p) * (log_p + fg.entropy(logits)[..., None])
    z = fg.sample(logits, num_samples=SAMPLES, rng=key)
    return hidden, logits, slope, np.eye(K, dtype=np.float32)[z]


def decode(x, params):
    return x.reshape(*x.shape[:2], N * K) @ params["draw"] + params["bias"]


def likelihood(images, params):
    """Return minus the log likelihood of images given codes, (S, B, 16, 6), as an objective."""
    return fg.objective(
        lambda x: -log_expit((2 * images - 1) * decode(x, params)).sum(axis=-1),
        grad=lambda x: ((expit(decode(x, params)) - images) @ params["draw"].T).reshape(x.shape),
    )


rng, adam = np.random.default_rng(1), fg.optim.Adam(learning_rate=0.01)
shapes = {"see": (64, HIDDEN), "infer": (HIDDEN, N * K), "draw": (N * K, 64), "bias": 64}
start = {name: rng.normal(0, 0.15, shape).astype(np.float32) for name, shape in shapes.items()}
figure = Figure(figsize=(8, 7), layout="constrained")
upper, lower = figure.subplots(2, 1, height_ratios=(3, 1))
print(f"ELBO of images held back after {STEPS} steps, in nats")
for name in NAMES:
    estimator, params, state, memory, elbo = fg.estimator(name), start, None, None, []
    for step, key in enumerate(fg.Key(0).split(STEPS + 1)):
        if step % EVERY == 0:
            _, logits, _, x = encode(test, params, key)
            cost = likelihood(test, params).f(x) + N * np.log(K) - fg.entropy(logits).sum(axis=-1)
            elbo.append(-np.mean(cost))
        images, (one, two) = rng.choice(train, BATCH), key.split(2)
        f, (hidden, logits, slope, x) = likelihood(images, params), encode(images, params, one)
        _, grad, state, *_ = estimator(f, logits, num_samples=SAMPLES, rng=two, state=state)
        slope, decoded = (grad + slope).reshape(BATCH, N * K) / BATCH, expit(decode(x, params))
        error = (decoded - images).reshape(-1, 64) / (SAMPLES * BATCH)
        see, infer = images.T @ (slope @ params["infer"].T * (1 - hidden**2)), hidden.T @ slope
        draw, bias = x.reshape(-1, N * K).T @ error, error.sum(axis=0)
        grads = {"see": see, "infer": infer, "draw": draw, "bias": bias}
        params, memory = adam.update(params, grads, memory)
    print(f"  {name:16} {elbo[-1]:.2f}")
    upper.plot(np.arange(len(elbo)) * EVERY, elbo, label=name)
upper.set(title="ELBO of images held back", xlabel="step", ylim=(-30, None))
upper.legend()
tiles = np.stack([images[:12], decoded[0, :12]]).reshape(2, 12, 8, 8)  # the last batch
lower.imshow(tiles.swapaxes(1, 2).reshape(16, 96), cmap="gray")
lower.set(title="images, and what their codes say (reinmax)", xticks=[], yticks=[])
figure.savefig("04_digits_vae.png", dpi=100)
print("wrote 04_digits_vae.png")
