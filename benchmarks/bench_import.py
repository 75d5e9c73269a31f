"""Time to import, each run in a new process."""


def timeraw_fastgrad():
    return "import fastgrad"


def timeraw_packages_below():
    return "import numba, numpy"
