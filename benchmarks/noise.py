"""Is a slow-down of 10 % found, and nothing where nothing has changed? Half an hour.

    python -m benchmarks.noise [--false-alarms 5] [--slow 0.10] [--only NAME ...]

In a copy of the repository, asv compares the last commit with one that changes nothing, several
times; then with one in which each function of `SLOWED` takes longer by a share of its own time.
Prints what asv reports, and ends with 1 if a slow-down was missed or imagined.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONFIG = "benchmarks/asv.conf.json"
FACTOR = 1.05  # asv reports what is slower than that
SLOWED = {  # a function, and the benchmark that is to notice
    "random.gumbel": r"bench_random.Noise.track_noise_in_units\('gumbel', 'float32'",
    "sample": r"bench_categorical.Dtype.track_in_units\('sample', 'float32'",
    "log_prob": r"bench_categorical.Dtype.track_in_units\('log_prob', 'float32'",
    "entropy": r"bench_categorical.Dtype.track_in_units\('entropy', 'float32'",
    "score": r"bench_categorical.Dtype.track_in_units\('score', 'float32'",
    "gumbel_softmax": r"bench_concrete.*track_in_units\('gumbel_softmax', 'float32'",
    "relax": r"bench_concrete.*track_in_units\('relax', 'float32'",
    "relax_vjp": r"bench_concrete.*track_in_units\('relax_vjp', 'float32'",
    "bernoulli.sample": r"bench_bernoulli.*track_in_units\('sample', 'float32'",
    "bernoulli.relax": r"bench_bernoulli.*track_in_units\('relax', 'float32'",
}
PLANTED = """

def _slowed(function, share):
    import functools
    import time

    @functools.wraps(function)
    def slow(*args, **options):
        began = time.perf_counter()
        result = function(*args, **options)
        end = time.perf_counter()
        end += share * (end - began)
        while time.perf_counter() < end:
            pass
        return result

    return slow


"""
SLOWER = "{place} = _slowed({place}, {share})\n"


def git(folder, *arguments):
    """Run git; return what it prints."""
    names = ("-c", "user.name=noise", "-c", "user.email=noise@localhost")
    command = ["git", "-C", str(folder), *names, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def commit(folder, before, message, text=""):
    """Add text to the copy's package; return a commit of it on top of `before`."""
    package = folder / "fastgrad" / "__init__.py"
    package.write_text(package.read_text(encoding="utf-8") + text, encoding="utf-8")
    git(folder, "commit", "-q", "--allow-empty", "-am", message)
    made = git(folder, "rev-parse", "HEAD")
    git(folder, "reset", "-q", "--hard", before)
    return made


def slower(folder, before, after, names):
    """Return those of the names whose benchmarks asv finds slower in the later commit."""
    command = ["asv", "continuous", "--config", CONFIG, "--factor", str(FACTOR)]
    command += ["-b", "|".join(SLOWED[name] for name in names), before, after]
    # The same sources find the kernels of the run before.
    variables = {**os.environ, "NUMBA_CACHE_DIR": str(folder.parent / "cache")}
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=variables)
    if run.returncode not in (0, 1):
        raise SystemExit(f"asv failed: {run.stdout[-2000:]}{run.stderr[-2000:]}")
    _, _, table = run.stdout.partition("| Change")
    print(table and f"| Change{table}", flush=True)
    rows = [line for line in table.splitlines() if line.startswith("| +")]
    return [name for name in names if any(re.search(SLOWED[name], row) for row in rows)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--false-alarms", type=int, default=5, metavar="N")
    parser.add_argument("--slow", type=float, default=0.10, metavar="SHARE")
    parser.add_argument("--only", nargs="*", choices=SLOWED, default=list(SLOWED))
    given = parser.parse_args()
    wrong = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "copy"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(folder)], check=True)
        git(folder, "checkout", "-qB", "main")
        subprocess.run(["asv", "machine", "--yes", "--config", CONFIG], cwd=folder, check=True)
        before = git(folder, "rev-parse", "HEAD")
        for attempt in range(1, given.false_alarms + 1):
            after = commit(folder, before, f"Change nothing, {attempt}")
            found = slower(folder, before, after, given.only)
            wrong += [f"a false alarm of {name} in run {attempt}" for name in found]
        slow = "".join(SLOWER.format(place=name, share=given.slow) for name in given.only)
        after = commit(folder, before, "Slow down", PLANTED + slow)
        missed = set(given.only) - set(slower(folder, before, after, given.only))
        wrong += [f"{name} was slower by {given.slow:.0%}, and nobody noticed" for name in missed]
    print("\n".join(wrong) or f"{len(given.only)} slow-downs found, no false alarm")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
