"""The command line, mostly in this process."""

import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

import fastgrad
from fastgrad import cli, dithering

Image = pytest.importorskip("PIL.Image")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def picture(folder):
    y, x = np.mgrid[:40, :56]
    values = np.stack([4 * x, 6 * y, 255 - 4 * x], axis=-1).astype(np.uint8)
    Image.fromarray(values).save("picture.png")
    return folder / "picture.png"


def load(name, mode="RGB"):
    with Image.open(name) as image:
        return np.asarray(image.convert(mode))


def refused(capsys, *arguments):
    """Run a command that must fail with one line; return the line."""
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    try:
        code = cli.main(list(arguments))
    except SystemExit as exit:
        code = exit.code
    captured = capsys.readouterr()
    assert code == 2
    assert captured.err.count("\n") == 1
    assert "Traceback" not in captured.err
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before
    return captured.err


@pytest.mark.parametrize(("colors", "bits"), [(2, 1), (3, 2), (16, 4), (17, 8), (256, 8)])
def test_dither_writes_an_indexed_png_and_a_comparison(picture, capsys, colors, bits):
    assert cli.main(["dither", "picture.png", "-k", str(colors), "--steps", "5"]) == 0
    output = capsys.readouterr().out
    assert "fastgrad" in output
    assert "Pillow" in output
    data = (picture.parent / "picture-dithered.png").read_bytes()
    assert data[24] == bits  # of the header: depth and colour type
    assert data[25] == 3
    with Image.open("picture-dithered.png") as image:
        assert image.size == (56, 40)
        rgb = np.asarray(image.convert("RGB"))
        assert len(np.unique(rgb.reshape(-1, 3), axis=0)) <= colors
    expected = dithering.dither(load(picture), colors=colors, steps=5)
    np.testing.assert_array_equal(rgb, expected.image)
    with Image.open("picture-comparison.png") as sheet:
        assert sheet.width >= 3 * 56
        assert sheet.height > 40
    assert sorted(p.name for p in picture.parent.iterdir()) == [
        "picture-comparison.png",
        "picture-dithered.png",
        "picture.png",
    ]


def test_output_and_options(picture, capsys):
    (picture.parent / "sub").mkdir()
    options = ["--seed", "3", "--steps", "4", "--sigma", "0.7", "--nu", "0.1"]
    assert cli.main(["dither", str(picture), "-o", "sub/new.png", *options]) == 0
    assert sorted(p.name for p in Path("sub").iterdir()) == ["new-comparison.png", "new.png"]
    result = dithering.dither(load(picture), steps=4, sigma=0.7, nu=0.1, rng=3)
    written = load("sub/new.png")
    np.testing.assert_array_equal(written, result.image)


@pytest.mark.slow
def test_the_bundled_photograph(folder, capsys):
    assert cli.main(["dither"]) == 0
    with Image.open("astronaut-dithered.png") as image:
        assert image.size == (512, 512)


def test_one_pixel(folder, capsys):
    Image.new("RGB", (1, 1), (12, 200, 99)).save("dot.png")
    assert cli.main(["dither", "dot.png"]) == 0
    assert load("dot-dithered.png")[0, 0].tolist() == [12, 200, 99]


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "LA", "CMYK", "I;16", "I"])
def test_modes(folder, capsys, mode):
    grey = np.tile(np.arange(0, 256, 8, dtype=np.uint8), (24, 1))
    if mode in ("I;16", "I"):
        image = Image.fromarray(grey.astype(np.uint16 if mode == "I;16" else np.int32) * 257)
    else:
        image = Image.fromarray(grey).convert(mode)
    name = "image.tif" if mode in ("CMYK", "I") else "image.png"
    image.save(name)
    assert cli.main(["dither", name, "-k", "4", "--steps", "5"]) == 0
    dithered = load("image-dithered.png", "L").astype(float)
    assert dithered[:, :6].mean() < dithered[:, -6:].mean()


def test_transparent_is_white(folder, capsys):
    image = Image.new("RGBA", (8, 8), (255, 0, 0, 255))
    image.paste((0, 0, 0, 0), (0, 0, 4, 8))
    image.save("half.png")
    assert cli.main(["dither", "half.png", "-k", "2"]) == 0
    dithered = load("half-dithered.png")
    assert dithered[0, 0].tolist() == [255, 255, 255]
    assert dithered[7, 7].tolist() == [255, 0, 0]


def test_the_picture_is_turned_upright(folder, capsys):
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: a quarter turn
    Image.new("RGB", (20, 10), "navy").save("turned.jpg", exif=exif)
    assert cli.main(["dither", "turned.jpg", "--steps", "2"]) == 0
    assert load("turned-dithered.png").shape == (20, 10, 3)


def test_bad_images(folder, capsys):
    assert "no such file: missing.png" in refused(capsys, "dither", "missing.png")
    Path("text.png").write_text("This is no picture.")
    assert "not an image" in refused(capsys, "dither", "text.png")
    Path("empty.png").write_bytes(b"")
    assert "not an image" in refused(capsys, "dither", "empty.png")
    Path("folder.png").mkdir()
    assert "not a file" in refused(capsys, "dither", "folder.png")
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    for name in ("cut.png", "cut.jpg"):
        Image.fromarray(noise).save(name)
        Path(name).write_bytes(Path(name).read_bytes()[:2000])
        assert f"cannot read {name}" in refused(capsys, "dither", name)
    Image.fromarray(np.zeros((4, 4), np.float32)).save("float.tif")
    assert "floating-point" in refused(capsys, "dither", "float.tif")


def png_claiming(width, height):
    """A PNG whose header claims a size that its data does not have."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + data


@pytest.mark.parametrize("size", [(31623, 31623), (6000, 6000), (10**9, 1)])
def test_a_file_that_claims_too_many_pixels(folder, capsys, size):
    import tracemalloc

    Path("bomb.png").write_bytes(png_claiming(*size))
    tracemalloc.start()
    assert "more than 33554432 pixels" in refused(capsys, "dither", "bomb.png")
    assert tracemalloc.get_traced_memory()[1] < 10**7
    tracemalloc.stop()


def test_bad_options(picture, capsys):
    for k in ("1", "300", "x", "2.5"):
        line = refused(capsys, "dither", "picture.png", "-k", k)
        assert f"must be an integer from 2 to 256, not {k}" in line
    assert "--steps" in refused(capsys, "dither", "picture.png", "--steps", "0")
    assert "--sigma" in refused(capsys, "dither", "picture.png", "--sigma", "nan")
    assert "--seed" in refused(capsys, "dither", "picture.png", "--seed", "-1")
    assert "unrecognized" in refused(capsys, "dither", "picture.png", "--frobnicate")
    assert "required" in refused(capsys)


def test_bad_outputs(picture, capsys):
    Path("folder.png").mkdir()
    assert ".png" in refused(capsys, "dither", "picture.png", "-o", "out.jpg")
    assert "no such directory" in refused(capsys, "dither", "picture.png", "-o", "no/out.png")
    assert "is a directory" in refused(capsys, "dither", "picture.png", "-o", "folder.png")
    assert "replace the input" in refused(capsys, "dither", "picture.png", "-o", "picture.png")


def test_a_failing_write_leaves_nothing_behind(picture, capsys, monkeypatch):
    Path("out.png").write_text("precious")

    def fail(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    line = refused(capsys, "dither", "picture.png", "-o", "out.png", "--steps", "2")
    assert "cannot write out.png: No space left on device" in line


def test_an_interrupt_writes_the_best_picture_so_far(picture, capsys, monkeypatch):
    whole = dithering.dither

    def interrupted(values, *, callback, **options):
        def watch(progress):
            callback(progress)
            if progress.step == 30:
                raise KeyboardInterrupt

        return whole(values, callback=watch, **options)

    monkeypatch.setattr(dithering, "dither", interrupted)
    assert cli.main(["dither", "picture.png"]) == 130
    assert "interrupted: the best picture so far is in" in capsys.readouterr().err
    original = load(picture)
    written = load("picture-dithered.png")
    assert dithering.quality.psnr(written, original, sigma=1.5) > 25
    assert not Path("picture-comparison.png").exists()


def test_an_early_interrupt_writes_nothing(picture, capsys, monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(dithering, "dither", interrupted)
    assert cli.main(["dither", "picture.png"]) == 130
    assert "interrupted, nothing written" in capsys.readouterr().err
    assert not Path("picture-dithered.png").exists()


def test_without_pillow_and_tqdm(picture, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    assert cli.main(["dither", "picture.png", "--steps", "2"]) == 0
    capsys.readouterr()
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert "pip install fastgrad[dither]" in refused(capsys, "dither", "picture.png")


def test_info(capsys):
    assert cli.main(["info"]) == 0
    output = capsys.readouterr().out
    for name in ("fastgrad", "numba", "llvmlite", "numpy", "scipy", "python", "threads"):
        assert f"\n{name} " in "\n" + output
    assert "threading layer" in output
    assert "bits" in output or "unknown" in output
    assert "kernel cache" in output


def test_version_in_a_process_of_its_own():
    root = Path(fastgrad.__file__).resolve().parent.parent
    command = [sys.executable, "-m", "fastgrad", "--version"]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert result.returncode == 0
    assert result.stdout == f"fastgrad {fastgrad.__version__}\n"
