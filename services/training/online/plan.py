"""What a line is told, in plain values: without River, so that anyone may hold it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class LinePlan:
    """A learner with a `snapshot`. `rows`, `seconds`: how often it goes out; `window`: the newest
    rows that each fit is of, 0: it learns on and is never fitted.
    """

    name: str
    params: Mapping[str, Any]
    seed: int
    classes: int  # 0: a number is foretold
    features: int
    rows: int = 50
    seconds: float = 1.0
    kind: str = "river"
    window: int = 0
    names: tuple[str, ...] = ()  # of the features

    def recipe(self) -> str:
        """Of all that makes its answers beside the rows: another recipe is another line."""
        fits = [self.kind, self.window, self.rows, self.names] if self.window else []
        said = [dict(self.params), self.seed, self.classes, self.features, *fits]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]
