"""Pictures for panels: how near each tool comes to the best that the panel can show.

    python -m benchmarks.dither_quality --presets [NAME ...] [--images NAME ...] [--side N]
        [--sheets FOLDER]

A panel cannot show most pictures as they are, and tools that fit them to it disagree about how. So
each tool has a goal: what its own map of tones and colours makes of the picture, with any colour
that is still beyond the inks in the nearest one that they reach. Tools without a map have the
picture as it is, so far as the inks reach. The difference between the dithered picture as the panel
shows it and the goal is judged by S-CIELAB and FLIP (both are low for good pictures), in columns of

- own: the tool's picture, and its own goal
- ours: the tool's picture, and our goal
- given: what the tool makes of our goal itself, where it is given that as the picture
- matched: what fastgrad makes of the tool's goal, to be compared with "own"

Photographs are in the wheels of scikit-image and scikit-learn.
"""

import functools
import itertools

import numpy as np
from PIL import Image

from benchmarks.dither_tools import JUDGES, RIVALS, attempt, epaper_tones, load, reduced
from fastgrad.dithering import dither, fit_tones
from fastgrad.dithering.pictures.presets import PRESETS

IMAGES = ("astronaut", "coffee", "chelsea", "rocket", "motorcycle_left", "hubble_deep_field")
IMAGES += ("china", "flower")
PANELS = ("spectra6", "bwr", "bwry", "acep7", "grey4", "bw")
LOOKED = ("S-CIELAB", "FLIP")
COLUMNS = ("own", "ours", "given", "matched")
OURS = "fastgrad"


def ours(image, preset, fit=None):
    """Return our picture; by default after the preset's own fit."""
    options = preset.options if fit is None else {**preset.options, "fit": fit}
    return dither(image, palette=preset.colors, **options).image


def goal_of(image, preset, fit=None):
    """Return what our fit makes of a picture: the preset's own, or the one of a name."""
    fit = preset.options.get("fit", "clip") if fit is None else fit
    return fit_tones(image, preset.colors, fit)(image)


def tools(preset):
    """Return the rivals for a preset: on a picture, on one that fits already, and their tones."""
    colors = {"colors": len(preset.colors), "palette": preset.colors}
    found = {}
    for name in ("pillow", "dither_go", "dithering"):
        run = functools.partial(RIVALS[name], **colors)
        found[name] = run, run, None
    plain = functools.partial(RIVALS["epaper_dithering"], **colors)
    found["epaper_dithering"] = plain, plain, None
    fitted = functools.partial(RIVALS["epaper_dithering, auto"], **colors)
    found["epaper_dithering, auto"] = fitted, plain, epaper_tones
    return found


def judged(picture, goal):
    """Return what each judge says that is installed."""
    found = {}
    for judge in LOOKED:
        try:
            found[judge] = float(JUDGES[judge](picture, goal))
        except ImportError:
            continue
    return found


def compared(image, preset):
    """Return the figures of each tool, its pictures, and reasons why some have none."""
    goal = goal_of(image, preset)
    picture, seconds = attempt(functools.partial(ours, preset=preset), image)
    if seconds is None:
        raise RuntimeError(picture)
    own = judged(picture, goal)
    figures = {OURS: dict.fromkeys(COLUMNS, own) | {"seconds": seconds}}
    pictures, missing = {"goal": goal, OURS: picture}, {}
    goals, matched = {}, {}
    for name, (run, plain, tones) in tools(preset).items():
        picture, seconds = attempt(run, image)
        given, other = attempt(plain, goal)
        if seconds is None or other is None:
            missing[name] = picture if seconds is None else given
            continue
        if tones not in goals:
            fitted = image if tones is None else tones(image, preset.colors)
            its = goals[tones] = goal_of(fitted, preset, "clip")
            matched[tones] = judged(ours(its, preset, "none"), its)
        its = goals[tones]
        pictures[name] = picture
        figures[name] = {
            "own": judged(picture, its),
            "ours": judged(picture, goal),
            "given": judged(given, goal),
            "matched": matched[tones],
            "seconds": seconds,
        }
    return figures, pictures, missing


def lost(figures):
    """Return the contests that a rival does not lose, and how many there are."""
    found, count = [], 0
    for name, judge in itertools.product(figures, LOOKED):
        row = figures[name]
        if name == OURS or judge not in row["own"]:
            continue
        own = figures[OURS]["own"][judge]
        for column in ("own", "ours", "given"):
            count += 1
            if row[column][judge] <= own:
                found.append(f"{name} ({column}, {judge}: {row[column][judge]:.4g}, {own:.4g})")
        count += 1
        if row["own"][judge] <= row["matched"][judge]:
            both = f"{row['own'][judge]:.4g}, {row['matched'][judge]:.4g}"
            found.append(f"{name} (matched, {judge}: {both})")
    return found, count


def table(figures):
    """Print figures by tool."""
    heads = [f"{column}, {judge}" for column in COLUMNS for judge in LOOKED]
    print("\n| tool | " + " | ".join(heads) + " | seconds |")
    print("|---|" + "---|" * (len(heads) + 1))
    for name, row in figures.items():
        cells = [
            f"{row[column].get(judge, np.nan):.{2 if judge == 'S-CIELAB' else 4}f}"
            for column in COLUMNS
            for judge in LOOKED
        ]
        print(f"| {name} | " + " | ".join(cells) + f" | {row['seconds']:.2f} |", flush=True)


def mean(several):
    """Return the means of figures over pictures, for tools that have all of them."""
    found = {}
    for name in several[0]:
        rows = [figures[name] for figures in several if name in figures]
        if len(rows) == len(several):
            found[name] = {
                column: {judge: float(np.mean([r[column][judge] for r in rows])) for judge in said}
                for column, said in rows[0].items()
                if column in COLUMNS
            }
            found[name]["seconds"] = float(np.mean([r["seconds"] for r in rows]))
    return found


def report(images, presets, side, sheets=None):
    """Print the table of each picture and panel, then the means of each panel; return figures."""
    figures, missing, all_lost, contests = {}, {}, [], 0
    for panel in presets:
        several = []
        for name in images:
            image = reduced(load(name), side)
            found, pictures, without = compared(image, PRESETS[panel])
            missing |= without
            print(f"\n### {panel}, {name}")
            table(found)
            several.append(found)
            figures[f"{panel}, {name}"] = found
            some, count = lost(found)
            contests += count
            all_lost += [f"{panel}, {name}: {text}" for text in some]
            if sheets:
                sheet = np.concatenate([image, *pictures.values()], axis=1)
                Image.fromarray(sheet).save(sheets / f"{panel}-{name}.png")
        figures[panel] = mean(several)
    for panel in presets:
        print(f"\n## {panel}, means of {len(images)} pictures")
        table(figures[panel])
    print(f"\nnearer than the rival in {contests - len(all_lost)} of {contests} comparisons")
    for text in all_lost:
        print(f"not in: {text}")
    for tool, reason in missing.items():
        print(f"left out: {tool} ({reason})")
    return figures
