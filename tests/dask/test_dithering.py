"""Pictures on Dask arrays: the bits of the whole picture, for any chunks, strips and workers."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastgrad as fg
from fastgrad.dithering.optimiser import diffusion
from fastgrad.dithering.pace import Pace
from fastgrad.dithering.pictures.images import FileError
from fastgrad.dithering.pictures.sources import ArraySource
from fastgrad.dithering.strips.strips import dither_strips

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
import fastgrad.dask as fgd  # noqa: E402

pytestmark = pytest.mark.optional
RNG = np.random.default_rng(0)
COLORS = {"colors": 6, "speed": 10, "rng": 5}


def picture(height, width):
    y, x = np.mgrid[:height, :width]
    values = np.stack([y * 255 / height, x * 255 / width, 128 + 90 * np.sin(y / 19)], axis=-1)
    return np.clip(values + RNG.normal(0, 4, values.shape), 0, 255).astype(np.uint8)


IMAGE = picture(1100, 50)


def in_memory(image, speed=None, **options):
    return dither_strips(ArraySource(image), pace=Pace(speed), **options)


def same(found, expected):
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_array_equal(found.palette, expected.palette)
    assert found.metrics == expected.metrics
    assert found.loss[-1] == expected.loss[-1]
    for name in ("device", "opacity"):
        a, b = getattr(found, name), getattr(expected, name)
        assert (a is None) == (b is None)
        assert a is None or a.tolist() == b.tolist()


@pytest.fixture(scope="module")
def expected():
    return in_memory(IMAGE, **COLORS)


chunks = st.tuples(st.integers(40, 1100), st.integers(7, 50), st.integers(1, 3))
workers = st.sampled_from([("sync", 1), ("threads", 1), ("threads", 3)])


@settings(max_examples=4)
@given(chunks, st.sampled_from([128, 256, 384, 1152, None]), workers)
def test_the_bits_are_those_of_one_picture(expected, chunks, rows, how):
    lazy = fgd.dither(da.from_array(IMAGE, chunks=chunks), rows=rows, **COLORS)
    same(lazy.compute(scheduler=how[0], num_workers=how[1]), expected)
    assert lazy.indices.chunks[0][0] == min(rows or 2048, 1100)


@pytest.mark.parametrize("options", [{"colors": 6}, {"preset": "spectra6"}])
def test_wide_pictures_are_cut_across_too(monkeypatch, options):
    monkeypatch.setattr(diffusion, "WIDE", 256)
    monkeypatch.setattr(diffusion, "SPAN", 64)
    image = np.ascontiguousarray(picture(700, 140).swapaxes(0, 1))
    image[20:30, 250:270] = 255, 0, 0
    options = {**options, "speed": 10}
    lazy = fgd.dither(da.from_array(image, chunks=(100, 90, 2)), rows=128, **options)
    assert lazy.indices.chunks == ((128, 12), (256, 256, 188))
    same(lazy.compute(scheduler="sync"), in_memory(image, **options))


def test_memory_does_not_grow_with_the_width(monkeypatch):
    """What a task holds is bounded by its part, of whatever picture that is one."""
    monkeypatch.setattr(diffusion, "WIDE", 512)
    monkeypatch.setattr(diffusion, "SPAN", 64)
    peaks = []
    for width in (1536, 6144):
        blank = da.zeros((512, width), dtype=np.uint8, chunks=(512, 512))
        lazy = fgd.dither(blank, palette=["#000", "#fff"], rows=512, speed=10)
        columns = lazy.indices.blocks[0, 1]
        columns.compute(scheduler="sync")
        tracemalloc.start()
        columns.compute(scheduler="sync")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.05 * peaks[0]


def test_processes(tmp_path, expected):
    zarr = pytest.importorskip("zarr")
    lazy = fgd.dither(da.from_array(IMAGE, chunks=(400, 50, 3)), rows=384, **COLORS)
    how = {"scheduler": "processes", "num_workers": 2}
    figures = lazy.to_zarr(tmp_path / "a.zarr", **how)
    array = zarr.open(str(tmp_path / "a.zarr"), mode="r")
    np.testing.assert_array_equal(array[:], expected.indices)
    assert figures["loss"] == expected.loss[-1]


GREY = np.dstack([IMAGE[..., 2], np.where(IMAGE[..., 1] > 250, 0, 255)]).astype(np.uint8)

SOFT = np.dstack([IMAGE, np.clip(IMAGE[..., 1] * 1.2 - 20, 0, 255).astype(np.uint8)])


@pytest.mark.parametrize(
    ("image", "options"),
    [
        (IMAGE.astype(np.uint16) * 200, {"palette": ["#000", "#f00", "#0ff", "#fff"]}),
        (IMAGE / np.float32(255), {"preset": "spectra6"}),
        (GREY, {"colors": 4, "speed": 10}),
        (np.full((700, 9), 7, np.uint8), {"colors": 3}),
        (SOFT, {"colors": 9, "speed": 10, "hidden": True}),
    ],
    ids=["16 bits", "floats on a panel", "greys with opacity", "a single colour", "soft edges"],
)
def test_kinds_of_pictures(image, options):
    lazy = fgd.dither(da.from_array(image, chunks=(300, 20, -1)[: image.ndim]), rows=384, **options)
    whole = in_memory(image, **options)
    same(lazy.compute(), whole)
    np.testing.assert_array_equal(lazy.image.compute(), whole.image)
    assert lazy.image.shape == whole.image.shape


def test_each_part_is_asked_for_when_it_is_needed():
    asked = []

    def noted(block, block_info=None):
        asked.append(block_info[0]["chunk-location"][0])
        return block

    image = da.zeros((9_000, 4), dtype=np.uint8, chunks=(100, 4))
    image = image.map_blocks(noted, dtype=np.uint8, meta=np.empty((0, 0), np.uint8))
    lazy = fgd.dither(image, palette=["#000", "#fff"], rows=1024)
    assert sorted(set(asked)) == list(range(90))
    assert len(asked) < 2.1 * 90, "by a survey and a sample"
    asked.clear()
    lazy.indices[4100:5100].compute()
    assert len(asked) == len(set(asked)) < 24, "of 90"
    assert set(range(41, 51)) < set(asked)


def test_to_zarr(tmp_path, expected):
    zarr = pytest.importorskip("zarr")
    lazy = fgd.dither(da.from_array(IMAGE, chunks=(400, 50, 3)), rows=384, **COLORS)
    figures = lazy.to_zarr(tmp_path / "a.zarr", scheduler="threads")
    array = zarr.open(str(tmp_path / "a.zarr"), mode="r")
    np.testing.assert_array_equal(array[:], expected.indices)
    assert array.attrs["palette"] == expected.palette.tolist()
    assert array.chunks == (128, 50)
    assert figures["loss"] == expected.loss[-1]
    assert figures["psnr"] == expected.metrics["psnr"]
    with pytest.raises(FileError, match=r"cannot write .*a.zarr: it is there already"):
        lazy.to_zarr(tmp_path / "a.zarr")
    broken = []

    def read(block):
        assert not broken, "the disk is gone"
        return block

    image = da.from_array(IMAGE, chunks=(400, 50, 3)).map_blocks(read, dtype=np.uint8)
    lazy = fgd.dither(image, palette=["#000", "#fff"], rows=384)
    broken.append(True)
    with pytest.raises(AssertionError, match="the disk is gone"):
        lazy.to_zarr(tmp_path / "b.zarr", scheduler="sync")
    assert [path.name for path in tmp_path.iterdir()] == ["a.zarr"]


def test_what_cannot_be_done_is_refused():
    image = da.from_array(IMAGE, chunks=(400, 50, 3))
    with pytest.raises(TypeError, match="image must be a Dask array, got ndarray"):
        fgd.dither(IMAGE)
    with pytest.raises(ValueError, match="rows must be a multiple of 128, got 200"):
        fgd.dither(image, rows=200)
    with pytest.raises(ValueError, match="image must have chunks of known sizes"):
        fgd.dither(image[image[:, 0, 0] > 3])
    with pytest.raises(ValueError, match="image must have shape"):
        fgd.dither(image[0, 0])
    with pytest.raises(ValueError, match="colors must be"):
        fgd.dither(image, colors=1)


def test_it_is_what_the_function_of_arrays_does(monkeypatch, expected):
    monkeypatch.setattr("fastgrad.dithering.pictures.images.MAX_PIXELS", 5000)
    same(fg.dither(IMAGE, **COLORS), expected)
