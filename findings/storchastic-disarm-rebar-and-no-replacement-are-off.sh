#!/usr/bin/env bash
# storchastic 0.3.7 (torch 2.13.0): three estimators that are unbiased in their papers are not. On
# E[f(z)] with a quadratic f, whose gradient is known exactly, the mean of DisARM is zero, that of REBAR with
# Bernoulli variables about 1.4 times the gradient, and that of three draws without replacement, with
# biased=False and no baseline, about 1.6 times. Its score function, ARM, RELAX and Rao-Blackwellised
# estimator are right. Nothing warns.
#
# Why it matters here: fastgrad's estimators are compared with these, and an estimate of zero has
# the lowest variance of all. A rival's mean must be held against the exact gradient first, as fg.compare does.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install storchastic==0.3.7 torch==2.13.0 pyro-ppl==1.9.2 numpy==2.4.6
cat > "$folder/means.py" <<'EOF2'
import itertools
import sys
import warnings

warnings.filterwarnings("ignore")
import storch
import torch
from storch import method

PROBLEMS, RUNS = 2000, 3
LOGITS = torch.tensor([0.2, -0.4, 0.9, 0.1])
WEIGHTS = torch.tensor([0.3, -1.2, 2.0, 0.7])


def f(z):
    return ((z * WEIGHTS).sum(-1) - 0.45) ** 2


def exact(binary):
    logits = LOGITS.clone().requires_grad_()
    if binary:
        outcomes = torch.tensor(list(itertools.product([0.0, 1.0], repeat=4)))
        p = logits.sigmoid()
        chances = torch.where(outcomes > 0, p, 1 - p).prod(-1)
    else:
        outcomes, chances = torch.eye(4), logits.softmax(-1)
    return torch.autograd.grad((chances * f(outcomes)).sum(), logits)[0]


def ratio(estimator, binary):
    """The mean estimate along the true gradient, as a share of it, and its standard error."""
    found, truth = [], exact(binary)
    for _ in range(RUNS):
        storch.reset()
        logits = LOGITS.repeat(PROBLEMS, 1).requires_grad_()
        rows = storch.denote_independent(logits, 0, "problems")
        if binary:
            distribution = torch.distributions.Bernoulli(probs=rows.sigmoid())
        else:
            distribution = torch.distributions.OneHotCategorical(probs=rows.softmax(-1))
        storch.add_cost(f(estimator(distribution)), "f")
        storch.backward()
        found.append(logits.grad.detach() * PROBLEMS @ truth / truth.square().sum())
    found = torch.cat(found)
    return found.mean().item(), found.std().item() / len(found) ** 0.5


torch.manual_seed(0)
cases = {
    "score function": (method.ScoreFunction("z", n_samples=4), True, 1),
    "ARM": (method.ARM("z", n_samples=4), True, 1),
    "RELAX": (method.RELAX("z", n_samples=4, in_dim=4), True, 1),
    "Rao-Blackwellised": (method.RaoBlackwellSF("z", 2), False, 1),
    "DisARM": (method.DisARM("z", n_samples=4), True, 0),
    "REBAR": (method.REBAR("z", n_samples=4), True, 1.4),
    "no replacement, k=3": (
        method.ScoreFunctionWOR("z", 3, biased=False, use_baseline=False), False, 1.6
    ),
}
right = True
for name, (estimator, binary, share) in cases.items():
    mean, error = ratio(estimator, binary)
    print(f"{name:20} {mean:6.3f} of the gradient, standard error {error:.3f}")
    right &= abs(mean - share) < 0.1 + 4 * error if share > 1 else abs(mean - share) < 5 * error
sys.exit(0 if right else 1)
EOF2
"$folder/venv/bin/python" "$folder/means.py"
