"""A picture in a Zarr array, dithered by workers of little memory to another one.

    python -m benchmarks.large_dask [--megapixels 1000] [--workers 2] [--memory 1.5] [--rows 2048]
        [--columns 8192]

The picture is synthetic, square or of so many columns, and made chunk by chunk. Workers are
processes of a local cluster, each with one thread and so many GB, above which Dask would end them.
The peak memory of each is printed, and the pace, beside that of the same work without a cluster in
one process (``--alone``), whose rows come one after the other, so that none is searched twice.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

try:
    import dask.array as da
    import zarr

    import fastgrad.dask as fgd
except ImportError:
    da = None  # asv imports every file of this folder

from fastgrad.dithering.pictures.tiff_and_zarr import opened_zarr
from fastgrad.dithering.strips.learning import learn
from fastgrad.dithering.strips.strips import settled

CHUNK = 1024


def scene(place):
    """Return the pixels of a part of the picture: slow waves of colour, and noise."""
    top, left = (s.start for s in place[:2])
    rows, columns = (s.stop - s.start for s in place[:2])
    y = np.arange(top, top + rows, dtype=np.float32)[:, None, None]
    x = np.arange(left, left + columns, dtype=np.float32)[:, None]
    waves = 80 * np.sin(y / np.float32([911, 537, 233]) + x / np.float32([411, 733, 987]))
    noise = 6 * np.random.default_rng([top, left]).standard_normal((rows, columns, 3), np.float32)
    return np.clip(128 + waves + noise, 0, 255).astype(np.uint8)


def part(block_info=None):
    """Return one chunk of the picture."""
    return scene([slice(*ends) for ends in block_info[None]["array-location"]])


def make(path, height, width):
    """Write the picture."""
    cut = da.core.normalize_chunks((CHUNK, CHUNK, 3), (height, width, 3))
    picture = da.map_blocks(part, chunks=cut, dtype=np.uint8, meta=np.empty((0, 0, 0), np.uint8))
    array = zarr.create_array(
        str(path), shape=picture.shape, chunks=(CHUNK, CHUNK, 3), dtype=np.uint8
    )
    da.store(picture, array, lock=False, scheduler="threads", num_workers=2)


def peak():
    """Return the peak memory of this process in GB."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 2**20


def on_workers(source, target, number, memory, rows):
    """Dither on a cluster; return the seconds of learning and of the rest, and peaks."""
    from distributed import Client, LocalCluster

    options = {"n_workers": number, "threads_per_worker": 1, "dashboard_address": None}
    with LocalCluster(**options, memory_limit=f"{memory}GB") as cluster, Client(cluster) as client:
        client.run(first_call)
        began = time.perf_counter()
        lazy = fgd.dither(da.from_zarr(str(source)), colors=16, rows=rows)
        learned = time.perf_counter()
        figures = lazy.to_zarr(target)
        ended = time.perf_counter()
        peaks = client.run(peak)
    return learned - began, ended - learned, figures, list(peaks.values())


def first_call():
    """Load the kernels."""
    fgd.dither(da.zeros((300, 64, 3), dtype=np.uint8), colors=2).compute(scheduler="sync")


def alone(source):
    """Dither in this process, row by row; return the seconds, and the seconds of a processor."""
    with opened_zarr(source) as picture:
        learned = learn(picture, colors=16)
        began, own = time.perf_counter(), time.process_time()
        for _ in settled(picture, learned):
            pass
    return time.perf_counter() - began, time.process_time() - own


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--megapixels", type=float, default=1000.0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--memory", type=float, default=1.5, help="GB of each")
    parser.add_argument("--rows", type=int)
    parser.add_argument("--columns", type=int, help="by default the picture is square")
    parser.add_argument("--alone", action="store_true")
    parser.add_argument("--folder", help="where the arrays are; by default a temporary one")
    args = parser.parse_args()
    if da is None:
        raise SystemExit("this is for users of Dask: pip install fastgrad[dask,large]")
    width = args.columns or round((args.megapixels * 1e6) ** 0.5)
    height = round(args.megapixels * 1e6 / width)
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        source, target = Path(folder, "a.zarr"), Path(folder, "b.zarr")
        make(source, height, width)
        first, rest, figures, peaks = on_workers(
            source, target, args.workers, args.memory, args.rows
        )
        pixels = height * width
        print(f"{pixels / 1e6:.0f} megapixels, {width} columns, {args.workers} workers")
        print(f"learned in {first:.1f} s, dithered in {rest:.1f} s")
        print(f"{1e6 * (first + rest) / pixels:.3f} us a pixel; loss {figures['loss']:.3e}")
        print(f"peak memory of the workers: {', '.join(f'{p:.2f} GB' for p in peaks)}")
        if args.alone:
            clock, own = alone(source)
            print(f"alone {1e6 * clock / pixels:.3f} us a pixel, {1e6 * own / pixels:.3f} of a CPU")


if __name__ == "__main__":
    main()
