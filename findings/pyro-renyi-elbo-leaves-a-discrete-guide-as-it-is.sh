#!/usr/bin/env bash
# pyro-ppl 1.9.2 (torch 2.13.0), RenyiELBO: with alpha=0, its default and the bound of importance weighted
# autoencoders, a guide of discrete variables gets no gradient at all, and training leaves it where it was. With
# alpha=0.5 and two particles the mean gradient is a third of the right one here. The reported loss is right, and so
# are the gradients of Trace_ELBO. Its terms belong to the bound for infinitely many particles, which at alpha=0 is
# the same for every guide; the score of the particles' own bound is left out. Nothing warns.
#
# Why it matters here: multi-sample bounds of discrete variables are what VIMCO and its like were made for. A guide
# that keeps still beside a model that learns looks like one that has converged; take Trace_ELBO or TraceGraph_ELBO.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install pyro-ppl==1.9.2 torch==2.13.0 numpy==2.4.6
cat > "$folder/bound.py" <<'EOF2'
import importlib.metadata
import itertools
import math
import sys
import warnings

import pyro
import pyro.distributions as dist
import torch
from pyro.infer import SVI, RenyiELBO, Trace_ELBO

warnings.simplefilter("error", UserWarning)
torch.manual_seed(0)
torch.set_num_threads(1)
PARTICLES, DRAWS = 2, 1000
START = torch.tensor([0.3, -0.5])
PRIOR = dist.Bernoulli(torch.tensor([0.4, 0.7]))
FIT = torch.tensor([[0.3, -1.2], [2.0, 0.5]])


def model():
    z = pyro.sample("z", PRIOR.to_event(1)).long()
    pyro.factor("fit", FIT[z[0], z[1]])


def guide():
    pyro.sample("z", dist.Bernoulli(logits=pyro.param("logits", START.clone())).to_event(1))


def exact(alpha):
    """The loss of all outcomes of all particles, weighted by their probabilities, and its gradient."""
    logits = START.clone().requires_grad_()
    outcomes = [torch.tensor(z) for z in itertools.product((0.0, 1.0), repeat=2)]
    q = torch.stack([dist.Bernoulli(logits=logits).log_prob(z).sum() for z in outcomes])
    p = torch.stack([PRIOR.log_prob(z).sum() + FIT[int(z[0]), int(z[1])] for z in outcomes])
    if alpha == 1:
        loss = -(q.exp() * (p - q)).sum()
    else:
        loss = 0
        for drawn in itertools.product(range(4), repeat=PARTICLES):
            i = list(drawn)
            bound = torch.logsumexp((1 - alpha) * (p - q)[i], 0) - math.log(PARTICLES)
            loss = loss - q[i].sum().exp() * bound / (1 - alpha)
    return loss.item(), torch.autograd.grad(loss, logits)[0]


def estimated(elbo):
    """Means of loss and gradient, and the gradient's standard error."""
    pyro.clear_param_store()
    guide()
    logits = pyro.param("logits")
    losses, gradients = [], []
    for _ in range(DRAWS):
        logits.grad = None
        losses.append(elbo.loss_and_grads(model, guide))
        gradients.append(torch.zeros(2) if logits.grad is None else logits.grad.clone())
    gradients = torch.stack(gradients)
    return sum(losses) / DRAWS, gradients.mean(0), gradients.std(0) / DRAWS**0.5


print("pyro-ppl", importlib.metadata.version("pyro-ppl"))
seen = True
for alpha in (1, 0, 0.5):
    elbo = Trace_ELBO(num_particles=PARTICLES) if alpha == 1 else RenyiELBO(alpha=alpha, num_particles=PARTICLES)
    wanted, (loss, gradient, error) = exact(alpha), estimated(elbo)
    print(f"{type(elbo).__name__} {alpha=}: loss {loss:.3f} of {wanted[0]:.3f},",
          f"gradient {gradient.numpy().round(3)} +- {error.numpy().round(3)} of {wanted[1].numpy().round(3)}")
    off = (gradient - wanted[1]).abs()
    seen &= abs(loss - wanted[0]) < 0.05
    if alpha == 1:
        seen &= bool((off < 4 * error).all())
    elif alpha == 0:
        seen &= bool((gradient == 0).all() and (error == 0).all())
    else:
        seen &= bool(off[0] > 5 * error[0])

pyro.clear_param_store()
svi = SVI(model, guide, pyro.optim.Adam({"lr": 0.1}), RenyiELBO(num_particles=PARTICLES))
for _ in range(100):
    svi.step()
trained = pyro.param("logits").detach()
print("logits after 100 steps with the default:", trained.tolist(), "from", START.tolist())
sys.exit(0 if seen and torch.equal(trained, START) else 1)
EOF2
"$folder/venv/bin/python" "$folder/bound.py"
