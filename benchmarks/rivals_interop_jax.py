"""JAX beside itself: the functions of `fastgrad.jax` and the same task in JAX's own code.

    python -m benchmarks.rivals_interop_jax [--rows 65536] [--categories 16] [--repeats 15]

All calls are of jitted programs in this process, which share its threads, taken in turns; times are
the best of several. "NumPy API" is the kernel without JAX, "callback" the route that is taken where
XLA's frames cannot be read. What is drawn differs between libraries, its distribution does not.
"""

import argparse
import functools
import time
from importlib.util import find_spec

import numpy as np

import fastgrad as fg
from fastgrad import _marks, _validate
from fastgrad.kernels.distributions import concrete_by_ratios

from . import common

if find_spec("jax"):  # asv imports every file of this folder, also where JAX is missing
    import jax
    import jax.numpy as jnp

    import fastgrad.jax as fj
    from fastgrad.jax import bodies, frames, handlers

TEMPERATURE = 0.5


def own_gumbel_softmax(x, key):
    return jax.nn.softmax((x + jax.random.gumbel(key, x.shape)) / TEMPERATURE, axis=-1)


def own_relax(x, key):
    """REBAR's pair of relaxations, as one writes them in JAX."""
    first, second = jax.random.split(key)
    z = x + jax.random.gumbel(first, x.shape)
    winner = jax.nn.one_hot(z.argmax(axis=-1), x.shape[-1], dtype=x.dtype)
    log_p = jax.nn.log_softmax(x, axis=-1)
    noise = jax.random.exponential(second, x.shape)
    top = (winner * noise).sum(axis=-1, keepdims=True)
    given = -jnp.log(jnp.where(winner > 0, top, noise / jnp.exp(log_p) + top))
    return jax.nn.softmax(z / TEMPERATURE), jax.nn.softmax(given / TEMPERATURE), winner


def programs(ours):
    """Return jitted functions of logits and key: forward, and forward with backward."""

    def soft(x, key):
        if not ours:
            return own_gumbel_softmax(x, key)
        return fj.gumbel_softmax(x, key, temperature=TEMPERATURE)

    def pair(x, key):
        if not ours:
            return own_relax(x, key)
        return fj.relax(x, key, temperature=TEMPERATURE)[1:]

    def soft_loss(x, key):
        return (soft(x, key) ** 2).sum()

    def pair_loss(x, key):
        first, second, _ = pair(x, key)
        return (first * second).sum()

    return {
        "gumbel_softmax": jax.jit(soft),
        "gumbel_softmax, both ways": jax.jit(jax.value_and_grad(soft_loss)),
        "relax": jax.jit(pair),
        "relax, both ways": jax.jit(jax.value_and_grad(pair_loss)),
    }


def numpy_calls(x, key):
    soft = functools.partial(fg.gumbel_softmax, x, temperature=TEMPERATURE, rng=key)
    pair = functools.partial(fg.relax, x, temperature=TEMPERATURE, rng=key)

    def soft_both():
        fg.gumbel_softmax_vjp(x, 2 * soft(), temperature=TEMPERATURE, rng=key)

    def pair_both():
        r = pair()
        fg.relax_vjp(x, r.conditional, r.relaxed, temperature=TEMPERATURE, rng=key)

    names = "gumbel_softmax", "gumbel_softmax, both ways", "relax", "relax, both ways"
    return dict(zip(names, (soft, soft_both, pair, pair_both), strict=True))


def best(calls, repeats, each):
    """Return the shortest time of each call, in microseconds, all taken in turns."""
    times = dict.fromkeys(calls, float("inf"))
    for _ in range(repeats):
        for name, call in calls.items():
            begin = time.perf_counter()
            for _ in range(each):
                jax.block_until_ready(call())
            times[name] = min(times[name], (time.perf_counter() - begin) / each * 1e6)
    return times


def nothing(x):
    """Return a jitted program that calls a handler which does nothing, of the same operands.

    What it takes is JAX's: to look at the arguments, a key among them, and to call any handler.
    """

    @bodies.body("benchmark_nothing", 2, 1)
    def _(real):
        @frames.compiled
        def run(ins, outs, options):
            return 0

        return run

    name = handlers.target("benchmark_nothing", "float32")
    call = jax.ffi.ffi_call(name, jax.ShapeDtypeStruct(x.shape, x.dtype))
    return jax.jit(lambda x, key: call(x, jax.random.key_data(key), options=np.zeros(5, np.int64)))


def small_calls(key, repeats):
    """Print what a small call costs beyond a handler that does nothing, and the kernel of it."""
    x = jnp.asarray(common.logits(8, 8))
    rows, out = _validate.frozen(np.asarray(x)), np.empty((1, *x.shape), np.float32)
    noise, scale = (fj.to_key(key).kernel_words, 0, 0), _validate.scales(x.dtype, TEMPERATURE, ())
    calls = {
        "one addition": functools.partial(jax.jit(lambda a: a + 1), jnp.ones(())),
        "a handler that does nothing": functools.partial(nothing(x), x, key),
        "gumbel_softmax": functools.partial(programs(True)["gumbel_softmax"], x, key),
        "its kernel, from Python": lambda: concrete_by_ratios.gumbel_softmax(
            rows, noise, scale, 0, out, _marks.marks()
        ),
    }
    for call in calls.values():
        jax.block_until_ready(call())
    times = best(calls, 10 * repeats, 20)  # so few that a busy machine lets some through
    print("\n8 x 8 float32 under jit, microseconds a call")
    for name, t in times.items():
        print(f"{name:28} {t:14.1f}")
    own, floor = times["gumbel_softmax"], times["a handler that does nothing"]
    print(f"{'beyond what does nothing':28} {own - floor:14.1f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=common.ROWS)
    parser.add_argument("--categories", type=int, default=common.CATEGORIES)
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    key = jax.random.key(common.KEY)
    for rows, categories, each in ((8, 8, 200), (options.rows, options.categories, 1)):
        x = common.logits(rows, categories)
        on_device = jnp.asarray(x)
        known = frames.version
        routes = {"NumPy API": numpy_calls(x, fj.to_key(key))}
        for name, ours in (("JAX's own", False), ("fastgrad.jax", True), ("callback", True)):
            frames.version = (lambda: None) if name == "callback" else known
            made = programs(ours)
            for call in made.values():
                jax.block_until_ready(call(on_device, key))
            bound = {task: functools.partial(call, on_device, key) for task, call in made.items()}
            routes[name] = bound
        frames.version = known
        print(f"\n{rows} x {categories} float32, microseconds a call")
        print(f"{'':28}", *(f"{name:>14}" for name in routes), f"{'own / ours':>12}")
        for task in routes["NumPy API"]:
            calls = {name: bound[task] for name, bound in routes.items()}
            for call in calls.values():
                call()
            times = best(calls, options.repeats, each)
            ratio = times["JAX's own"] / times["fastgrad.jax"]
            print(f"{task:28}", *(f"{t:14.1f}" for t in times.values()), f"{ratio:12.1f}")
    small_calls(key, options.repeats)


if __name__ == "__main__":
    main()
