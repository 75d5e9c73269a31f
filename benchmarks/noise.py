"""Is a slow-down of 10 % found, and nothing where nothing has changed? For an idle machine.

    python -m benchmarks.noise [--false-alarms 5] [--slow 0.10] [--only NAME ...]

In a copy of the repository, asv compares the last commit with one that changes nothing, several
times; then, for each function of `SLOWED`, with one in which that function takes longer by a share
of its own time. Prints what it found, and ends with 1 if a slow-down was missed or imagined.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FACTOR = 1.05  # asv reports what is slower than that
SLOWED = {  # a function, and the benchmark that is to notice
    "random.gumbel": r"bench_random.Noise.track_noise_in_units\('gumbel'",
    "sample": r"bench_categorical.Dtype.track_in_units\('sample'",
    "log_prob": r"bench_categorical.Dtype.track_in_units\('log_prob'",
    "entropy": r"bench_categorical.Dtype.track_in_units\('entropy'",
    "score": r"bench_categorical.Dtype.track_in_units\('score'",
    "gumbel_softmax": r"bench_concrete.*track_in_units\('gumbel_softmax'",
    "relax": r"bench_concrete.*track_in_units\('relax'",
    "relax_vjp": r"bench_concrete.*track_in_units\('relax_vjp'",
    "bernoulli.sample": r"bench_bernoulli.*track_in_units\('sample'",
    "bernoulli.relax": r"bench_bernoulli.*track_in_units\('relax'",
}
PLANTED = """

def _slowed(function):
    import functools
    import time

    @functools.wraps(function)
    def slow(*args, **options):
        began = time.perf_counter()
        result = function(*args, **options)
        end = time.perf_counter()
        end += {share} * (end - began)
        while time.perf_counter() < end:
            pass
        return result

    return slow


{place} = _slowed({place})
"""


def git(folder, *arguments):
    """Run git; return what it prints."""
    names = ("-c", "user.name=noise", "-c", "user.email=noise@localhost")
    command = ["git", "-C", str(folder), *names, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def plant(folder, name, share):
    """Commit a slower function on top of the copy's first commit; return the commit."""
    package = folder / "fastgrad" / "__init__.py"
    text = package.read_text(encoding="utf-8")
    package.write_text(text + PLANTED.format(place=name, share=share), encoding="utf-8")
    git(folder, "commit", "-aqm", f"Slow {name} down")
    made = git(folder, "rev-parse", "HEAD")
    git(folder, "reset", "-q", "--hard", "HEAD^")
    return made


def slower(folder, before, after, pattern):
    """Return whether asv finds the later commit slower."""
    command = ["asv", "continuous", "--config", "benchmarks/asv.conf.json", "--interleave-rounds"]
    command += ["--factor", str(FACTOR), "-b", pattern, before, after]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    print(run.stdout[-2000:], flush=True)
    if run.returncode not in (0, 1):
        raise SystemExit(f"asv failed: {run.stderr[-2000:]}")
    return "PERFORMANCE DECREASED" in run.stdout


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
        before = git(folder, "rev-parse", "HEAD")
        every = "|".join(SLOWED[name] for name in given.only)
        for attempt in range(given.false_alarms):
            git(folder, "commit", "-q", "--allow-empty", "-m", f"Change nothing, {attempt}")
            after = git(folder, "rev-parse", "HEAD")
            git(folder, "reset", "-q", "--hard", before)
            if slower(folder, before, after, every):
                wrong.append(f"a false alarm in run {attempt + 1}")
        for name in given.only:
            if not slower(folder, before, plant(folder, name, given.slow), SLOWED[name]):
                wrong.append(f"{name} was slower by {given.slow:.0%}, and nobody noticed")
    print("\n".join(wrong) or f"{len(given.only)} slow-downs found, no false alarm")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
