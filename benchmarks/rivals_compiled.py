"""Compiled objectives beside f of arrays, and beside torch.compile and JAX's jit.

    python -m benchmarks.rivals_compiled [--rows 65536] [--categories 16] [--samples 16] [--memory]

f is a separable quadratic of each row, sum over k of (x_k - target_k)**2. All calls are made in
this process, taken in turns; times are the best of several. The rivals' estimates are written by
hand: as many samples, by inverse CDF or Gumbel noise, whichever is faster there, and the same
formulae; the softmax in the scores of RLOO cancels. With `--memory`, the peak memory of each
estimate is measured instead (on Linux), in a process of its own: how much the largest resident
size grows beyond what it was after a call half as large, with the logits, in units of logits and
results.
"""

import argparse
import functools
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numba
import numpy as np

import fastgrad as fg

TAU = 0.5
NAMES = ("reinforce", "rloo", "arm", "gumbel_softmax", "straight_through", "vimco")


# No order of additions is asked for, so that Numba may use vectors: as NumPy, torch and XLA do.
@numba.njit(fastmath=True)
def quadratic(example, z, target):
    total = np.float32(0.0)
    for k in range(target.shape[1]):
        total += (np.float32(k == z) - target[example, k]) ** 2
    return total


@numba.njit(fastmath=True)
def quadratic_and_gradient(example, x, grad, target):
    total = np.float32(0.0)
    for k in range(x.size):
        distance = x[k] - target[example, k]
        grad[k] = 2 * distance
        total += distance * distance
    return total


@numba.njit
def square(example, z, target):
    return (np.float32(z) - target[example]) ** 2


def estimators(rows, categories, samples):
    """Return {name: (of arrays, compiled)}, calls of estimators on the same problem."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(rows, categories)).astype(np.float32)
    target = rng.random((rows, categories), dtype=np.float32)
    sites, middle = logits.reshape(-1), target.reshape(-1)
    of_arrays = fg.objective(
        lambda x: ((x - target) ** 2).sum(axis=-1), grad=lambda x: 2 * (x - target)
    )
    compiled = fg.objective(
        compiled=quadratic, compiled_value_and_grad=quadratic_and_gradient, data=(target,)
    )
    of_sites = fg.objective(lambda x: (x - middle) ** 2)
    compiled_of_sites = fg.objective(compiled=square, data=(middle,))
    found = {}
    for name in NAMES:
        run = fg.estimator(name, **({"temperature": TAU} if name == "gumbel_softmax" else {}))
        pair, d = (of_arrays, compiled), fg.Categorical(logits)
        if name == "arm":
            pair, d = (of_sites, compiled_of_sites), fg.Bernoulli(sites)
        found[name] = [functools.partial(run, f, d, num_samples=samples, rng=1) for f in pair]
    return found, logits, target


def with_jax(logits, target, samples):
    """Return {name: {way: call}} of jitted JAX programs."""
    import jax
    import jax.numpy as jnp

    n, k = logits.shape
    given = jax.random.key(0), jnp.asarray(logits), jnp.asarray(target)

    def inverse(key, x):
        cumulative = jnp.cumsum(jax.nn.softmax(x, axis=-1), axis=-1)
        u = jax.random.uniform(key, (samples, n)) * cumulative[:, -1]
        return (u[..., None] >= cumulative[:, :-1]).sum(axis=-1)

    def by_noise(key, x):
        return jax.random.categorical(key, x, shape=(samples, n))

    def f(features, t):
        return ((features - t) ** 2).sum(axis=-1)

    def scores(draw, leave_one_out):
        def program(key, x, t):
            features = jax.nn.one_hot(draw(key, x), k, dtype=x.dtype)
            value = f(features, t)
            if leave_one_out:
                centred = value - value.mean(axis=0)
                grad = (centred[..., None] * features).sum(axis=0) / (samples - 1)
            else:
                grad = (value[..., None] * features).mean(axis=0)
                grad -= value.mean(axis=0)[:, None] * jax.nn.softmax(x, axis=-1)
            return value.mean(axis=0), grad

        return jax.jit(program)

    def gumbel_softmax(key, x, t):
        noise = jax.random.gumbel(key, (samples, n, k))

        def mean(x):
            value = f(jax.nn.softmax((x + noise) / TAU, axis=-1), t).mean(axis=0)
            return value.sum(), value

        grad, value = jax.grad(mean, has_aux=True)(x)
        return value, grad

    def arm(key, x, t):
        sites, middle = x.reshape(-1), t.reshape(-1)
        u, p = jax.random.uniform(key, (samples // 2, sites.size)), jax.nn.sigmoid(sites)
        one, other = ((u > 1 - p) - middle) ** 2, ((u < p) - middle) ** 2
        return (one + other).mean(axis=0) / 2, ((one - other) * (u - 0.5)).mean(axis=0)

    programs = {
        "reinforce": {"inverse": scores(inverse, False), "noise": scores(by_noise, False)},
        "rloo": {"inverse": scores(inverse, True), "noise": scores(by_noise, True)},
        "gumbel_softmax": {"noise": jax.jit(gumbel_softmax)},
        "arm": {"uniform": jax.jit(arm)},
    }
    return {
        name: {way: lambda p=p: jax.block_until_ready(p(*given)) for way, p in ways.items()}
        for name, ways in programs.items()
    }


def with_torch(logits, target, samples):
    """Return {name: {way: call}} of programs that torch compiles."""
    import torch

    torch.set_num_threads(fg.threads.get_num_threads())
    x, t, (n, k) = torch.from_numpy(logits), torch.from_numpy(target), logits.shape
    categories = torch.arange(k)

    def inverse():
        cumulative = x.softmax(-1).cumsum(-1)
        u = torch.rand(samples, n) * cumulative[:, -1]
        return (u[..., None] >= cumulative[:, :-1]).sum(-1)

    def scores(leave_one_out):
        def program():
            features = (inverse()[..., None] == categories).to(x.dtype)
            value = ((features - t) ** 2).sum(-1)
            if leave_one_out:
                centred = value - value.mean(0)
                grad = (centred[..., None] * features).sum(0) / (samples - 1)
            else:
                grad = (value[..., None] * features).mean(0)
                grad = grad - value.mean(0)[:, None] * x.softmax(-1)
            return value.mean(0), grad

        return torch.compile(program)

    def gumbel_softmax():
        # The product with the Jacobian in closed form, which spares the backward pass.
        noise = torch.empty(samples, n, k).exponential_().log()
        y = ((x - noise) / TAU).softmax(-1)
        r = 2 * (y - t)
        product = y * (r - (y * r).sum(-1, keepdim=True)) / TAU
        return ((y - t) ** 2).sum(-1).mean(0), product.mean(0)

    sites, middle = x.reshape(-1), t.reshape(-1)

    def arm():
        u, p = torch.rand(samples // 2, sites.numel()), sites.sigmoid()
        one = ((u > 1 - p).to(x.dtype) - middle) ** 2
        other = ((u < p).to(x.dtype) - middle) ** 2
        return (one + other).mean(0) / 2, ((one - other) * (u - 0.5)).mean(0)

    return {
        "reinforce": {"inverse": scores(False)},
        "rloo": {"inverse": scores(True)},
        "gumbel_softmax": {"noise": torch.compile(gumbel_softmax)},
        "arm": {"uniform": torch.compile(arm)},
    }


def best(calls, repeats):
    """Return the least seconds of each call, all taken in turns."""
    least = dict.fromkeys(calls, float("inf"))
    for _ in range(repeats):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            least[name] = min(least[name], time.perf_counter() - start)
    return least


def memory(field):
    """Return a field of the status of this process, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def peak_growth(name, which, rows, categories, samples):
    """Return how much memory one estimate takes, in units of its logits and results (Linux)."""
    small, _, _ = estimators(rows // 2, categories, samples)
    small[name][which]()  # kernels, threads and scratch memory
    calls, logits, _ = estimators(rows, categories, samples)
    Path("/proc/self/clear_refs").write_text("5")  # the peak is now what is resident
    before = memory("VmHWM")
    found = calls[name][which]()
    grown = memory("VmHWM") - before
    return (logits.nbytes + grown) / (logits.nbytes + found.grad.nbytes + found.value.nbytes)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=65_536)
    parser.add_argument("--categories", type=int, default=16)
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--without-rivals", action="store_true")
    parser.add_argument("--memory", nargs="?", const="all")
    options = parser.parse_args()
    size = options.rows, options.categories, options.samples
    if options.memory == "all":
        for name in NAMES:
            command = [sys.executable, "-m", "benchmarks.rivals_compiled", "--memory", name]
            command += [f"--{key}={n}" for key, n in zip(("rows", "categories", "samples"), size)]
            print(subprocess.run(command, capture_output=True, text=True).stdout, end="")
        return
    if options.memory:
        arrays, compiled = (peak_growth(options.memory, which, *size) for which in (0, 1))
        print(f"{options.memory:18} compiled {compiled:6.2f}, arrays {arrays:6.2f}")
        return
    calls, logits, target = estimators(*size)
    rivals = {}
    if not options.without_rivals:
        for library, programs in (("jax", with_jax), ("torch", with_torch)):
            if find_spec(library):
                rivals[library] = programs(logits, target, options.samples)
    print(f"{'':18}{'compiled':>12}{'arrays':>12}", *(f"{r:>12}" for r in rivals), "  (ms)")
    for name, (arrays, compiled) in calls.items():
        own = {"compiled": compiled, "arrays": arrays}
        for library, found in rivals.items():
            own |= {(library, way): call for way, call in found.get(name, {}).items()}
        times = {key: 1e3 * seconds for key, seconds in best(own, options.repeats).items()}
        row = [times["compiled"], times["arrays"]]
        for library in rivals:
            own = [ms for key, ms in times.items() if isinstance(key, tuple) and key[0] == library]
            row.append(min(own, default=float("nan")))
        print(f"{name:18}", *(f"{ms:11.2f} " for ms in row))
        print(f"{'':18}", *(f"{ms / row[0]:10.1f}x " for ms in row))


if __name__ == "__main__":
    main()
