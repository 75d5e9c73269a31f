"""The application, on a smooth synthetic picture with noise."""

import numpy as np

from . import common


def picture(size):
    """Colour ramps with some texture, uint8."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:size, 0:size] / (size - 1)
    ramps = np.stack([x, y, 1 - (x + y) / 2], axis=-1)
    return (255 * np.clip(ramps + 0.1 * rng.normal(size=ramps.shape), 0, 1)).astype(np.uint8)


class Dither:
    params = common.grid([2, 16, 64], [1, 2])
    param_names = ("colors", "threads")

    def setup(self, colors, threads):
        from fastgrad.dithering import dither

        common.set_threads(threads)
        image = picture(128)
        self.call = lambda: dither(image, colors=colors, rng=0)
        self.call()

    def time_dither(self, colors, threads):
        self.call()


class Photograph:
    """A megapixel: seconds and memory."""

    size = 256 if common.QUICK else 1024

    timeout = 600

    def setup(self):
        from fastgrad.dithering import dither

        dither(picture(64), colors=16, rng=0)
        self.image = picture(self.size)

    def time_dither(self):
        from fastgrad.dithering import dither

        dither(self.image, colors=16, rng=0)

    def peakmem_dither(self):
        self.time_dither()
