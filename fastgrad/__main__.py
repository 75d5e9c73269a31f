"""``python -m fastgrad``: the command line."""

import sys

from fastgrad.cli import main

if __name__ == "__main__":
    sys.exit(main())
