"""Some frames of an animation, which tell what the others will be like."""

from __future__ import annotations

from collections.abc import Iterator

from fastgrad.dithering.pictures import images
from fastgrad.dithering.pictures.frames import Frame

__all__ = ["Excerpt"]


class Excerpt(images.Picture):
    """Pairs of neighbouring frames of a picture file, evenly chosen, as if it had no others.

    Parameters
    ----------
    picture : images.Picture
        The file.
    most : int
        Number of frames at most, which is even.

    Examples
    --------
    >>> import io
    >>> from PIL import Image
    >>> from fastgrad.dithering.pictures.images import Picture
    >>> file, greys = io.BytesIO(), [Image.new("L", (4, 3), 9 * i) for i in range(7)]
    >>> greys[0].save(file, "PNG", save_all=True, append_images=greys[1:])
    >>> some = Excerpt(Picture(file.getvalue()), 4)
    >>> some.count, [int(frame.values[0, 0, 0]) for frame in some.frames()]
    (4, [0, 9, 27, 36])
    """

    def __init__(self, picture: images.Picture, most: int) -> None:
        self.__dict__.update(picture.__dict__)
        self._whole = picture
        self.count = min(most, picture.count)

    def frames(self, size: tuple[int, int] | None = None) -> Iterator[Frame]:
        """Decode the frames, as `images.Picture.frames` does."""
        whole, pairs = self._whole.count, max(1, self.count // 2)
        chosen = {i * whole // pairs + j for i in range(pairs) for j in (0, 1)}
        for i, frame in enumerate(self._whole.frames(size)):
            if i in chosen or self.count == whole:
                yield frame
