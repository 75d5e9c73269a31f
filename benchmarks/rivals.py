"""fastgrad beside C, NumPy, torch and JAX (whichever is installed), each at its best.

    python -m benchmarks.rivals [--json FILE] [--seconds 1] [--avx2] [--categories 3 16 64 1000]

Each library runs in a process of its own, bound to one core or to two (where the system can bind;
elsewhere its own thread settings are all there is), and each number is the shortest of many calls.
`relax_vjp` is `relax` followed by the gradients through both relaxations, for every library; C is
`kernels.c`, on one thread. With `--avx2` all are held to the instructions of processors without
AVX-512; those that have none are anyway.
"""

import argparse
import importlib.util
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np

from . import acceptance, common, in_c, rivals_works
from .rivals_works import WORKS

LIBRARIES = ("fastgrad", "c", "numpy", "torch", "jax")
ONE_THREAD = {"c", "numpy"}
NO_AVX512 = {
    common.HELD: "1",
    "NUMBA_CPU_NAME": "haswell",
    "NUMBA_CPU_FEATURES": "+avx2,+fma,+avx,+sse4.2,+bmi,+bmi2,+lzcnt,+popcnt",
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
    "XLA_FLAGS": "--xla_cpu_max_isa=AVX2",
}


def measure(library, threads, seconds, categories, chosen):
    """Return {work: {variant: [seconds, seconds of U]}} of a library, measured in this process."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    x = common.logits(common.ROWS * common.CATEGORIES // categories, categories)
    cotangents = np.random.default_rng(1).normal(size=(2, *x.shape)).astype(x.dtype)
    works = getattr(rivals_works, f"{library}_works")(x, cotangents, threads)
    unit = common.log_of(x.size)
    times = {}
    for work in chosen:
        if work not in works:
            continue
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


def in_new_process(worker, threads, options, categories=common.CATEGORIES):
    """Run a worker of this module with so many threads; return what it measured."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
    environment = {**os.environ, **dict.fromkeys(names, str(threads))}
    if options.avx2:
        environment |= NO_AVX512
    if threads == 1:  # says to XLA what the binding says on Linux
        flag = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
        environment["XLA_FLAGS"] = f"{environment.get('XLA_FLAGS', '')} {flag}"
    command = [sys.executable, "-m", "benchmarks.rivals", "--worker", worker]
    command += ["--threads", str(threads), "--seconds", str(options.seconds)]
    command += ["--categories", str(categories), "--works", *options.works]
    root = Path(__file__).resolve().parent.parent
    done = subprocess.run(command, cwd=root, env=environment, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def machine(libraries, avx2):
    """Return what the numbers depend on."""
    model, versions = platform.processor() or platform.machine(), {}
    if os.path.exists("/proc/cpuinfo"):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), model)
    for library in (*libraries, "numba"):
        if library != "c":
            versions[library] = importlib.import_module(library).__version__
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    about = {"processor": model, "cores": os.cpu_count(), "load": load, "versions": versions}
    return about | {"held to AVX2": avx2}


def table(results, categories):
    """Print ns per logit and U, of the fastest variants: {library: {threads: times of works}}."""
    libraries, elements = list(results), common.ROWS * common.CATEGORIES
    rows = elements // categories
    print(f"\nns per logit (and U), float32, {rows} rows of {categories}; bound cores")
    heads = [*libraries, "C / fastgrad", "fastest framework / fastgrad"]
    print("| work | threads | " + " | ".join(heads) + " |")
    print("|---" * (len(heads) + 2) + "|")
    for work in WORKS:
        for threads in ("1", "2"):
            best = {}
            for library in libraries:
                variants = results[library].get(threads, {}).get(work)
                if variants:
                    best[library] = min(variants.values())
            if not best:
                continue
            cells = [
                f"{best[x][0] / elements * 1e9:.2f} ({best[x][0] / best[x][1]:.1f})"
                if x in best
                else "-"
                for x in libraries
            ]
            for names in ({"c"}, set(libraries) - {"c", "fastgrad"}):
                rivals = [best[x][0] for x in names & set(best)]
                known = rivals and "fastgrad" in best
                cells.append(f"{min(rivals) / best['fastgrad'][0]:.2f}" if known else "-")
            print(f"| {work} | {threads} | " + " | ".join(cells) + " |")
    print("\nFastest variants, one thread:")
    for library in libraries:
        if library not in ("c", "fastgrad"):
            found = results[library]["1"]
            names = (f"{work}: {min(v, key=v.get)}" for work, v in found.items())
            print(f"- {library}: {'; '.join(names)}")


def available(library):
    """Return whether a library, or the compiler of C, is here."""
    return in_c.available() if library == "c" else bool(importlib.util.find_spec(library))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", metavar="FILE", help="write every variant's times, in seconds")
    parser.add_argument("--seconds", type=float, default=1.0, help="time for each measurement")
    parser.add_argument("--avx2", action="store_true", help="hold all to AVX2")
    parser.add_argument("--categories", type=int, nargs="*", default=[common.CATEGORIES])
    parser.add_argument("--works", nargs="*", choices=WORKS, default=WORKS)
    parser.add_argument("--libraries", nargs="*", choices=LIBRARIES, default=LIBRARIES)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, default=1, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker == "acceptance":
        print(json.dumps(acceptance.measure(options.seconds)))
        return
    if options.worker:
        how = options.threads, options.seconds, options.categories[0], options.works
        print(json.dumps(measure(options.worker, *how)))
        return

    libraries = [name for name in options.libraries if available(name)]
    about = machine(libraries, options.avx2)
    print(json.dumps(about))
    cores, found = os.cpu_count(), {}
    for categories in options.categories:
        results = found[categories] = {}
        for library in libraries:
            counts = [1] if library in ONE_THREAD or cores == 1 else [1, 2]
            results[library] = {
                str(n): in_new_process(library, n, options, categories) for n in counts
            }
        table(results, categories)
    accepted = []
    if tuple(options.works) == WORKS and "fastgrad" in libraries and not options.avx2:
        accepted = in_new_process("acceptance", min(cores, 2), options)
        accepted += acceptance.against_rivals(found.get(common.CATEGORIES, {}))
        acceptance.table(accepted)
    if options.json:
        report = {"machine": about, "seconds": found, "acceptance": accepted}
        Path(options.json).write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
