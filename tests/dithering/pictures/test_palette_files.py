"""Palette files of all formats: written, read again, and damaged."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest

from fastgrad.dithering.pictures import palette_files
from fastgrad.dithering.pictures.images import FileError

COLORS = np.array([[0, 0, 0], [255, 255, 255], [18, 52, 86], [200, 100, 7]], np.uint8)


def stored(folder, name, data):
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


@pytest.mark.parametrize("count", [2, 4, 255, 256])
@pytest.mark.parametrize("ending", palette_files.WRITERS)
def test_what_is_written_is_read(tmp_path, ending, count):
    if ending == ".png":
        pytest.importorskip("PIL")
    index = np.arange(count)
    colors = np.stack([index, 255 - index, index * 7 % 256], axis=1).astype(np.uint8)
    path = stored(tmp_path, f"colours{ending}", palette_files.encode(colors, ending))
    for found in palette_files.read(path):
        np.testing.assert_array_equal(found, colors)


def test_files_of_other_programs(tmp_path):
    gpl = "GIMP Palette\r\nName: A b\r\nColumns: 3\r\n# by hand\r\n  0   0   0\tBlack\n"
    gpl += "255 255 255\n18 52 86 dark blue\n200 100   7"
    pal = "JASC-PAL\n0100\n4\n0 0 0\n255 255 255\n18 52 86\n200 100 7\n"
    hexadecimal = "; paint.net\nFF000000\nffffffff\n#123456\n\nC86407\n"
    written = {
        "a.gpl": gpl,
        "A.PAL": pal,
        "b.hex": "\ufeff" + hexadecimal,
        "c.act": COLORS.tobytes().ljust(768, b"\0"),
        "d.json": json.dumps({"name": "lospec", "colors": ["000000", "#fff", "123456", "C86407"]}),
        "e.json": json.dumps(COLORS.tolist()),
    }
    for name, data in written.items():
        colors, device = palette_files.read(stored(tmp_path, name, data))
        np.testing.assert_array_equal(colors, COLORS, err_msg=name)
        np.testing.assert_array_equal(device, COLORS, err_msg=name)


def test_swatches_in_groups_and_in_grey(tmp_path):
    def block(kind, body):
        return struct.pack(">HI", kind, len(body)) + body

    def named(text):
        return struct.pack(">H", len(text) + 1) + (text + "\0").encode("utf-16-be")

    blocks = [
        block(0xC001, named("a group")),
        block(1, named("grey") + b"Gray" + struct.pack(">fH", 0.2, 2)),
        block(1, named("") + b"RGB " + struct.pack(">3fH", 1.0, 0.0, 0.5, 0)),
        block(0xC002, b""),
    ]
    data = b"ASEF" + struct.pack(">HHI", 1, 0, len(blocks)) + b"".join(blocks)
    colors, _ = palette_files.read(stored(tmp_path, "group.ase", data))
    assert colors.tolist() == [[51, 51, 51], [255, 0, 128]]
    ink = block(1, named("ink") + b"HSB " + struct.pack(">4fH", 0, 0, 0, 1, 2))
    data = b"ASEF" + struct.pack(">HHI", 1, 0, 1) + ink
    with pytest.raises(FileError, match="a colour in 'HSB'"):
        palette_files.read(stored(tmp_path, "ink.ase", data))


def test_colours_of_a_device(tmp_path):
    data = {"colors": ["#102030", "#f0f0e0"], "device": [[0, 0, 0], [255, 255, 255]]}
    colors, device = palette_files.read(stored(tmp_path, "panel.json", json.dumps(data)))
    assert colors.tolist() == [[16, 32, 48], [240, 240, 224]]
    assert device.tolist() == [[0, 0, 0], [255, 255, 255]]
    data["device"].append([1, 2, 3])
    with pytest.raises(FileError, match="2 colours but 3 of the device"):
        palette_files.read(stored(tmp_path, "panel.json", json.dumps(data)))


def test_pictures_as_palettes(tmp_path):
    Image = pytest.importorskip("PIL.Image")
    Image.fromarray(np.repeat(COLORS[None], 3, axis=0)).save(tmp_path / "strip.png")
    np.testing.assert_array_equal(palette_files.read(tmp_path / "strip.png")[0], COLORS)
    indexed = Image.new("P", (3, 3))
    indexed.putpalette(COLORS[::-1].tobytes())
    indexed.save(tmp_path / "indexed.png", bits=2)  # though only one of them is used
    np.testing.assert_array_equal(palette_files.read(tmp_path / "indexed.png")[0], COLORS[::-1])
    noise = np.random.default_rng(0).integers(0, 256, (20, 20, 3)).astype(np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    with pytest.raises(FileError, match="a palette must have 2 to 256 colours, got 400"):
        palette_files.read(tmp_path / "noise.png")


def test_repeated_colours_are_left_out(tmp_path):
    path = stored(tmp_path, "a.hex", "ffffff\n000000\nffffff\n0000ff\n")
    assert palette_files.read(path)[0].tolist() == [[255] * 3, [0] * 3, [0, 0, 255]]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.txt", "", "2 to 256 colours, got 0"),
        ("a.gpl", "", "the first line is not 'GIMP Palette'"),
        ("a.gpl", "GIMP Palette\n1 2\n3 4\n", "not three numbers from 0 to 255"),
        ("a.gpl", "GIMP Palette\n1 2 three\n", "not a palette"),
        ("a.hex", "0000\n", "not a colour: '0000'"),
        ("a.hex", "\n", "2 to 256 colours, got 0"),
        ("a.hex", b"\xff\xfe\x00", "not a palette"),
        ("a.hex", "000000\n" * 3, "2 to 256 colours, got 1"),
        ("a.hex", "".join(f"{i:06x}\n" for i in range(257)), "2 to 256 colours, got 257"),
        ("a.act", b"\0" * 700, "700 bytes, neither 768 nor 772"),
        ("a.pal", "RIFF", "does not begin with 'JASC-PAL'"),
        ("a.pal", "JASC-PAL\n0100\n3\n0 0 0\n255 0 0\n", "2 colours, not the 3 that it claims"),
        ("a.pal", "JASC-PAL\n0100\n2\n0 0 0\n256 0 0\n", "not three numbers from 0 to 255"),
        ("a.ase", b"\0\0\0\0\xe0\xa5", "no Adobe swatch exchange file"),
        ("a.ase", palette_files.encode(COLORS, ".ase")[:-9], "not a palette"),
        ("a.ase", b"ASEF\0\1\0\0\xff\xff\xff\xff", "not a palette"),
        ("a.png", b"\x89PNG\r\n", "no PNG that Pillow can read"),
        ("a.json", "{}", "not a palette"),
        ("a.json", "[[0, 0, 0], [0.5, 0, 0]]", "not a palette"),
        ("a.json", "[[0, 0, 0], 7]", "not a palette"),
        ("a.json", "[" * 100000, "not a palette"),
        ("a.json", " " * (2 << 20), "more than 1048576 bytes"),
    ],
)
def test_damaged_files(tmp_path, name, data, message):
    if name.endswith(".png"):
        pytest.importorskip("PIL")
    path = stored(tmp_path, name, data)
    with pytest.raises(FileError) as caught:
        palette_files.read(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_file():
    with pytest.raises(FileError, match=r"cannot read none\.hex: No such file"):
        palette_files.read(Path("none.hex"))


@pytest.mark.parametrize("number", ["1_0", "\u0661\u0660", "+10", "1e1", "-0", "0x1", "9" * 5000])
def test_numbers_are_plain_digits(tmp_path, number):
    for name, text in (
        ("a.gpl", f"GIMP Palette\n{number} 0 0\n0 0 0\n"),
        ("a.pal", f"JASC-PAL\n0100\n2\n{number} 0 0\n0 0 0\n"),
        ("b.pal", f"JASC-PAL\n0100\n{number}\n" + "1 1 1\n" * 10),
        ("a.json", json.dumps([[number, 0, 0], [0, 0, 0]])),
    ):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        with pytest.raises(FileError, match="not a palette") as caught:
            palette_files.read(path)
        assert len(str(caught.value)) < 200 + len(str(path))


def test_a_message_holds_no_control_characters(tmp_path):
    data = palette_files.encode([[0, 0, 0], [9, 9, 9]], ".ase").replace(b"RGB ", b"\0\x1b[m")
    path = tmp_path / "a.ase"
    path.write_bytes(data)
    with pytest.raises(FileError, match="only RGB, CMYK, Lab and Gray are read") as caught:
        palette_files.read(path)
    assert str(caught.value).isprintable()
