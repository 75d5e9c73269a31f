"""One number of bytes for many files."""

import os
from pathlib import Path

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import cli
from fastgrad.dithering.files import budget, one_picture
from fastgrad.dithering.pictures.images import FileError
from fastgrad.dithering.rates import first_rate

Image = pytest.importorskip("PIL.Image")

y, x = np.mgrid[:40, :48]
SMOOTH = np.stack([2 * x + y, 3 * y + x, 200 - 2 * x - y], -1).astype(np.uint8)
WAVES = 60 * np.sin(x / 3 + np.sin(y / 2)) + 50 * np.sin(y / 4)
BUSY = np.clip(np.stack([128 + WAVES, 90 + WAVES / 2 + y, 3 * x + WAVES], -1), 0, 255)
BUSY = BUSY.astype(np.uint8)
OPTIONS = {"colors": 8, "speed": 10, "output": "out/"}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    Image.fromarray(SMOOTH).save("in/a.png")
    Image.fromarray(BUSY).save("in/b.png")
    Image.fromarray(BUSY[::-1]).save("in/c.png")


def sizes(folder="out"):
    return {path.name[0]: path.stat().st_size for path in sorted(Path(folder).iterdir())}


@pytest.fixture
def plain(folder):
    """Bytes without a limit."""
    fg.dither_files("in", **{**OPTIONS, "output": "plain/"})
    return sum(sizes("plain").values())


def power_laws(factors, slope, shares):
    return sum(factor * share**-slope for factor, share in zip(factors, shares))


def test_the_sum_of_errors_is_least():
    factors, slope, ends = np.array([1.0, 5.0, 40.0]), 0.7, (100, 20000)
    curves = [[(n, factor * n**-slope) for n in ends] for factor in factors]
    wanted = factors ** (1 / (slope + 1))  # by the method of Lagrange
    shares = budget.divided(curves, 9000)
    np.testing.assert_allclose(shares, 9000 * wanted / wanted.sum(), rtol=0.02)
    assert 8990 <= sum(shares) <= 9000
    least = power_laws(factors, slope, shares)
    assert least < 0.9 * power_laws(factors, slope, [3000] * 3)


def test_alike_have_alike():
    curve = [(500, 9.0), (900, 4.0), (2000, 3.9), (6000, 0.1)]  # which is not convex
    assert len(set(budget.divided([curve] * 3, 8000))) == 1


def test_no_more_error_than_none():
    drawn, busy = [(300, 0.0), (280, 50.0)], [(1000, 32.0), (4000, 8.0)]
    drawn_share, busy_share = budget.divided([drawn, busy], 3300)
    assert 280 <= drawn_share <= 300
    assert busy_share >= 2990
    assert budget.divided([drawn, busy], 8600) == [600, 8000]  # of what is left, in proportion


@pytest.mark.parametrize("count", [1, 2])  # of files: one alone is not surveyed
@pytest.mark.parametrize("strings", [True, False])
def test_rates_begin_where_they_suit_the_search(folder, monkeypatch, count, strings):
    clips = [f"{name}.gif" for name in "abc"[:count]]
    for i, clip in enumerate(clips):
        frames = [Image.fromarray(np.roll(BUSY, shift, (0, 1))) for shift in (i, i + 2)]
        frames[0].save(clip, save_all=True, append_images=frames[1:], duration=50)
    work, rates = one_picture.run, []

    def run(picture, settings, **others):
        rates.append(settings.options.get("rate"))
        return work(picture, settings, **others)

    monkeypatch.setattr(one_picture, "run", run)
    own = {"nu": 0.3 if strings else 0.0, "colors": 64, "speed": 10, "output": "out/"}
    fg.dither_files(clips, max_bytes=count * 2400, **own)
    assert next(rate for rate in rates if rate) == first_rate(strings=strings)


def test_too_few_for_all():
    with pytest.raises(FileError, match=r"no files of 100 bytes in all .* the smallest have 580"):
        budget.divided([[(300, 0.0), (280, 50.0)]] * 2 + [[(20, 1.0)]], 100)


def test_all_files_together(plain):
    most = int(0.75 * plain)
    made = fg.dither_files("in", max_bytes=most, **OPTIONS)
    found = sizes()
    assert 0.98 * most <= sum(found.values()) <= most
    assert [one.bytes for one in made] == list(found.values())
    shared = sum(one.loss[0] for one in made)
    equal = fg.dither_files("in", max_bytes=most // 3, each=True, **OPTIONS)
    assert max(sizes().values()) <= most // 3
    assert shared < sum(one.loss[0] for one in equal)


def test_files_that_are_there_have_their_part(plain, capsys):
    most = int(0.75 * plain)
    command = ["dither", "in", "-o", "out/", "--size", str(most), "-k", "8", "--speed", "10"]
    assert cli.main([*command, "-q"]) == 0
    first = sizes()
    os.remove("out/b-dithered.png")
    assert cli.main([*command, "--skip-existing", "-j", "2"]) == 0
    assert sizes()["a"] == first["a"]
    assert 0.98 * most <= sum(sizes().values()) <= most
    os.remove("out/b-dithered.png")
    capsys.readouterr()
    command[command.index(str(most))] = str(first["a"] + 1)
    assert cli.main([*command, "--skip-existing"]) == 2
    assert "the files that are there have" in capsys.readouterr().err


@pytest.mark.slow
def test_processes_make_the_same_files(plain):
    Path("in/d.png").write_text("This is no picture.")
    most = int(0.8 * plain)
    one = fg.dither_files("in", max_bytes=most, **OPTIONS)
    two = fg.dither_files("in", max_bytes=most, jobs=2, **{**OPTIONS, "output": "two/"})
    assert [x.loss for x in one] == [x.loss for x in two]
    assert sizes("out") == sizes("two")
    assert "not an image" in one[3].error


@pytest.mark.slow
def test_a_number_of_colours_is_chosen_for_each(folder):
    fg.dither_files(["in/a.png", "in/b.png"], max_bytes=3000, speed=10, output="out/")
    assert 0.98 * 3000 <= sum(sizes().values()) <= 3000


def test_each_needs_a_size(folder, capsys):
    with pytest.raises(ValueError, match="each must be False without max_bytes, got True"):
        fg.dither_files("in", each=True)
    assert cli.main(["dither", "in", "--each"]) == 2
    assert "--each goes with --size" in capsys.readouterr().err
