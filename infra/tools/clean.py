"""`make clean`: removes what tools leave behind. What took long to fetch, and what a person may
want, stays.
"""

import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = (
    ".mypy_cache",
    ".ruff_cache",
    ".pytest_cache",
    ".hypothesis",
    "build",
    "dist",
    "driftloop.egg-info",
)
KEPT = {".venv", ".git", "var"}

if __name__ == "__main__":
    for name in FOLDERS:
        shutil.rmtree(ROOT / name, ignore_errors=True)
    for top in ROOT.iterdir():
        if top.is_dir() and top.name not in KEPT:
            for cache in list(top.rglob("__pycache__")):
                shutil.rmtree(cache, ignore_errors=True)
