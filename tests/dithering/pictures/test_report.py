"""Figures side by side."""

from fastgrad.dithering.pictures import report

LOW = "FLIP, mean, of sRGB values at 67 pixels per degree, low is good"


def figures(low, high, seconds):
    return {LOW: low, "SSIM, sRGB values": high, "seconds": seconds}


def test_the_best_of_each_line_is_marked():
    text = report.table({"ours": figures(0.1, 0.5, 2.0), "theirs": figures(0.2, 0.7, 1.0)})
    lines = {line.split("  ")[1] if line[0] == " " else line: line for line in text.splitlines()}
    assert lines[LOW].split()[-3:] == ["0.100", "*", "0.200"]
    assert lines["SSIM, sRGB values"].split()[-3:] == ["0.500", "0.700", "*"]
    assert lines["seconds"].split()[-3:] == ["2.000", "1.000", "*"]
    assert text.splitlines()[-1] == "* the best of its line"


def test_lines_are_in_groups():
    text = report.table({"a": figures(0.1, 0.5, 2.0), "b": figures(0.1, 0.5, 1.0)})
    heads = [line for line in text.splitlines() if line[0] != " "]
    assert heads == ["as seen from afar", "pixel by pixel", "cost", "* the best of its line"]
    assert text.count("0.100 *") == 2  # who is equal is as good


def test_one_alone_is_not_the_best_of_anything():
    assert "*" not in report.table({"a": figures(0.1, 0.5, 2.0)})
