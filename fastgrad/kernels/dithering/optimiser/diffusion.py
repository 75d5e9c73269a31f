"""Error diffusion: each pixel takes the nearest colour, and hands on to others what is missing.

Oracle: tests/support/reference_dithering.py, `diffused`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import BORROWED, block, chunk_range, kernel
from fastgrad.kernels.dithering.optimiser.search import nearest
from fastgrad.kernels.simd.intrinsics import fma, like

BAND = 128  # rows between which no error passes: bands are worked on side by side
AHEAD, BEHIND, BELOW = 7 / 16, 4 / 16, 5 / 16  # Floyd and Steinberg's, but for serpentines


@block(**BORROWED)
def diffuse_band(labels, planes, weights, palette, limits, top, bottom, goal, errors):
    """labels = the nearest colours in a band of rows, back and forth; limits bound errors."""
    width = labels.shape[1]
    errors[:] = like(0, errors)
    for y in range(top, bottom):
        here, there = errors[y % 2], errors[(y + 1) % 2]
        there[:] = like(0, there)
        step = 1 - 2 * (y % 2)
        for i in range(width):
            c = i if step > 0 else width - 1 - i
            for channel in range(goal.size):
                goal[channel] = planes[channel, y, c] + here[channel, c + 1]
            chosen, _ = nearest(palette, goal)
            labels[y, c] = chosen
            if weights[y, c] == like(0, weights):
                continue
            for channel in range(goal.size):
                most = limits[channel]
                e = min(max(goal[channel] - palette[channel, chosen], -most), most)
                here[channel, c + 1 + step] = fma(like(AHEAD, e), e, here[channel, c + 1 + step])
                there[channel, c + 1] = fma(like(BELOW, e), e, there[channel, c + 1])
                there[channel, c + 1 - step] = fma(like(BEHIND, e), e, there[channel, c + 1 - step])


@kernel(cost=lambda labels, palette: labels.size * (palette.shape[1] + 16))
def diffuse(chunk, chunks, labels, planes, weights, palette, limits):
    """labels = the picture of diffused errors; limits has a number for each channel."""
    height, width = labels.shape
    real, channels = planes.dtype, len(planes)
    goal, errors = np.empty(channels, real), np.empty((2, channels, width + 2), real)
    for b in chunk_range((height + BAND - 1) // BAND, chunk, chunks):
        rows = b * BAND, min((b + 1) * BAND, height)
        diffuse_band(labels, planes, weights, palette, limits, *rows, goal, errors)
