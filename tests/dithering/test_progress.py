"""How far dithering has come."""

import io
import sys

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.dithering.pace import PLANS

RAMP = np.tile(np.arange(0, 256, 8, dtype=np.uint8), (16, 1))
COLOURS = np.stack([RAMP, RAMP[:, ::-1], np.roll(RAMP, 9, axis=1)], axis=2)


def test_stages_come_in_order():
    seen = []
    fg.dither(COLOURS, colors=3, speed=6, callback=seen.append)
    stages = [progress.stage for progress in seen]
    assert list(dict.fromkeys(stages)) == ["palette", "annealing", "search"]
    assert stages.count("palette") == 1
    assert stages.count("annealing") == PLANS[5].steps


def test_the_best_greys_are_not_annealed():
    seen = []
    fg.dither(RAMP, colors=3, speed=6, callback=seen.append)
    assert {progress.stage for progress in seen} == {"palette", "search"}


def test_a_bar(capsys):
    pytest.importorskip("tqdm")
    seen = []
    plain = fg.dither(COLOURS, colors=3)
    watched = fg.dither(COLOURS, colors=3, progress=True, callback=seen.append)
    np.testing.assert_array_equal(watched.image, plain.image)
    text = capsys.readouterr().err
    assert "search, loss" in text
    assert len(seen) >= 13


def test_one_bar_for_several_calls():
    pytest.importorskip("tqdm")
    file = io.StringIO()
    bar = fg.dithering.ProgressBar(file=file, desc="mine")
    for _ in range(2):
        fg.dither(RAMP, colors=3, callback=bar)
    bar.close()
    assert file.getvalue().count("\n") == 2
    assert "mine" in file.getvalue()


def test_without_tqdm(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    with pytest.raises(ImportError, match="pip install tqdm"):
        fg.dither(RAMP, progress=True)
    with pytest.raises(ValueError, match="progress must be one of False, True"):
        fg.dither(RAMP, progress="yes")
