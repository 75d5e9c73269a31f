from pathlib import Path

from PIL import Image

import fastgrad as fg

if __name__ == "__main__":
    Path("photos").mkdir()
    for name in "abc":
        Image.linear_gradient("L").resize((48, 48)).save(f"photos/{name}.png")
    Path("photos/broken.png").write_bytes(b"no picture")
    made = fg.dither_files("photos", output="panel/", preset="spectra6", speed=10)
    for one in made:  # what is wrong with one picture stops no other
        print(one.source.name, one.error or one.target)
    assert sum(one.error is None for one in made) == 3
