"""Soft sorts, ranks and sparse maps beside the packages for them (those that are installed).

    python -m benchmarks.rivals_order [--threads 1] [--rounds 7] [--dtype float32]

fast-soft-sort (Numba), torchsort (C++), OTT (JAX) and entmax (PyTorch) solve the same problems in
this one process, with as many threads, each call in turn with fastgrad's: times are medians over
the rounds, and ratios are medians of the ratios within a round, so that a busy machine slows both.
On one thread it is the processor's time that is measured: others on the machine do not count.
Results are compared as well. fast-soft-sort takes one row at a time, in a loop here.
"""

import argparse
import importlib.util
import os
import statistics
import time

import numpy as np

SHAPE, OTT_SIZE, SPARSE_SHAPE = (64, 10_000), 1_000, (65_536, 64)
ALPHA = 1.3  # of entmax by bisection


def here(module):
    return importlib.util.find_spec(module) is not None


def orders(dtype):
    """Yield (name, fastgrad's call, the rival's, whether they should agree) of soft orders."""
    import fastgrad as fg

    x = np.random.default_rng(0).normal(size=SHAPE).astype(dtype)
    both = {"quadratic": "l2", "entropic": "kl"}
    tasks = {"soft_rank": fg.order.soft_rank, "soft_sort": fg.order.soft_sort}
    for function, ours in tasks.items():
        for method, theirs in both.items():
            own = lambda f=ours, m=method: f(x, method=m)  # noqa: E731
            if here("fast_soft_sort"):
                from fast_soft_sort import numpy_ops

                call = getattr(numpy_ops, function)
                yield (
                    f"{function}, {method}: fast-soft-sort",
                    own,
                    lambda f=call, r=theirs: np.stack([f(row, regularization=r) for row in x]),
                    True,
                )
            if here("torchsort"):
                import torch
                import torchsort

                call, tensor = getattr(torchsort, function), torch.from_numpy(x)
                yield (
                    f"{function}, {method}: torchsort",
                    own,
                    lambda f=call, r=theirs, t=tensor: f(t, regularization=r).numpy(),
                    True,
                )
    if here("ott"):
        import jax
        from ott.tools import soft_sort

        z = x[:1, :OTT_SIZE]
        jitted = {"soft_sort": jax.jit(soft_sort.sort), "soft_rank": jax.jit(soft_sort.ranks)}
        for function, call in jitted.items():
            yield (
                f"{function}, {OTT_SIZE:,} values: OTT",
                lambda f=tasks[function]: f(z),
                lambda f=call: np.asarray(f(z)),
                False,  # another relaxation
            )


def maps(dtype):
    """Yield the same of sparse maps."""
    import fastgrad as fg

    if not here("entmax"):
        return
    import entmax
    import torch

    x = np.random.default_rng(0).normal(size=SPARSE_SHAPE).astype(dtype)
    tensor, out = torch.from_numpy(x), np.empty_like(x)
    for name, ours, theirs in (
        ("sparsemax", fg.sparse.sparsemax, entmax.sparsemax),
        ("entmax15", fg.sparse.entmax15, entmax.entmax15),
    ):
        yield (
            f"{name}: entmax",
            lambda f=ours: f(x, out=out),
            lambda f=theirs: f(tensor, dim=-1).numpy(),
            True,
        )
    yield (
        f"entmax, alpha = {ALPHA}: entmax_bisect",
        lambda: fg.sparse.entmax(x, alpha=ALPHA, out=out),
        lambda: entmax.entmax_bisect(tensor, alpha=ALPHA, dim=-1).numpy(),
        True,
    )


def seconds(call, clock):
    start = clock()
    call()
    return clock() - start


def compare(name, ours, theirs, same, rounds, clock):
    """Print a row of the table: both calls in turn."""
    difference = f"{abs(ours() - theirs()).max():.0e}" if same else "-"
    times = [(seconds(ours, clock), seconds(theirs, clock)) for _ in range(rounds)]
    own, other = (1e3 * statistics.median(t) for t in zip(*times, strict=True))
    ratio = statistics.median(b / a for a, b in times)
    print(f"| {name} | {own:.2f} | {other:.1f} | {ratio:.1f} | {difference} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--dtype", choices=["float32", "float64"], default="float32")
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):  # what bounds JAX too
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.threads])
    import fastgrad as fg

    fg.set_num_threads(options.threads)
    if here("torch"):
        import torch

        torch.set_num_threads(options.threads)
    clock = time.process_time if options.threads == 1 else time.perf_counter
    print(f"{SHAPE} values of {options.dtype} to order, {SPARSE_SHAPE} logits to map")
    print("| | fastgrad, ms | rival, ms | rival / fastgrad | difference |")
    print("|---|---:|---:|---:|---:|")
    for problems in (orders, maps):
        for problem in problems(np.dtype(options.dtype)):
            compare(*problem, options.rounds, clock)


if __name__ == "__main__":
    main()
