"""CSSIM against blurred PSNR: E[CSSIM] by Monte Carlo, beside the blurred error alone.

    python -m benchmarks.dither_structure [--size N] [--corner Y X] [--metric M] [-o FILE.png]

A crop of scikit-image's camera in black and white. All is of the sRGB values as they are, as in the
literature: the blurred error that is minimised, the metric (cssim, ssim or ms_ssim), and the
blurred PSNR (Gaussian, 1.5 pixels) that both are compared at. The blurred error alone is traded for
similarity by its own options, nu and sigma; what the metric adds is read off at equal blurred PSNR.
Each line, with a frontier made of its points: blurred PSNR, metric, gain on the blurred error
alone, seconds. Needs matplotlib for the picture and the curve.
"""

import argparse
import time

import numpy as np

from fastgrad.dithering import BlurredError
from fastgrad.dithering.metrics import structure
from fastgrad.dithering.metrics.psnr_and_ssim import psnr
from fastgrad.dithering.optimiser.descent import descend
from fastgrad.dithering.optimiser.refinement import refine

BLACK_AND_WHITE = np.uint8([[0, 0, 0], [255, 255, 255]])
COLOURS = BLACK_AND_WHITE / 255
BLURS = ((1.5, 0.0), (1.5, 0.003), (1.5, 0.01), (1.5, 0.02), (1.5, 0.05), (1.5, 0.1))
BLURS += ((1.2, 0.0), (1.2, 0.01), (1.0, 0.0))
WEIGHTS = {"cssim": (0.03, 0.1, 0.3), "ssim": (0.003, 0.01, 0.03), "ms_ssim": (0.003, 0.01, 0.03)}
ESTIMATORS = ("local_expectation", "gumbel_softmax", "rloo", "rebar")


def load(size, corner):
    """Return a crop of the camera as sRGB values."""
    from skimage import data

    y, x = corner
    plane = data.camera()[y : y + size, x : x + size]
    return np.repeat(plane[..., None], 3, axis=2)


def series(image, f, weights):
    """Yield names of series, settings, pictures and seconds."""
    values = (image / 255).astype(np.float32)
    start = None
    for sigma, nu in BLURS:
        loss, began = BlurredError(values, sigma=sigma, nu=nu), time.perf_counter()
        blank = np.zeros(loss.shape, np.uint8)
        options = {"objective": f, "weight": 0, "estimator": "rloo", "num_samples": 2}
        picture = refine(blank, loss, COLOURS, **options)
        start = picture if start is None else start
        yield "blurred error alone", f"{sigma:g}, {nu:g}", picture, time.perf_counter() - began
    loss = BlurredError(values, sigma=BLURS[0][0], nu=BLURS[0][1])
    for weight in weights:
        picture, began = start.copy(), time.perf_counter()
        descend(picture, loss, COLOURS, f, weight)
        yield "descent alone", f"{weight:g}", picture, time.perf_counter() - began
    for name in ESTIMATORS:
        for weight in weights:
            began = time.perf_counter()
            picture = refine(
                start, loss, COLOURS, objective=f, weight=weight, estimator=name, steps=100
            )
            yield name, f"{weight:g}", picture, time.perf_counter() - began


def frontier(points):
    """Return the best of points (blurred PSNR, similarity) as a function of blurred PSNR."""
    hull = []
    for x, y in sorted(points):
        while (
            len(hull) > 1
            and np.cross(
                [*np.subtract(hull[-1], hull[-2]), 0], [*np.subtract((x, y), hull[-2]), 0]
            )[2]
            >= 0
        ):
            hull.pop()
        hull.append((x, y))
    return lambda x: np.interp(x, *zip(*hull, strict=True))


def report(image, metric):
    """Print a line for each picture, and return them by series."""
    f = getattr(structure, metric)(image, BLACK_AND_WHITE)
    found, alone = {}, None
    for name, setting, picture, seconds in series(image, f, WEIGHTS[metric]):
        if alone is None and name != "blurred error alone":
            alone = frontier([(x, y) for x, y, _ in found["blurred error alone"]])
        x = psnr(BLACK_AND_WHITE[picture], image, sigma=1.5, linear=False)
        y = 1 - f.index(picture[None].astype(np.int32))[0][0]
        found.setdefault(name, []).append((x, y, picture))
        gain = f"{y - alone(x):+.4f}" if alone else "       "
        print(
            f"{name:20} {setting:>10}  {x:6.2f} dB  {y:.4f}  {gain}  {seconds:6.2f} s", flush=True
        )
    return found


def nearest(points, x):
    """Return the point of a series nearest to a blurred PSNR."""
    return min(points, key=lambda point: abs(point[0] - x))


def draw(image, found, metric, path):
    """Write the curve, and three pictures: two of about equal blurred PSNR beside the original."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(2, 2, figsize=(11, 11), layout="constrained")
    curve = axes[0, 0]
    for name, points in found.items():
        style = "o" if name == "blurred error alone" else "o-"
        x, y = zip(*sorted((x, y) for x, y, _ in points), strict=True)
        curve.plot(x, y, style, label=name, markersize=5)
    curve.set_xlabel("blurred PSNR, dB (sRGB values, Gaussian 1.5 px)")
    curve.set_ylabel(f"{metric} (luma of the sRGB values)")
    curve.legend()
    curve.grid(alpha=0.3)
    middle = sorted(found["local_expectation"], key=lambda point: point[0])[-2]
    panels = {
        "original": (image, ""),
        "blurred error alone": nearest(found["blurred error alone"], middle[0]),
        "local_expectation": middle,
    }
    for axis, (name, point) in zip(axes.flat[1:], panels.items(), strict=True):
        picture = point[0] if name == "original" else BLACK_AND_WHITE[point[2]]
        axis.imshow(picture, interpolation="nearest")
        figures = "" if name == "original" else f": {point[0]:.2f} dB, {metric} {point[1]:.4f}"
        axis.set_title(name + figures, fontsize=10)
        axis.axis("off")
    figure.savefig(path, dpi=100)


def main():
    """Run the report."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", type=int, default=128, help="side of the crop")
    parser.add_argument("--corner", type=int, nargs=2, default=(60, 160), metavar=("Y", "X"))
    parser.add_argument("--metric", choices=WEIGHTS, default="cssim")
    parser.add_argument("-o", "--output", default="dither_structure.png")
    arguments = parser.parse_args()
    image = load(arguments.size, arguments.corner)
    found = report(image, arguments.metric)
    draw(image, found, arguments.metric, arguments.output)
    print(f"written: {arguments.output}")


if __name__ == "__main__":
    main()
