import torch

import fastgrad as fg
import fastgrad.torch as fgt

# A variational autoencoder whose code is 8 choices among 4 categories, with REBAR's gradients.
torch.manual_seed(0)
images = (torch.rand(256, 2) > 0.5).float().repeat(1, 12)  # 24 pixels that two bits decide
encoder, decoder = torch.nn.Linear(24, 8 * 4), torch.nn.Linear(8 * 4, 24)
adam = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=0.03)
uniform, state = torch.zeros(8, 4), None


def log_likelihood(x):  # codes, shape (S, 256, 8, 4); one value for each image, (S, 256)
    return torch.nn.functional.logsigmoid((2 * images - 1) * decoder(x.flatten(-2))).sum(-1)


for key in fg.Key(0).split(200):
    logits = encoder(images).unflatten(-1, (8, 4))
    likelihood, state = fgt.expectation_and_state(
        log_likelihood, logits, estimator="rebar", num_samples=2, rng=key, state=state
    )
    elbo = (likelihood - fgt.kl_divergence(logits, uniform).sum(-1)).mean()
    adam.zero_grad()
    (-elbo).backward()  # REBAR's gradient for the encoder, torch's own for the decoder
    adam.step()
print(f"evidence lower bound {elbo.item():.2f} nats")
assert elbo > -5
