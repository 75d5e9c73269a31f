import functools

import torch

import fastgrad as fg
import fastgrad.torch as fgt

# Two of six items, so that their values are alike.
values = torch.tensor([0.0, 0.9, 2.0, 3.1, 3.2, 5.0])
pairs = functools.partial(fg.subset.KSubset, k=2)  # makes a distribution of logits
logits = torch.zeros(6, requires_grad=True)
sgd = torch.optim.SGD([logits], lr=0.2)


def spread(x):
    """Return how far apart the values of the chosen items lie, for samples (S, 6)."""
    mean = (x @ values) / 2
    return x @ values.square() - 2 * mean.square()


for step in range(200):
    sgd.zero_grad()
    options = {"family": pairs, "num_samples": 32, "rng": step}
    fgt.expectation(spread, logits, estimator="rloo", **options).backward()
    sgd.step()
print(fgt.structured.mean(pairs, logits).detach().topk(2).indices.sort().values)  # tensor([3, 4])
