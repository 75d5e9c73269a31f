"""Many picture files from Python: what the command does."""

import os
from pathlib import Path

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import cli, dithering

Image = pytest.importorskip("PIL.Image")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    y, x = np.mgrid[:20, :28]
    values = np.stack([9 * x, 12 * y, 255 - 9 * x], axis=-1).astype(np.uint8)
    Path("in").mkdir()
    Image.fromarray(values).save("in/a.png")
    Image.fromarray(values[:, ::-1]).save("in/b.bmp")
    frames = [Image.fromarray(np.roll(values, i, axis=1)) for i in range(3)]
    frames[0].save("in/c.gif", save_all=True, append_images=frames[1:], duration=80, loop=0)
    Path("in/d.png").write_text("This is no picture.")
    return tmp_path


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}


@pytest.mark.parametrize("options", [{"colors": 5, "speed": 9}, {"preset": "spectra6"}])
def test_as_the_command(folder, capsys, options):
    flags = [f"--{name}={value}" for name, value in options.items()]
    assert cli.main(["dither", "in", "-o", "theirs", *flags]) == 2
    made = fg.dither_files("in", output="ours/", **options)
    assert contents("ours") == contents("theirs")
    assert [one.source.name for one in made] == ["a.png", "b.bmp", "c.gif", "d.png"]
    assert [one.frames for one in made] == [1, 1, 3, 0]
    assert [one.error is None for one in made] == [True, True, True, False]
    assert "not an image" in made[3].error
    assert made[3].target is made[3].palette is None
    assert len(made[2].loss) == 3
    assert made[0].target == Path("ours/a-dithered.png")
    (line,) = capsys.readouterr().err.splitlines()
    assert made[3].error in line


def test_processes_make_the_same_files(folder):
    one = fg.dither_files(["in/a.png", "in/b.bmp", "in/d.png"], output="one/", colors=4)
    two = fg.dither_files(["in/a.png", "in/b.bmp", "in/d.png"], output="two/", colors=4, jobs=2)
    assert contents("one") == contents("two")
    assert [x.error for x in one] == [x.error for x in two]
    assert [x.loss for x in one] == [x.loss for x in two]


def test_names(folder):
    made = fg.dither_files("in/a.png", output="in", suffix="-{ext}-k4", colors=4, speed=9)
    assert made[0].target == Path("in/a-png-k4.png")
    before = made[0].target.stat().st_mtime_ns
    again = fg.dither_files(
        Path("in/a.png"), output=Path("in"), suffix="-{ext}-k4", skip_existing=True, colors=4
    )
    assert again[0].skipped == "in/a-png-k4.png is there already"
    assert again[0].target is None
    assert made[0].target.stat().st_mtime_ns == before
    twice = fg.dither_files(["in/a.png", "in/a.png"], colors=4, speed=9)
    assert twice[0].error is None
    assert "two pictures would be written to" in twice[1].error
    assert fg.dither_files([]) == []


def test_no_larger_file_is_written(folder):
    values = np.random.default_rng(0).integers(0, 256, (40, 40, 3)).astype(np.uint8)
    Image.fromarray(values).save("in/noise.png")
    sources = ["in/noise.png", "in/a.png"]
    made = fg.dither_files(sources, output="out/", suffix="-{ext}", skip_if_larger=True)
    assert [one.target is None for one in made] == [False, True]
    assert "bytes are more than" in made[1].skipped
    assert sorted(contents("out")) == ["noise-png.png"]


def test_resize_and_webp(folder):
    (made,) = fg.dither_files("in/a.png", output="small.webp", resize=(14, None), colors=4)
    with Image.open("small.webp") as image:
        assert image.size == (14, 10)
    assert len(made.palette) <= 4


def test_an_unexpected_error_concerns_one_picture(folder, monkeypatch):
    whole = dithering.dither

    def broken(values, **options):
        if values[0, 0, 0] == 0:
            raise OSError("no\nmore")
        return whole(values, **options)

    monkeypatch.setattr(dithering, "dither", broken)
    made = fg.dither_files(["in/a.png", "in/b.bmp"], output="out/", colors=4, speed=9)
    error = f"unexpected error with {Path('in/a.png')}: OSError: no more"
    assert [one.error for one in made] == [error, None]
    assert sorted(contents("out")) == ["b-dithered.png"]


def test_an_interrupt(folder, monkeypatch):
    whole = dithering.dither

    def interrupted(values, *, callback, **options):
        def watch(progress):
            callback(progress)
            if progress.step == 8:
                raise KeyboardInterrupt

        return whole(values, callback=watch, **options)

    monkeypatch.setattr(dithering, "dither", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fg.dither_files(["in/a.png", "in/b.bmp"], output="out/", colors=4)
    assert sorted(contents("out")) == ["a-dithered.png"]  # the best so far


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"speed": 3, "time_budget": 1}, ValueError, "speed must be None"),
        ({"estimator": "rloo"}, ValueError, "estimator must be None"),
        ({"preset": "bw", "colors": 3}, ValueError, "colors must be None"),
        ({"sigma": 1, "ppd": 40}, ValueError, "sigma must be None"),
        ({"preset": "spectra"}, ValueError, "did you mean 'spectra6'"),
        ({"space": "lab"}, ValueError, "space must be one of"),
        ({"spede": 3}, TypeError, "spede"),
        ({"weights": np.ones((20, 28))}, TypeError, "weights must be left out"),
        ({"jobs": 0}, ValueError, "jobs must be from 1 to 4096, got 0"),
        ({"suffix": "a/b"}, ValueError, "suffix must be part of a file's name, got 'a/b'"),
        ({"suffix": "x", "output": "one.png"}, ValueError, "suffix must be left out"),
        ({"output": "-"}, ValueError, "standard stream"),
        ({"tiles": "gbc", "colors": 4}, ValueError, "colors must be left out with tiles, got 4"),
        ({"tiles": "gbc", "quality": 9}, ValueError, "quality must be left out with tiles"),
        ({"tiles": "gcb"}, ValueError, "did you mean 'gbc'"),
        ({"pattern": "ordered", "quality": 9}, ValueError, "quality must be left out with a patt"),
        ({"pattern": "ordered", "alpha": "keep"}, ValueError, "alpha must be 'key' or 'blend'"),
        ({"preset": "bw", "dot_gain": 9, "choose": 2}, ValueError, "choose must be left out with"),
        ({"preset": "bw", "dot_gain": 9, "space": "srgb"}, ValueError, "space must be 'linear' or"),
        ({"palette": ["#000", "#fff"], "colors": 3}, ValueError, "colors must be None with a pale"),
        ({"palette": ["#000"]}, ValueError, r"palette must have shape \(2 to 256, 3\)"),
        ({"lock_colors": True}, ValueError, "palette must be given with lock_colors"),
        ({"hidden": "yes"}, ValueError, "hidden must be one of"),
        ({"hidden": True, "alpha": "blend"}, ValueError, "alpha must be 'keep' or 'key' with hid"),
        ({"hidden": True, "preset": "bw"}, ValueError, "alpha must be 'keep' or 'key' with hidden"),
        ({"flicker": -1}, ValueError, "flicker must be from 0"),
        ({"rng": "x"}, TypeError, "rng must be an int"),
        ({"resize": 5}, TypeError, "resize must be a width and a height"),
        ({"resize": (None, None)}, TypeError, "resize must be a width and a height"),
        ({"resize": (0, 3)}, ValueError, "resize must be at least 1, got 0"),
        ({"skip_existing": "no"}, ValueError, "skip_existing must be one of"),
        ({"skip_if_larger": "no"}, ValueError, "skip_if_larger must be one of"),
    ],
)
def test_bad_options_are_refused_before_any_work(folder, options, error, message):
    with pytest.raises(error, match=message):
        fg.dither_files("in/a.png", **options)
    assert os.listdir() == ["in"]


def test_paths_that_are_none():
    with pytest.raises(TypeError, match="paths must be a path, or several, got 5"):
        fg.dither_files(5)


def test_opacity_is_laid_on_white_under_tiles(folder, capsys):
    values = np.dstack([np.asarray(Image.open("in/a.png")), np.full((20, 28), 255, np.uint8)])
    values[4:12, 4:20, 3] = 0
    Image.fromarray(values).save("clear.png")
    (made,) = fg.dither_files("clear.png", output="ours/", tiles="gbc", speed=9)
    assert len(made.palette) == 32
    assert cli.main(["dither", "clear.png", "-o", "theirs/", "--tiles=gbc", "--speed=9"]) == 0
    assert contents("ours") == contents("theirs")
    with Image.open(made.target) as image:
        assert "transparency" not in image.info


def test_a_generator_means_the_same_for_all_files(folder):
    names, found = ["in/a.png", "in/b.bmp"], []
    for jobs in (1, 2):
        rng = np.random.default_rng(7)
        fg.dither_files(names, output=f"{jobs}/", colors=4, speed=9, rng=rng, jobs=jobs)
        found.append(contents(str(jobs)))
    assert found[0] == found[1]


def test_several_pictures_need_a_directory(folder):
    with pytest.raises(ValueError, match="output must be a directory"):
        fg.dither_files("in", output="out.png")
