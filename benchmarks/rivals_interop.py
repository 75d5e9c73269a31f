"""fastgrad inside other frameworks, beside their own code: cost of a call, and times of training.

    python -m benchmarks.rivals_interop [--threads 1] [--framework torch]

Calls of both kinds are made in turns within one process, and medians of the ratios of neighbours
are printed, so that a busy machine does not matter. "beyond the kernel" is the time of a call less
that of the NumPy API on the same arrays.
"""

import argparse
import importlib.util
import math
import statistics
import time

import numpy as np

import fastgrad as fg

SMALL, LARGE, TEMPERATURE, SAMPLES = (8, 8), (65_536, 16), 0.5, 8
KEY = fg.Key(0)


def rounds(calls, seconds=2.0, least=7):
    """Return for each call the times of one, in seconds, all calls taking turns."""
    numbers = {}
    for name, call in calls.items():
        call()
        call()
        began = time.perf_counter()
        call()
        numbers[name] = max(1, int(2e-3 / max(time.perf_counter() - began, 1e-7)))
    times, end = {name: [] for name in calls}, time.perf_counter() + seconds
    while time.perf_counter() < end or len(times[next(iter(calls))]) < least:
        for name, call in calls.items():
            began = time.perf_counter()
            for _ in range(numbers[name]):
                call()
            times[name].append((time.perf_counter() - began) / numbers[name])
    return times


def beyond(times, name, base):
    """Return the median of differences of neighbours in time, in microseconds."""
    bases = times[base] if base else [0.0] * len(times[name])
    return statistics.median(a - b for a, b in zip(times[name], bases, strict=True)) * 1e6


def ratio(times, name, base):
    """Return how many times as long the call takes as the base: the median of neighbours."""
    return statistics.median(a / b for a, b in zip(times[name], times[base], strict=True))


def of_arrays(shape):
    """Return the NumPy API's calls, forward alone and with its product."""
    logits = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    ones = np.ones_like(logits)

    def forward():
        return fg.gumbel_softmax(logits, temperature=TEMPERATURE, rng=KEY)

    def both():
        forward()
        return fg.gumbel_softmax_vjp(logits, ones, temperature=TEMPERATURE, rng=KEY)

    return logits, {"NumPy forward": forward, "NumPy both": both}


# -- torch ----------------------------------------------------------------------------------------


def floors(shape):
    """Return calls that do nothing: an autograd.Function, alone and over a custom operator."""
    import torch

    library = torch.library.Library("fastgrad_floor", "DEF")
    library.define("nothing(Tensor x) -> Tensor")
    library.impl("nothing", torch.empty_like, "CPU")
    operator = torch.ops.fastgrad_floor.nothing.default
    leaf, ones = torch.zeros(shape, requires_grad=True), torch.ones(shape)

    def function_of(call):
        class Nothing(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                ctx.save_for_backward(x)
                return call(x)

            @staticmethod
            def backward(ctx, g):
                (x,) = ctx.saved_tensors
                return call(x)

        return Nothing.apply

    alone, over = function_of(torch.empty_like), function_of(operator)
    plain = leaf.detach()
    return library, {
        "floor forward": lambda: torch.empty_like(plain),
        "floor both": lambda: torch.autograd.grad(alone(leaf), leaf, ones),
        "operator forward": lambda: operator(plain),
        "operator both": lambda: torch.autograd.grad(over(leaf), leaf, ones),
    }


def torch_cost(shape):
    """Print the cost of a call beyond that of the NumPy API, and that of one that does nothing."""
    import torch

    import fastgrad.torch as fgt

    array, calls = of_arrays(shape)
    x, ones = torch.from_numpy(array), torch.ones(shape)
    leaf = x.clone().requires_grad_()

    def forward():
        return fgt.gumbel_softmax(x, temperature=TEMPERATURE, rng=KEY)

    def both():
        y = fgt.gumbel_softmax(leaf, temperature=TEMPERATURE, rng=KEY)
        return torch.autograd.grad(y, leaf, ones)

    library, nothing = floors(shape)
    times = rounds(calls | nothing | {"forward": forward, "both": both})
    for name in ("forward", "both"):
        kernel, own = f"NumPy {name}", statistics.median(times[name]) * 1e6
        more, times_as_long = beyond(times, name, kernel), ratio(times, name, kernel)
        floor, over = (beyond(times, f"{kind} {name}", None) for kind in ("floor", "operator"))
        print(
            f"  {shape} {name:8} {own:8.1f} us: {more:.1f} beyond the NumPy API, "
            f"{times_as_long:.3f} x it; what does nothing takes {floor:.1f}, "
            f"over an operator {over:.1f}"
        )
    del library


def torch_gumbel_softmax(shape, compiled):
    """Print how many times as long torch's own Gumbel-softmax takes, forward and backward."""
    import torch

    import fastgrad.torch as fgt

    leaf, ones = torch.randn(shape).requires_grad_(), torch.ones(shape)

    def ours(x):
        return fgt.gumbel_softmax(x, temperature=TEMPERATURE, rng=KEY)

    def theirs(x):
        return torch.nn.functional.gumbel_softmax(x, tau=TEMPERATURE)

    def relaxed(x):
        r = fgt.relax(x, temperature=TEMPERATURE, rng=KEY)
        return r.relaxed + r.conditional

    def relaxed_by_torch(x):
        """Return the sum of both relaxations of REBAR, as its formulae are written."""
        p = x.log_softmax(-1)
        noise = -torch.empty_like(x).exponential_().log()
        z = (p + noise).argmax(-1, keepdim=True)
        top = torch.empty_like(x[..., :1]).exponential_()
        e = torch.empty_like(x).exponential_()
        given = p - (top * p.exp() + e).log()
        given = given.scatter(-1, z, -top.log())
        return ((p + noise) / TEMPERATURE).softmax(-1) + (given / TEMPERATURE).softmax(-1)

    pairs = {"gumbel_softmax": (ours, theirs), "relax": (relaxed, relaxed_by_torch)}
    for name, functions in pairs.items():
        if compiled:
            functions = [torch.compile(f, fullgraph=True) for f in functions]
        calls = {
            side: lambda f=f: torch.autograd.grad(f(leaf), leaf, ones)
            for side, f in zip(("ours", "theirs"), functions, strict=True)
        }
        found = ratio(rounds(calls), "theirs", "ours")
        kind = "compiled" if compiled else "eager"
        print(f"  {shape} {name}, {kind}, forward and backward: torch takes {found:.1f} x as long")


def torch_rloo(shape):
    """Print how many times as long a plain RLOO takes, written with Categorical.sample.

    With f, which both look up in a table, and without what that takes.
    """
    import torch

    import fastgrad.torch as fgt

    leaf, table = torch.randn(shape).requires_grad_(), torch.randn(shape[-1])
    drawn = fgt.sample(leaf, num_samples=SAMPLES, rng=KEY).long()

    def ours():
        value = fgt.expectation(
            lambda z: table[z],
            leaf,
            estimator="rloo",
            num_samples=SAMPLES,
            rng=KEY,
            index=True,
        )
        return torch.autograd.grad(value.sum(), leaf)

    def theirs():
        d = torch.distributions.Categorical(logits=leaf)
        z = d.sample((SAMPLES,))
        f = table[z]
        centred = (f - f.mean(dim=0)) * SAMPLES / (SAMPLES - 1)
        return torch.autograd.grad((centred * d.log_prob(z)).mean(dim=0).sum(), leaf)

    times = rounds({"ours": ours, "theirs": theirs, "f": lambda: table[drawn]})
    found, own = ratio(times, "theirs", "ours"), beyond(times, "ours", None)
    rest = beyond(times, "theirs", "f") / beyond(times, "ours", "f")
    print(
        f"  {shape} rloo, {SAMPLES} samples, {own:.0f} us: torch takes {found:.1f} x as long, "
        f"{rest:.1f} x without f"
    )


def torch_vae(steps=300, seeds=12):
    """Print times of a training step of a VAE, and its ELBO, with either library's latents."""
    import torch
    from sklearn.datasets import load_digits

    import fastgrad.torch as fgt

    n, k, batch, samples = 16, 6, 100, 4
    pixels = torch.tensor(load_digits().data > 7, dtype=torch.float32)
    train, test, uniform = pixels[:1500], pixels[1500:], torch.zeros(n, k)

    def ours(logits, key):
        many = fgt.gumbel_softmax(logits, temperature=1.0, num_samples=samples, rng=key)
        return many, fgt.kl_divergence(logits, uniform).sum(dim=-1)

    def theirs(logits, key):
        many = torch.nn.functional.gumbel_softmax(logits.expand(samples, *logits.shape))
        log_p = logits.log_softmax(dim=-1)
        return many, (log_p.exp() * (log_p + math.log(k))).sum(dim=(-1, -2))

    def likelihood(images, x, decoder):
        pixel = (2 * images - 1) * decoder(x.flatten(-2))
        return torch.nn.functional.logsigmoid(pixel).sum(dim=-1).mean(dim=0)

    sides, times, bounds = {"ours": ours, "theirs": theirs}, {}, {}
    for seed in range(seeds):
        trained = {}
        for side in sides:
            torch.manual_seed(seed)
            first, last = torch.nn.Linear(64, 64), torch.nn.Linear(64, n * k)
            networks = torch.nn.Sequential(first, torch.nn.Tanh(), last), torch.nn.Linear(n * k, 64)
            parameters = [p for network in networks for p in network.parameters()]
            trained[side] = networks, torch.optim.Adam(parameters, lr=0.01)
        for key in fg.Key(seed).split(steps):
            images = train[torch.randint(len(train), (batch,))]
            for side, latents in sides.items():
                (encoder, decoder), adam = trained[side]
                began = time.perf_counter()
                x, divergence = latents(encoder(images).unflatten(-1, (n, k)), key)
                adam.zero_grad()
                (divergence - likelihood(images, x, decoder)).mean().backward()
                adam.step()
                times.setdefault(side, []).append(time.perf_counter() - began)
        for side, ((encoder, decoder), _) in trained.items():
            with torch.no_grad():
                logits = encoder(test).unflatten(-1, (n, k))
                z = fgt.sample(logits, num_samples=100, rng=1).long()
                x = torch.nn.functional.one_hot(z, k).float()
                bound = likelihood(test, x, decoder) - fgt.kl_divergence(logits, uniform).sum(dim=1)
            bounds.setdefault(side, []).append(float(bound.mean()))
    found, own = ratio(times, "theirs", "ours"), statistics.mean(bounds["ours"])
    more = [a - b for a, b in zip(bounds["ours"], bounds["theirs"], strict=True)]
    print(
        f"  VAE, a training step: torch's latents take {found:.2f} x as long; ELBO after {steps} "
        f"steps {own:.2f} nats, {statistics.mean(more):+.2f} beside torch's "
        f"(standard error {statistics.stdev(more) / math.sqrt(seeds):.2f})"
    )


def torch_section(threads):
    import torch

    torch.set_num_threads(threads)
    print(f"torch {torch.__version__}")
    for shape in (SMALL, LARGE):
        torch_cost(shape)
    torch_gumbel_softmax(LARGE, compiled=False)
    torch_gumbel_softmax(LARGE, compiled=True)
    for shape in ((4096, 16), LARGE):
        torch_rloo(shape)
    if importlib.util.find_spec("sklearn"):
        torch_vae()


SECTIONS = {"torch": torch_section}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--framework", choices=sorted(SECTIONS))
    options = parser.parse_args()
    fg.set_num_threads(options.threads)
    print(f"{options.threads} threads; of the large problem {math.prod(LARGE):,} numbers")
    for name, section in SECTIONS.items():
        if options.framework in (None, name) and importlib.util.find_spec(name):
            section(options.threads)


if __name__ == "__main__":
    main()
