"""Palette files as programs write them: their colours, and messages where there are none."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from png_files import icc

from fastgrad.dithering.pictures import palette_files
from fastgrad.dithering.pictures.images import FileError

COLORS = np.array([[0, 0, 0], [255, 255, 255], [18, 52, 86], [200, 100, 7]], np.uint8)


def stored(folder, name, data):
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


ROWS = [(0, 0, 0), (255, 255, 255), (200, 30, 30), (30, 160, 60), (40, 60, 200)]


def riff(rows, *, before=b""):
    body = before + b"data"
    table = struct.pack("<HH", 0x300, len(rows)) + b"".join(bytes(c) + b"\0" for c in rows)
    body += struct.pack("<I", len(table)) + table
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"PAL " + body


def aco(colors, version=1, names=()):
    """Adobe's colours: (space, four numbers of 16 bits)."""
    data = struct.pack(">HH", version, len(colors))
    for i, (space, *numbers) in enumerate(colors):
        data += struct.pack(">5H", space, *(n % 65536 for n in numbers))
        if version == 2:
            label = names[i] + "\0"
            data += struct.pack(">I", len(label)) + label.encode("utf-16-be")
    return data


def swatches(*colors):
    """Adobe's swatches: (model, floats)."""
    blocks = b""
    for model, *numbers in colors:
        body = struct.pack(">H", 2) + "a\0".encode("utf-16-be") + model
        body += struct.pack(f">{len(numbers)}fH", *numbers, 2)
        blocks += struct.pack(">HI", 1, len(body)) + body
    return b"ASEF" + struct.pack(">HHI", 1, 0, len(colors)) + blocks


RAW = bytes(v for i in range(64) for v in (i * 4, 255 - i * 4, i * 37 % 256))
LATIN = (
    "GIMP Palette\nName: Gr\u00fcn\n#\n0 0 0 schwarz\n255 255 255 wei\u00df\n30 160 60 gr\u00fcn\n"
)
ASEPRITE = "GIMP Palette\nChannels: RGBA\n#\n255 0 0 255 Red\n0 255 0 255\n0 0 255 128 Half\n"
ASEPRITE += "9 9 9 0 Transparent\n"
TWO = [(0, 0, 0), (255, 255, 255)]
DARK = [(16, 32, 48), (64, 80, 96)]


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("latin.gpl", LATIN.encode("latin-1"), [(0, 0, 0), (255, 255, 255), (30, 160, 60)]),
        ("utf8.gpl", LATIN, [(0, 0, 0), (255, 255, 255), (30, 160, 60)]),
        ("utf16.gpl", LATIN.encode("utf-16"), [(0, 0, 0), (255, 255, 255), (30, 160, 60)]),
        ("utf16be.hex", "000000\r\nffffff\r\n".encode("utf-16-be"), TWO),
        ("utf16le.hex", "000000\r\nffffff\r\n".encode("utf-16-le"), TWO),
        ("aseprite.gpl", ASEPRITE, [(255, 0, 0), (0, 255, 0), (0, 0, 255)]),
        ("aseprite.pal", "JASC-PAL\n0100\n3\n0 0 0 255\n9 9 9 0\n255 255 255 255\n", TWO),
        ("riff.pal", riff(ROWS), ROWS),
        ("plth.pal", riff(ROWS, before=b"plth\3\0\0\0abc\0"), ROWS),
        ("nes.pal", RAW, np.frombuffer(RAW, np.uint8).reshape(-1, 3).tolist()),
        ("raw.pal", RAW * 4, np.frombuffer(RAW, np.uint8).reshape(-1, 3).tolist()),
        ("bright.pal", bytes(range(64, 256)), np.arange(64, 256).reshape(-1, 3).tolist()),
        ("zero.hex", "0x000000\n0xFFFFFF\n", TWO),
        ("line.hex", "000000 ffffff c81e1e", ROWS[:3]),
        ("commas.hex", "#000000, #ffffff\n", TWO),
        ("c.hex", "0x000000,\n0XFFFFFF,", TWO),
        ("quoted.txt", "'#000', \"#fff\"\n", TWO),
        ("comment.hex", "000000 ; black\nffffff // white\n", TWO),
        ("named.hex", "# two colours\n\n000000 black\n#ffffff bad white\n", TWO),
        ("pdn.txt", "; Paint.NET\nFF000000\nFFFFFFFF\n", TWO),
        ("lospec.txt", ";paint.net Palette File\n;Colors: 3\nFF102030\n80405060\n00FFFFFF\n", DARK),
        # Eight digits: what all of them say.
        ("first.hex", "ff102030\nff405060\n", DARK),
        ("last.hex", "102030ff\n405060ff\n", DARK),
        ("both.hex", "ff0000ff\n0000ffff\n", [(255, 0, 0), (0, 0, 255)]),
        ("mixed.hex", "ff102030\n405060\n", DARK),
        ("last.json", json.dumps(["#102030ff", "#405060ff"]), DARK),
        # What is in the file decides, and not its name.
        ("riff.gpl", riff(ROWS), ROWS),
        ("gimp.hex", "GIMP Palette\n0 0 0\n255 255 255\n", TWO),
        ("jasc.txt", "JASC-PAL\r\n0100\r\n2\r\n0 0 0\r\n255 255 255\r\n", TWO),
        ("list.pal", "000000\nffffff\n", TWO),
        ("noending", "000000\nffffff\n", TWO),
        ("json.palette", '{"colors": ["#000", "#fff"]}', TWO),
        ("swatches.pal", swatches((b"RGB ", 0, 0, 0), (b"RGB ", 1, 1, 1)), TWO),
        ("colours.dat", aco([(0, 0, 0, 0, 0), (0, 65535, 65535, 65535, 0)]), TWO),
        # Models of colour, by hand; those of Lab are of red, green and grey under D50.
        ("rgb.aco", aco([(0, *(257 * v for v in c), 0) for c in ROWS]), ROWS),
        (
            "hsb.aco",
            aco([(1, 0, 65535, 65535, 0), (1, 21845, 65535, 65535, 0), (1, 0, 0, 32896, 0)]),
            [(255, 0, 0), (0, 255, 0), (128, 128, 128)],
        ),
        (
            "cmyk.aco",
            aco(
                [(2, 0, 65535, 65535, 65535), (2, 65535, 65535, 65535, 0), (2, 65535, 0, 0, 52428)]
            ),
            [(0, 255, 255), (0, 0, 0), (204, 0, 0)],
        ),
        (
            "lab.aco",
            aco([(7, 10000, 0, 0, 0), (7, 5359, 0, 0, 0), (7, 5429, 8080, 6989, 0)]),
            [(255, 255, 255), (128, 128, 128), (255, 0, 0)],
        ),
        ("blue.aco", aco([(7, 0, 0, 0, 0), (7, 2957, 6829, -11203, 0)]), [(0, 0, 0), (0, 0, 255)]),
        (
            "grey.aco",
            aco([(8, 0, 0, 0, 0), (8, 10000, 0, 0, 0), (8, 2000, 0, 0, 0)]),
            [(0, 0, 0), (255, 255, 255), (51, 51, 51)],
        ),
        (
            "two.aco",
            aco([(0, 0, 0, 0, 0), (0, 65535, 65535, 65535, 0)])
            + aco([(0, 0, 0, 0, 0), (0, 65535, 65535, 65535, 0)], 2, ["black", "wei\u00df"]),
            TWO,
        ),
        ("v2.aco", aco([(0, 0, 0, 0, 0), (8, 10000, 0, 0, 0)], 2, ["a", "a longer name"]), TWO),
        (
            "cmyk.ase",
            swatches((b"CMYK", 0, 1, 1, 0.2), (b"CMYK", 0, 0, 0, 1), (b"Gray", 1)),
            [(204, 0, 0), (0, 0, 0), (255, 255, 255)],
        ),
        (
            "lab.ase",
            swatches((b"LAB ", 1, 0, 0), (b"LAB ", 0.5429, 80.8, 69.89), (b"LAB ", 0, 0, 0)),
            [(255, 255, 255), (255, 0, 0), (0, 0, 0)],
        ),
        ("filled.act", np.uint8(DARK).tobytes().ljust(768, b"\0"), [*DARK, (0, 0, 0)]),
        ("clear.act", COLORS.tobytes().ljust(768, b"\0") + b"\0\4\0\3", COLORS[:3].tolist()),
    ],
)
def test_files_of_the_wild(tmp_path, name, data, expected):
    colors, device = palette_files.read(stored(tmp_path, name, data))
    np.testing.assert_allclose(colors, expected, atol=1 if "lab" in name or "blue" in name else 0)
    np.testing.assert_array_equal(device, colors)


def test_lab_is_that_of_littlecms(tmp_path):
    """Swatches in Lab, against ImageCms: whole numbers, which are exact in 8 bits."""
    Image, ImageCms = pytest.importorskip("PIL.Image"), pytest.importorskip("PIL.ImageCms")
    rng = np.random.default_rng(0)
    a, b = rng.integers(-30, 31, (2, 40))
    lightness = rng.integers(40, 200, 40)  # of 255
    raw = np.stack([lightness, a % 256, b % 256], axis=-1).astype(np.uint8)
    lab = Image.frombytes("LAB", (40, 1), raw.tobytes())
    profiles = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    exact = ImageCms.Flags.NOOPTIMIZE  # by default it errs by 10 near the surface of sRGB
    expected = ImageCms.profileToProfile(lab, *profiles, outputMode="RGB", flags=exact)
    expected = np.asarray(expected)[0].astype(int)
    rows = [(b"LAB ", L / 255, x, y) for L, x, y in zip(lightness, a, b)]
    found, _ = palette_files.read(stored(tmp_path, "a.ase", swatches(*rows)))
    inside = np.all((expected > 2) & (expected < 253), axis=1)
    assert inside.sum() > 30
    assert np.abs(found - expected)[inside].max() <= 2


def test_palettes_of_pictures(tmp_path):
    Image = pytest.importorskip("PIL.Image")

    def read(name):
        return palette_files.read(tmp_path / name)[0].tolist()

    sprite = Image.new("P", (8, 8), 1)
    sprite.putpalette([255, 0, 255, 0, 0, 0, 255, 255, 255, 200, 30, 30])
    for i in range(4):
        sprite.putpixel((i, 0), i)
    seen = [[0, 0, 0], [255, 255, 255], [200, 30, 30]]
    sprite.save(tmp_path / "sprite.png", transparency=0)
    sprite.save(tmp_path / "some.png", transparency=bytes([0, 255, 128]))
    sprite.save(tmp_path / "sprite.gif", transparency=0)
    sprite.save(tmp_path / "sprite.bmp")
    assert read("sprite.png") == read("some.png") == read("sprite.gif") == seen
    assert read("sprite.bmp") == [[255, 0, 255], *seen]
    (tmp_path / "sprite.pal").write_bytes((tmp_path / "sprite.gif").read_bytes())
    assert read("sprite.pal") == seen

    rgba = np.zeros((2, 3, 4), np.uint8)
    rgba[0] = [[1, 2, 3, 255], [4, 5, 6, 128], [9, 9, 9, 0]]
    Image.fromarray(rgba).save(tmp_path / "rgba.png")
    assert read("rgba.png") == [[1, 2, 3], [4, 5, 6]]

    greys = Image.frombytes("L", (4, 1), bytes([0, 85, 170, 255]))  # whose tables Pillow hides
    greys.save(tmp_path / "greys.gif")
    assert set(map(tuple, read("greys.gif"))) >= {(v, v, v) for v in (0, 85, 170, 255)}


def test_padding_of_tables_is_no_colour(tmp_path):
    """A table of a GIF has 2, 4, 8 ... entries; of what fills it up, none is a colour."""
    Image = pytest.importorskip("PIL.Image")
    for count in (3, 5, 6, 7, 9):
        colors = np.random.default_rng(count).integers(1, 256, (count, 3)).astype(np.uint8)
        image = Image.frombytes("P", (count, 1), bytes(range(count)))
        image.putpalette(colors.tobytes())
        image.save(tmp_path / "a.gif", optimize=False)
        found = palette_files.read(tmp_path / "a.gif")[0]
        np.testing.assert_array_equal(found, colors)


def test_a_palette_has_a_profile_too(tmp_path):
    Image = pytest.importorskip("PIL.Image")
    image = Image.new("P", (2, 1))
    image.putpalette([128, 128, 128, 64, 64, 64])
    image.save(tmp_path / "a.png", icc_profile=icc("Linear sRGB"))
    found = palette_files.read(tmp_path / "a.png")[0]
    assert found.tolist() == [[188] * 3, [137] * 3]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.hex", "ff0000ff\n00800080\n0000ff80\n", "'ff0000ff' can be read as rrggbbaa, #ff0000"),
        (
            "a.hex",
            "ff0000ff\n00800080\n0000ff80\n",
            "or as aarrggbb, #0000ff: write colours of",
        ),
        ("a.json", '["#ff000080", "#00800080"]', "'ff000080' can be read as rrggbbaa"),
        ("a.pal", riff(ROWS)[:-9], "it breaks off"),
        ("a.pal", b"RIFF\4\0\0\0PAL ", "a RIFF palette without colours"),
        ("a.pal", b"RIFF\4\0\0\0WEBPVP8L\0\0", "a RIFF file, but no palette"),
        ("a.pal", b"\1\2\3" * 50, "a raw table has 192 or 768 bytes, not 150"),
        ("a.aco", aco([(3, 1, 2, 3, 4)] * 2), "a colour in space 3"),
        ("a.aco", aco([(8, 10001, 0, 0, 0)] * 2), "a colour out of range"),
        ("a.aco", aco([(0, 0, 0, 0, 0)] * 2)[:-5], "it breaks off"),
        ("a.aco", b"\0\7\0\0", "no Adobe colour file of version 1 or 2"),
        ("a.ase", swatches((b"LAB ", 2, 0, 0)), "a colour out of range"),
        ("a.ase", b"\0\0\0\0\xe0\xa5\1\0", "a sprite of Aseprite: save its palette as .gpl"),
        ("a.pal", b"%PDF-1.7\n%\xe2\xe3", "it is a PDF"),
        ("a.hex", "%!PS-Adobe-3.0 EPSF-3.0\n", "it is PostScript"),
        ("a.gpl", '<?xml version="1.0"?><svg/>', "it is XML or HTML"),
        ("a.png", b"\xff\xd8\xff\xe0\0\x10JFIF", "it is a JPEG"),
        ("a.gif", b"GIF89a\1", "no GIF that Pillow can read"),
        ("a.bmp", b"BM\0\0\0", "no BMP that Pillow can read"),
        ("a.hex", "000000, #12345\n", "not a colour: '#12345'"),
        ("a.hex", "black\n", "not a colour: 'black'"),
        ("a.xyz", b"\0\1\2\3\4", "none of 5 bytes in any format that is read: .gpl, .hex"),
        ("a.json", '{"colours": []}', "an object without 'colors'"),
        ("a.json", '{"colors": 7}', "no list of colours"),
        ("a.json", '["#000000",]', "no JSON: "),
        ("a.hex", "\ufeff000000\n".encode("utf-16-le") + b"\0\0", "begins as text in UTF-16"),
    ],
)
def test_messages_say_in_words_what_is_wrong(tmp_path, name, data, message):
    if Path(name).suffix in (".gif", ".bmp"):
        pytest.importorskip("PIL")
    path = stored(tmp_path, name, data)
    with pytest.raises(FileError) as caught:
        palette_files.read(path)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"not a palette: {path}: ")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("seed", range(120))
def test_any_damage_is_one_clear_line(tmp_path, seed):
    rng = np.random.default_rng(seed)
    ending = palette_files.WRITERS[seed % len(palette_files.WRITERS)]
    if ending == ".png":
        pytest.importorskip("PIL")
    data = bytearray(palette_files.encode(COLORS, ending))
    if seed % 2:
        data = data[: rng.integers(0, len(data))]
    for place in rng.integers(0, max(len(data), 1), seed % 5):
        data[place : place + 1] = bytes([rng.integers(0, 256)])
    message = ""
    try:
        colors, _ = palette_files.read(stored(tmp_path, f"a{ending}", bytes(data)))
        assert colors.dtype == np.uint8
    except FileError as error:
        message = str(error)
    assert "\n" not in message


@pytest.mark.parametrize("ending", palette_files.WRITERS)
def test_writing(tmp_path, ending):
    if ending == ".png":
        pytest.importorskip("PIL")
    path = tmp_path / f"new{ending}"
    palette_files.write(str(path), ROWS, name="Mine")
    np.testing.assert_array_equal(palette_files.read(str(path))[0], ROWS)
    data = path.read_bytes()
    palette_files.write(path, [f"#{bytes(c).hex()}" for c in ROWS], name="Mine")
    assert path.read_bytes() == data
    bare = tmp_path / "bare"  # what was written is known without its name
    bare.write_bytes(data)
    np.testing.assert_array_equal(palette_files.read(bare)[0], ROWS)


def test_gimp_palettes_are_read_by_pillow(tmp_path):
    ImagePalette = pytest.importorskip("PIL.ImagePalette")
    palette_files.write(tmp_path / "a.gpl", ROWS)
    data, mode = ImagePalette.load(str(tmp_path / "a.gpl"))
    assert mode == "RGB"
    np.testing.assert_array_equal(np.frombuffer(data, np.uint8).reshape(-1, 3)[:5], ROWS)


def test_what_is_not_written(tmp_path):
    for palette in ([[0, 0, 0]], [], np.zeros((257, 3), int), [[0, 0, 256], [0, 0, 0]]):
        with pytest.raises(ValueError, match="palette must "):
            palette_files.write(tmp_path / "a.gpl", palette)
    for palette in ([0, 1, 2], 7, [[0.5, 0, 0], [0, 0, 0]], ["red", "blue"]):
        with pytest.raises(ValueError, match="palette must be a list of colours, got "):
            palette_files.write(tmp_path / "a.gpl", palette)
    with pytest.raises(FileError, match="name must end in"):
        palette_files.write(tmp_path / "a.gif", ROWS)
    assert list(tmp_path.iterdir()) == []
