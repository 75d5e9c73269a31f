"""Quality against bytes: points, and the plot."""

from pathlib import Path

import numpy as np
import pytest

from fastgrad import cli
from fastgrad.dithering.eye.viewing import Viewing
from fastgrad.dithering.files import frontier
from fastgrad.dithering.files.frontier import Point
from fastgrad.dithering.pace import Pace
from fastgrad.dithering.pictures import other_tools
from fastgrad.dithering.pictures.report import size_of

Image = pytest.importorskip("PIL.Image")

y, x = np.mgrid[:40, :56]
WAVES = 60 * np.sin(x / 3 + np.sin(y / 2)) + 50 * np.sin(y / 4)
PICTURE = np.clip(np.stack([128 + WAVES, 90 + WAVES / 2 + y, 3 * x + WAVES], -1), 0, 255)
PICTURE = PICTURE.astype(np.uint8)


def test_ours_trade_quality_for_bytes():
    how = {"colors": (8, 16), "rates": (0.0, 3e-4, 1e-3)}
    plain, some, rated, more, *_ = frontier.ours(PICTURE, Viewing(nu=0.1), Pace(10), **how)
    assert [plain.colors, rated.colors, more.colors] == [8, 8, 16]
    assert rated.size < 0.9 * plain.size < plain.size < more.size
    assert rated.score < plain.score < more.score
    assert 0.92 < some.predicted / some.size < 1.08
    assert np.isnan([plain.predicted, rated.predicted]).all()  # they are what it is known from


def test_others_as_far_as_they_are_installed(monkeypatch):
    monkeypatch.setattr(other_tools.shutil, "which", lambda program: None)
    found = frontier.others(PICTURE, (8,))
    assert "pngquant" not in found
    (point,) = found["Pillow"]
    assert point.size == size_of(other_tools.pillow(PICTURE, 8))


def test_the_best_are_joined():
    points = [Point(4, 50, 20.0), Point(8, 50, 30.0), Point(8, 60, 25.0), Point(16, 90, 70.0)]
    assert frontier.best(points) == [points[1], points[3]]


@pytest.fixture
def plot(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    Image.fromarray(PICTURE).save("a.png")
    Image.fromarray(PICTURE).save("b.png")


@pytest.mark.optional
def test_a_plot(plot, monkeypatch, capsys):
    for function in (frontier.ours, frontier.others):
        monkeypatch.setattr(frontier, function.__name__, few(function))
    command = ["dither", "a.png", "-o", "out.png", "-k", "8", "--speed", "10", "--frontier"]
    assert cli.main([*command, "plot.png"]) == 0
    assert "wrote out.png and plot.png" in capsys.readouterr().out
    with Image.open("plot.png") as image:
        colors = image.convert("RGB").getcolors(1 << 20)
    assert len(colors) > 50
    assert cli.main([*command, "plot.svg", "-q"]) == 0
    text = Path("plot.svg").read_text()
    assert "SSIMULACRA2" in text
    assert "fastgrad" in text


def few(function):
    """Return a function that tries 8 colours only."""
    return lambda *given: function(*given, colors=(8,))


@pytest.mark.optional
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("b.png -o . --frontier p.png", "--frontier goes with one picture"),
        ("--preset bw --frontier p.png", "--frontier goes with colours that are learned"),
        (
            "--frontier p.gif",
            "--frontier p.gif: the output's name must end in .png, .svg or .pdf\n",
        ),
        ("-o p.png --frontier p.png", "two files would be written to p.png"),
    ],
)
def test_what_is_wrong_is_refused(plot, capsys, options, message):
    assert cli.main(["dither", "a.png", *options.split()]) == 2
    assert message in capsys.readouterr().err


def test_no_plot_without_matplotlib(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(ValueError, match=r"pip install fastgrad\[plot\]"):
        frontier.check()
