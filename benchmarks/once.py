"""Every benchmark of the suite once, in one process: whether all run, not how fast they are.

asv starts a process for every value of every parameter, which imports all and prepares its data;
that takes minutes, and shows no more than this. `python -m benchmarks.once`, from the root.
"""

import itertools
import os
import sys
import time
import traceback
from pathlib import Path

QUICK = {"number": 1, "repeat": 1, "warmup_time": 0, "rounds": 1}  # as asv's own --quick has it


def run(benchmark):
    """Run a benchmark, as asv has found it, for each of its values; return how many there were."""
    count, skipped = len(list(itertools.product(*benchmark._params))), 0
    for i in range(count):
        benchmark.set_param_idx(i)
        benchmark.set_cache(None)
        try:
            if benchmark.do_setup():
                skipped += 1
            else:
                for name, value in QUICK.items():  # its setup has just read them anew
                    setattr(benchmark, name, value)
                answer = benchmark.do_run()
                if isinstance(answer, dict):  # of times
                    assert (len(answer["samples"]), answer["number"]) == (1, 1), answer
        finally:
            benchmark.do_teardown()
    return count - skipped, skipped


def main():
    os.environ["FASTGRAD_QUICK"] = "1"  # read by `common`, which discovery imports
    from asv_runner.discovery import disc_benchmarks

    failed, total = [], 0
    for benchmark in disc_benchmarks(str(Path(__file__).parent)):
        began = time.perf_counter()
        try:
            done, skipped = run(benchmark)
        except Exception:
            traceback.print_exc()
            failed.append(benchmark.name)
            continue
        total += done
        note = f", {skipped} skipped" if skipped else ""
        print(f"{benchmark.name}: {done} in {time.perf_counter() - began:.2f} s{note}", flush=True)
    print(f"{total} values of all benchmarks have run; failed: {', '.join(failed) or 'none'}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
