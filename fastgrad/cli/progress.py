"""Progress on a terminal: tqdm's bar where it is installed, else a plain count."""

import sys
import time


class Plain:
    """As much of tqdm as is used here, in one line that rewrites itself."""

    def __init__(self, unit):
        self.unit, self.n, self.total, self.note = unit, 0, 0, ""
        self.began = time.monotonic()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self.n and sys.stderr.isatty():
            print(file=sys.stderr)

    def set_postfix_str(self, note, refresh=True):
        """Set what stands after the count."""
        self.note = note

    def update(self, n=1):
        """Count on."""
        self.n += n
        if sys.stderr.isatty():
            left = (time.monotonic() - self.began) / max(self.n, 1) * (self.total - self.n)
            line = f"{self.n} of {self.total} {self.unit}s, {self.note}, {left:.0f} s left"
            print(f"\r{line[:79]:79}", end="", file=sys.stderr, flush=True)


def progress_bar(unit):
    """Return a progress bar; it shows on a terminal only."""
    try:
        from tqdm import tqdm
    except ImportError:
        return Plain(unit)
    return tqdm(unit=unit, disable=None, dynamic_ncols=True)
