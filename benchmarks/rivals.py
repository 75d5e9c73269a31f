"""fastgrad beside NumPy, torch and JAX (whichever is installed), each at its best.

    python -m benchmarks.rivals [--json FILE] [--seconds 1]

Each library runs in a process of its own, bound to one core or to two (where the system can bind;
elsewhere its own thread settings are all there is), and each number is the shortest of many calls.
`relax_vjp` is `relax` followed by the gradients through both relaxations, for every library.
"""

import argparse
import functools
import importlib.util
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np

from . import acceptance, common

LIBRARIES = ("fastgrad", "numpy", "torch", "jax")
WORKS = ("gumbel", "sample", "gumbel_softmax", "relax", "relax_vjp")
TAU = common.TEMPERATURE


# -- the works, as users of each library would write them: {work: {variant: call}} --------------


def fastgrad_works(x, cotangents, threads):
    import numba

    numba.set_num_threads(threads)
    works = common.works(x)
    relax, product = works["relax"], works["relax_vjp"]
    works["relax_vjp"] = lambda: (relax(), product())
    return {work: {"fastgrad": call} for work, call in works.items()}


def numpy_works(x, cotangents, threads):
    rng = np.random.Generator(np.random.SFC64(common.KEY))
    rows = np.arange(len(x))

    def exponential():
        return rng.standard_exponential(x.shape, dtype=x.dtype)

    def gumbel_exponential():
        noise = np.log(exponential())
        return np.negative(noise, out=noise)

    def gumbel_uniform():
        noise = rng.random(x.shape, dtype=x.dtype)
        for function in (np.log, np.negative, np.log, np.negative):
            function(noise, out=noise)
        return noise

    def softmax(y):
        y = y - y.max(-1, keepdims=True)
        np.exp(y, out=y)
        y /= y.sum(-1, keepdims=True)
        return y

    def inverse():
        cumulative = softmax(x).cumsum(-1)
        u = rng.random((len(x), 1), dtype=x.dtype) * cumulative[:, -1:]
        return (cumulative < u).sum(-1)

    def race():
        return (softmax(x) / exponential()).argmax(-1)

    def relax():
        p = softmax(x)
        log_p = np.log(p)
        z = log_p + gumbel_exponential()
        b = z.argmax(-1)
        best = z[rows, b][:, None]
        time, fresh = np.exp(-best) * p, exponential()
        conditional = log_p - np.log(time + fresh)
        conditional[rows, b] = best[:, 0]
        score = -p
        score[rows, b] += 1
        results = b, softmax(z / TAU), softmax(conditional / TAU), score
        return results, p, fresh / (time + fresh)

    def product():
        (b, relaxed, conditional, _), p, weights = relax()

        def through_softmax(y, cotangent):
            return y * (cotangent - (y * cotangent).sum(-1, keepdims=True)) / TAU

        r = through_softmax(conditional, cotangents[1])
        fixed = (1 - weights) * r
        fixed[rows, b] = r[rows, b]
        weights[rows, b] = 0
        through_conditional = weights * r + p * fixed.sum(-1, keepdims=True)
        return through_softmax(relaxed, cotangents[0]), through_conditional

    return {
        "gumbel": {"exponential": gumbel_exponential, "uniform": gumbel_uniform},
        "sample": {"inverse CDF": inverse, "race": race},
        "gumbel_softmax": {"exponential": lambda: softmax((x + gumbel_exponential()) / TAU)},
        "relax": {"exponential": relax},
        "relax_vjp": {"closed form": product},
    }


def torch_works(x, cotangents, threads):
    import torch

    torch.set_num_threads(threads)
    logits, cotangents = torch.from_numpy(x), [torch.from_numpy(c) for c in cotangents]

    def by_exponential(y):
        return torch.empty_like(y).exponential_()

    def by_rand(y):
        return -torch.rand_like(y).log()

    def gumbel(exponential, y):
        return -exponential(y).log()

    def race(exponential, y):
        return (torch.softmax(y, -1) / exponential(y)).argmax(-1)

    def soft(exponential, y):
        return torch.softmax((y + gumbel(exponential, y)) / TAU, -1)

    def relax(exponential, y):
        log_p = torch.log_softmax(y, -1)
        p = log_p.exp()
        z = log_p - exponential(y).log()
        best, b = z.detach().max(-1, keepdim=True)
        conditional = log_p - ((-best).exp() * p + exponential(y)).log()
        conditional = conditional.scatter(-1, b, best)
        score = torch.zeros_like(p).scatter_(-1, b, 1.0) - p
        return b, torch.softmax(z / TAU, -1), torch.softmax(conditional / TAU, -1), score

    def product(forward):
        y = logits.clone().requires_grad_()
        _, relaxed, conditional, _ = forward(y)
        first = torch.autograd.grad(relaxed, y, cotangents[0], retain_graph=True)
        return first, torch.autograd.grad(conditional, y, cotangents[1])

    def variants(function):
        noises = {"exponential_": by_exponential, "rand": by_rand}
        plain = {name: functools.partial(function, noise) for name, noise in noises.items()}
        # inductor draws exponential_ through a fallback; rand is what it fuses
        return {**plain, "rand, compiled": torch.compile(plain["rand"], dynamic=False)}

    forwards = {name: functools.partial(f, logits) for name, f in variants(relax).items()}
    return {
        "gumbel": {n: functools.partial(f, logits) for n, f in variants(gumbel).items()},
        "sample": {
            "multinomial": lambda: torch.multinomial(torch.softmax(logits, -1), 1),
            **{f"race, {n}": functools.partial(f, logits) for n, f in variants(race).items()},
        },
        "gumbel_softmax": {
            "F.gumbel_softmax": lambda: torch.nn.functional.gumbel_softmax(logits, tau=TAU),
            **{n: functools.partial(f, logits) for n, f in variants(soft).items()},
        },
        "relax": forwards,
        "relax_vjp": {n: functools.partial(product, f) for n, f in variants(relax).items()},
    }


def jax_works(x, cotangents, threads):
    import jax
    import jax.numpy as jnp

    x, cotangents = jnp.asarray(x), [jnp.asarray(c) for c in cotangents]

    def soft(key, y):
        return jax.nn.softmax((y + jax.random.gumbel(key, y.shape)) / TAU)

    def relax(key, y):
        first, second = jax.random.split(key)
        log_p = jax.nn.log_softmax(y)
        p = jnp.exp(log_p)
        z = log_p + jax.random.gumbel(first, y.shape)
        b = z.argmax(-1)
        best = jax.lax.stop_gradient(z.max(-1, keepdims=True))
        chosen = jnp.arange(y.shape[-1]) == b[..., None]
        fresh = jax.random.exponential(second, y.shape)
        conditional = jnp.where(chosen, best, log_p - jnp.log(jnp.exp(-best) * p + fresh))
        return b, jax.nn.softmax(z / TAU), jax.nn.softmax(conditional / TAU), chosen - p

    def product(key, y):
        results, pull = jax.vjp(lambda y: relax(key, y)[1:3], y)
        nothing = jnp.zeros_like(y)
        return results, pull((cotangents[0], nothing)), pull((nothing, cotangents[1]))

    functions = {
        "gumbel": lambda key, y: jax.random.gumbel(key, y.shape),
        "sample": jax.random.categorical,
        "gumbel_softmax": soft,
        "relax": relax,
        "relax_vjp": product,
    }

    def call(function, key):
        return lambda: jax.block_until_ready(function(key, x))

    kinds = {kind: jax.random.key(common.KEY, impl=kind) for kind in ("threefry2x32", "rbg")}
    return {
        work: {f"jit, {kind}": call(jax.jit(function), key) for kind, key in kinds.items()}
        for work, function in functions.items()
    }


# -- measuring ----------------------------------------------------------------------------------


def measure(library, threads, seconds):
    """Return {work: {variant: [seconds, seconds of U]}} of a library, measured in this process."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    x = common.logits()
    cotangents = np.random.default_rng(1).normal(size=(2, *x.shape)).astype(x.dtype)
    works = globals()[f"{library}_works"](x, cotangents, threads)
    unit = common.log_of(x.size)
    times = {}
    for work in WORKS:
        times[work] = {}
        for variant, call in works[work].items():
            try:
                with np.errstate(all="ignore"):  # NumPy's noise may be 0, and its logarithm -inf
                    times[work][variant] = common.best(call, seconds, beside=unit)
            except Exception as error:  # torch.compile without a compiler, for one
                if "compiled" not in variant:
                    raise
                print(f"{library}: {work}, {variant}: {error!r:.100}", file=sys.stderr)
    return times


def in_new_process(worker, threads, seconds):
    """Run a worker of this module with so many threads; return what it measured."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
    environment = {**os.environ, **dict.fromkeys(names, str(threads))}
    if threads == 1:  # says to XLA what the binding says on Linux
        flag = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
        environment["XLA_FLAGS"] = flag
    command = [sys.executable, "-m", "benchmarks.rivals", "--worker", worker]
    command += ["--threads", str(threads), "--seconds", str(seconds)]
    root = Path(__file__).resolve().parent.parent
    done = subprocess.run(command, cwd=root, env=environment, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def machine(libraries):
    """Return what the numbers depend on."""
    model, versions = platform.processor() or platform.machine(), {}
    if os.path.exists("/proc/cpuinfo"):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), model)
    for library in (*libraries, "numba"):
        module = importlib.import_module(library)
        versions[library] = module.__version__
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {"processor": model, "cores": os.cpu_count(), "load": load, "versions": versions}


def table(results):
    """Print ns per logit and U, the fastest variant of each library."""
    libraries = list(results)
    elements = common.ROWS * common.CATEGORIES
    print(
        f"\nns per logit (and U), float32, {common.ROWS} rows of {common.CATEGORIES}; bound cores"
    )
    print("| work | threads | " + " | ".join(libraries) + " | fastest rival / fastgrad |")
    print("|---" * (len(libraries) + 3) + "|")
    for work in WORKS:
        for threads in ("1", "2"):
            cells, rivals = [], []
            for library in libraries:
                if threads not in results[library]:
                    cells.append("-")
                    continue
                variants = results[library][threads][work]
                seconds, unit = min(variants.values())
                cells.append(f"{seconds / elements * 1e9:.2f} ({seconds / unit:.1f})")
                if library != "fastgrad":
                    rivals.append(seconds)
                else:
                    ours = seconds
            if "fastgrad" in libraries and rivals and cells[0] != "-":
                cells.append(f"{min(rivals) / ours:.1f}")
            print(f"| {work} | {threads} | " + " | ".join(cells) + " |")
    print("\nFastest variants, one thread:")
    for library in libraries[1:]:
        names = (min(v, key=v.get) for v in results[library]["1"].values())
        pairs = (f"{work}: {name}" for work, name in zip(WORKS, names))
        print(f"- {library}: {'; '.join(pairs)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", metavar="FILE", help="write every variant's times, in seconds")
    parser.add_argument("--seconds", type=float, default=1.0, help="time for each measurement")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, default=1, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker == "acceptance":
        print(json.dumps(acceptance.measure(options.seconds)))
        return
    if options.worker:
        print(json.dumps(measure(options.worker, options.threads, options.seconds)))
        return

    libraries = [name for name in LIBRARIES if importlib.util.find_spec(name)]
    about = machine(libraries)
    print(json.dumps(about))
    cores, results = os.cpu_count(), {}
    for library in libraries:
        counts = [1] if library == "numpy" or cores == 1 else [1, 2]
        results[library] = {
            str(threads): in_new_process(library, threads, options.seconds) for threads in counts
        }
    table(results)
    accepted = in_new_process("acceptance", min(cores, 2), options.seconds)
    accepted += acceptance.against_rivals(results)
    acceptance.table(accepted)
    if options.json:
        report = {"machine": about, "seconds": results, "acceptance": accepted}
        Path(options.json).write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
