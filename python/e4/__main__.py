"""``python -m e4``: the same as the command ``e4``."""

from __future__ import annotations

import sys

from e4.cli import main

if __name__ == "__main__":
    sys.exit(main())
