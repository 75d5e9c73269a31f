"""A variational autoencoder with discrete codes for handwritten digits, in torch.

Its encoder turns 8 x 8 pixels into 16 choices among 6 categories each, its decoder turns these into
the probabilities of the pixels. One backward pass teaches both: `fastgrad.torch.expectation` gives
the encoder the gradient of an estimator, and the decoder that of torch. The last row trains the
same network with torch's own Gumbel-softmax.
"""

import time

import fastgrad as fg

try:
    import torch
    from sklearn.datasets import load_digits
except ImportError:
    raise SystemExit(print("pip install fastgrad[torch] scikit-learn")) from None

import fastgrad.torch as fgt

NAMES = ("rloo", "rebar", "muprop", "gumbel_softmax", "straight_through", "reinmax")
N, K, HIDDEN, BATCH, SAMPLES, STEPS = 16, 6, 64, 100, 4, 200
torch.set_num_threads(1)  # at this size threads would only wait for each other
fg.set_num_threads(1)
pixels = torch.tensor(load_digits().data > 7, dtype=torch.float32)
pixels = pixels[torch.randperm(len(pixels), generator=torch.Generator().manual_seed(0))]
train, test = pixels[:1500], pixels[1500:]
uniform = torch.zeros(N, K)


def networks():
    torch.manual_seed(1)
    layers = torch.nn.Linear(64, HIDDEN), torch.nn.Tanh(), torch.nn.Linear(HIDDEN, N * K)
    return torch.nn.Sequential(*layers), torch.nn.Linear(N * K, 64)


def log_likelihood(images, x, decoder):
    """Return log p(image | code) of codes x, shape (S, B, 16, 6): one for each image, (S, B)."""
    pixel = (2 * images - 1) * decoder(x.flatten(-2))
    return torch.nn.functional.logsigmoid(pixel).sum(dim=-1)


def elbo(images, encoder, decoder, expected, *how):
    """Return the evidence lower bound of each image, shape (B,)."""
    logits = encoder(images).unflatten(-1, (N, K))
    divergence = fgt.kl_divergence(logits, uniform).sum(dim=-1)
    return expected(lambda x: log_likelihood(images, x, decoder), logits, *how) - divergence


def by_estimator(f, logits, name, key, learned):
    options = {"estimator": name, "num_samples": SAMPLES, "rng": key} | learned
    value, learned["state"] = fgt.expectation_and_state(f, logits, **options)
    return value


def by_torch(f, logits, *_):
    many = logits.expand(SAMPLES, *logits.shape)
    return f(torch.nn.functional.gumbel_softmax(many)).mean(dim=0)


print(f"ELBO of images held back after {STEPS} steps, in nats, and time of a step")
for name in (*NAMES, "torch's own"):
    encoder, decoder = networks()
    adam = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=0.01)
    learned, began = {"state": None}, time.perf_counter()
    for key in fg.Key(0).split(STEPS):
        images = train[torch.randint(len(train), (BATCH,))]
        expected = by_estimator if name in NAMES else by_torch
        loss = -elbo(images, encoder, decoder, expected, name, key, learned).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
    milliseconds = (time.perf_counter() - began) / STEPS * 1e3
    with torch.no_grad():
        logits = encoder(test).unflatten(-1, (N, K))
        codes = fgt.sample(logits, num_samples=100, rng=1).long()
        x = torch.nn.functional.one_hot(codes, K).float()
        bound = log_likelihood(test, x, decoder).mean(0) - fgt.kl_divergence(logits, uniform).sum(1)
    print(f"  {name:16} {bound.mean():7.2f} {milliseconds:6.2f} ms")
