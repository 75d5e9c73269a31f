"""Large picture files: time for each pixel, and peak memory, of several sizes side by side.

    python -m benchmarks.large_pictures [--megapixels 4 48 200] [--colors 16] [--rounds 3]

Each picture is a JPEG of 4:3, from the photograph that comes with the package, with the noise of a
sensor. The sizes take turns, each in a process of its own: a first small picture is dithered there
so that all kernels are loaded, then the time is taken from the name of the file to the PNG on the
disk. Medians are printed, and the time for each pixel relative to the first size.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import fastgrad as fg

PHOTOGRAPH = Path(fg.__file__).parent / "data" / "astronaut.jpg"


def make(path, pixels):
    """Write a photograph of so many pixels."""
    from PIL import Image

    height = round((pixels * 3 / 4) ** 0.5)
    with Image.open(PHOTOGRAPH) as photograph:
        whole = photograph.convert("RGB").resize(
            (height * 4 // 3, height), Image.Resampling.BICUBIC
        )
    values, rng = np.asarray(whole), np.random.default_rng(0)
    noisy = np.empty_like(values)
    for top in range(0, height, 256):
        rows = values[top : top + 256]
        noise = 4 * rng.standard_normal(rows.shape, np.float32)
        noisy[top : top + 256] = np.clip(rows + noise, 0, 255)
    del values
    whole.close()
    Image.fromarray(noisy).save(path, quality=92)


def one(source, target, colors):
    """Dither a file, and print what it took."""
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder, "a.png")
        fg.dither(np.arange(3 * 64**2, dtype=np.uint8).reshape(64, 64, 3), colors=colors).save(
            small
        )
    clock, own = time.perf_counter(), time.process_time()
    (made,) = fg.dither_files(source, output=target, colors=colors, max_pixels=1 << 40)
    spent = time.perf_counter() - clock, time.process_time() - own
    if made.error:
        raise SystemExit(made.error)
    # Not getrusage: its peak begins with that of the process that started this one.
    status = Path("/proc/self/status").read_text()
    peak = int(status.partition("VmHWM:")[2].split()[0]) / 2**20
    print(json.dumps({"clock": spent[0], "own": spent[1], "peak": peak, "loss": made.loss[0]}))


def run(*args):
    """Return what this program prints in a process of its own, as JSON says it."""
    command = [sys.executable, "-m", "benchmarks.large_pictures", *map(str, args)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1]) if done.stdout else None


def compare(megapixels, rounds, colors):
    """Return (megapixels, microseconds a pixel, the same of processors, peak in GB) of each."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, f"{size}.jpg") for size in megapixels]
        for size, file in zip(megapixels, files, strict=True):
            run("--make", file, size)
        found = [[] for _ in files]
        for _ in range(rounds):
            for file, results in zip(files, found, strict=True):
                target = file.with_suffix(".png")
                results.append(run("--one", file, target, "--colors", colors))
    table = []
    for size, results in zip(megapixels, found, strict=True):
        spent = [statistics.median(r[name] for r in results) / size for name in ("clock", "own")]
        table.append((size, *spent, max(r["peak"] for r in results), results[0]["loss"]))
    return table


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--megapixels", type=float, nargs="+", default=[4.0, 48.0, 200.0])
    parser.add_argument("--colors", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--make", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.make:
        make(Path(args.make[0]), float(args.make[1]) * 1e6)
        return
    if args.one:
        one(*args.one, args.colors)
        return
    print(f"K = {args.colors}, {fg.get_num_threads()} threads, medians of {args.rounds}")
    print("megapixels  us a pixel (relative)  of a processor (relative)  peak GB        loss")
    table = compare(args.megapixels, args.rounds, args.colors)
    for size, clock, own, peak, loss in table:
        shares = clock / table[0][1], own / table[0][2]
        print(
            f"{size:10g}  {clock:10.3f} {shares[0]:10.3f}  {own:14.3f} {shares[1]:10.3f}"
            f"  {peak:7.2f}  {loss:10.3e}"
        )


if __name__ == "__main__":
    main()
