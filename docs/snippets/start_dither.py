from pathlib import Path

import numpy as np

import fastgrad as fg

y, x = np.mgrid[0:1:64j, 0:1:96j]
picture = np.stack([x, y, 1 - x], axis=-1)  # sRGB values in [0, 1]; an image of Pillow's will do
dithered = fg.dither(picture, colors=8)
dithered.save("dithered.png")  # indexed, with as few bits as eight colours need
print(dithered.palette)
assert Path("dithered.png").stat().st_size < 3000
