"""Where things lie on disk: the repository, its `var/`, and the caches that several clones may
share.
"""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VAR = ROOT / "var"


def cache() -> Path:
    """Downloads: `var/cache`, or DRIFTLOOP_CACHE to share one between clones."""
    return Path(os.environ.get("DRIFTLOOP_CACHE") or VAR / "cache")
