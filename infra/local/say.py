"""Where the tools of the house speak: one line to the terminal, at once. The only writer to stdout
in infra/local.
"""

from __future__ import annotations

import sys


def say(line: str) -> None:
    """One line for the person at the terminal."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
