"""What dithering returns: saved, converted and compared."""

import io

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.dithering.pictures import other_tools, png
from fastgrad.dithering.pictures.report import metrics

Image = pytest.importorskip("PIL.Image")
y, x = np.mgrid[:48, :64]
PICTURE = np.stack([4 * x, 5 * y, 255 - 4 * x], axis=-1).astype(np.uint8)
LEAF = np.dstack([PICTURE, np.where(x < 9, 0, 255).astype(np.uint8)])


def encoded(result):
    """The file of a result, whose palette may be in another order than that of the figures."""
    return png.encode([result.indices], result.palette)


def load(path, mode):
    with Image.open(path) as image:
        return np.asarray(image.convert(mode))


@pytest.mark.parametrize("ending", [".png", ".gif", ".webp", ".PNG"])
def test_a_saved_picture_is_the_picture(tmp_path, ending):
    path = tmp_path / f"out{ending}"
    for picture, mode in ((PICTURE, "RGB"), (LEAF, "RGBA")):
        result = fg.dither(picture, colors=6)
        result.save(str(path))
        found = load(path, mode)
        if mode == "RGBA":
            np.testing.assert_array_equal(found[..., 3], result.image[..., 3])
            opaque = found[..., 3] > 0
            np.testing.assert_array_equal(found[opaque], result.image[opaque])
        else:
            np.testing.assert_array_equal(found, result.image)
    if ending == ".webp":  # without loss, says its second chunk
        assert b"VP8L" in path.read_bytes()


def test_a_saved_picture_has_the_colours_of_the_device(tmp_path):
    result = fg.dither(PICTURE, preset="spectra6")
    result.save(tmp_path / "panel.png")
    expected = fg.presets.find("spectra6").device[result.indices]
    np.testing.assert_array_equal(load(tmp_path / "panel.png", "RGB"), expected)
    np.testing.assert_array_equal(np.asarray(result.to_pil().convert("RGB")), expected)


def test_an_image_of_pillow_s():
    result = fg.dither(LEAF, colors=6)
    image = result.to_pil()
    assert image.mode == "P"
    np.testing.assert_array_equal(np.asarray(image), result.indices)
    np.testing.assert_array_equal(np.asarray(image.convert("RGBA")), result.image)
    file = io.BytesIO()
    image.save(file, "PNG")
    np.testing.assert_array_equal(load(file, "RGBA"), result.image)


@pytest.mark.parametrize(
    ("name", "message"), [("out.jpg", "must end in .png, .gif or .webp"), ("no/o.png", "no such")]
)
def test_what_cannot_be_saved(tmp_path, name, message):
    with pytest.raises(ValueError, match=message):
        fg.dither(PICTURE, preset="bw").save(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_figures_beside_other_tools():
    result = fg.dither(PICTURE, colors=6)
    figures = result.compare(PICTURE, ppd=40)
    ours, theirs = dict(figures["fastgrad"]), dict(figures["Pillow"])
    assert ours.pop("bytes of a PNG") == pytest.approx(len(encoded(result)), abs=30)
    assert theirs.pop("bytes of a PNG") > 100
    assert ours.pop("seconds") == result.seconds
    assert theirs.pop("seconds") > 0
    assert ours == metrics(result.image, PICTURE, ppd=40)
    assert theirs == metrics(other_tools.pillow(PICTURE, 6), PICTURE, ppd=40)
    assert "as seen from afar" in str(figures)
    bound = result.compare(Image.fromarray(PICTURE), palette=["#000", "#fff"])
    expected = other_tools.pillow(PICTURE, 2, np.uint8([[0] * 3, [255] * 3]))
    assert bound["Pillow"]["SSIM, sRGB values"] == metrics(expected, PICTURE)["SSIM, sRGB values"]
    with pytest.raises(ValueError, match=r"original must have shape \(48, 64\)"):
        result.compare(PICTURE[:9])


def test_figures_of_grey_and_transparent_pictures():
    grey = PICTURE[..., 0]
    assert fg.dither(grey, colors=4).compare(grey)["fastgrad"]["SSIM, sRGB values"] > 0.1
    white = np.where(LEAF[..., 3:] > 0, PICTURE, 255)
    result = fg.dither(LEAF, colors=6)
    shown = np.where(result.image[..., 3:] > 0, result.image[..., :3], 255)
    expected = metrics(shown, white)["SSIM, sRGB values"]
    assert result.compare(LEAF)["fastgrad"]["SSIM, sRGB values"] == expected
