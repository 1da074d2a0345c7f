"""What, beside rows, params and seed, makes a model's bytes: source, libraries, threads, CPU.

It stands in the model's record, so that a rebuild that differs can say why. Nothing here fits.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, entry_points, version
from pathlib import Path

import numpy as np

from driftloop import dataset
from driftloop.plugins import LEARNERS
from services.training.learners import SHIPPED

THREADS = 1  # sums are then taken in one order
EVERY = ("numpy", "onnx")  # rows come from the one, graphs are written by the other
OF_KIND: Mapping[str, tuple[str, ...]] = {  # distributions that fit and export
    "lightgbm": ("lightgbm",),
    "xgboost": ("xgboost-cpu", "xgboost"),
    "sklearn": ("scikit-learn", "scipy"),
    "river": ("river", "polars"),
    "torch": ("torch",),
}
APART = ("rebuild.py", "archiving.py", "housekeeping.py")  # they look on, and make nothing


def code_digest() -> str:
    """Of training's own source, and of how rows are read."""
    here = Path(__file__).parent
    digest = hashlib.sha256()
    paths = [path for path in sorted(here.rglob("*.py")) if path.name not in APART]
    for path in [*paths, Path(dataset.__file__)]:
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def libraries(kind: str) -> dict[str, str]:
    """Distribution → version, of those that a learner of `kind` stands on and that are here."""
    python = ".".join(map(str, sys.version_info[:3]))
    found = {"python": python} | _versions((*EVERY, *OF_KIND.get(kind, ())))
    if kind not in SHIPPED:
        found |= {
            point.dist.name: point.dist.version
            for point in entry_points(group=LEARNERS, name=kind)
            if point.dist is not None
        }
    return dict(sorted(found.items()))


def cpu_features() -> str:
    """What numpy found: exp and log differ in their last bits between AVX2 and AVX-512."""
    found = np.show_config(mode="dicts")["SIMD Extensions"]
    return " ".join([*found.get("baseline", ()), *found.get("found", ())])


def _versions(names: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # an extra that is not installed
            continue
    return found
