"""Palettes in files: `fastgrad.palettes`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fastgrad._typing import ByteArray

if TYPE_CHECKING:
    from fastgrad.dithering.pictures.inputs import Colors

__all__ = ["read", "read_device", "write"]


def read(path: str | os.PathLike[str]) -> ByteArray:
    """Read the colours of a palette's file, in its order, each of them once.

    Parameters
    ----------
    path : str or path-like
        A file in one of the formats of ``fastgrad dither --palette``, told by what is in it: those
        of GIMP and Aseprite (``.gpl``), Adobe (``.act``, ``.aco``, ``.ase``), JASC and Windows
        (``.pal``), Paint.NET and Lospec (``.txt``, ``.hex``), JSON, or a picture. A ``.act`` of 768
        bytes does not say how many colours it has: zeros that fill it up are read as black.

    Returns
    -------
    array of uint8, shape (K, 3)
        The colours in sRGB.

    Raises
    ------
    FileError
        If the file cannot be read, is no palette, or has not 2 to 256 colours: a `ValueError`.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from fastgrad import palettes
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "two.gpl")
    ...     palettes.write(path, ["#000000", "#ff8000"])
    ...     palettes.read(path).tolist()
    [[0, 0, 0], [255, 128, 0]]
    """
    from fastgrad.dithering.pictures import palette_files  # few programs need them

    return palette_files.read(path)[0]


def read_device(path: str | os.PathLike[str]) -> ByteArray:
    """Read the colours that a picture's file gets in the places of those of `read`.

    Parameters
    ----------
    path : str or path-like
        A file as in `read`. Only a ``.json`` can have others, as its ``"device"``.

    Returns
    -------
    array of uint8, shape (K, 3)
        The colours in sRGB.

    Raises
    ------
    FileError
        As in `read`.
    """
    from fastgrad.dithering.pictures import palette_files

    return palette_files.read(path)[1]


def write(path: str | os.PathLike[str], colors: Colors, *, name: str = "fastgrad") -> None:
    """Write the file of a palette, all of it or nothing.

    Parameters
    ----------
    path : str or path-like
        The file, replaced if it exists. Its ending says the format, as in `read`.
    colors : array_like, shape (K, 3), or sequence of str
        The colours in sRGB: integers from 0 to 255, or text like ``"#rrggbb"``.
    name : str, optional
        The palette's name, for formats that have one.

    Raises
    ------
    FileError
        If the name has another ending, or the file cannot be written.
    TypeError, ValueError
        If these are no colours, or not 2 to 256 of them.
    """
    from fastgrad.dithering.pictures import palette_files
    from fastgrad.dithering.pictures.inputs import colors_of

    palette_files.write(path, colors_of(colors), name=name)
