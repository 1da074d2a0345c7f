"""What the demo's user chose, by environment: DAYS (first days of the year), KEEP=1 (leave the
stack up), CALENDAR=1 (score a calendar too), CLEAN=1 (without the handful of broken records), SPEED
(times real time), DEMO_FOLDER (instead of var/demo)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from driftloop.kit.errors import Refused
from infra.demo import replay
from infra.local import places


@dataclass(frozen=True, slots=True)
class Settings:
    """What the user chose."""

    days: int | None
    keep: bool
    calendar: bool
    clean: bool
    speed: float
    folder: Path

    @staticmethod
    def of(environ: Mapping[str, str]) -> Settings:
        """Refused: a number that is none, or out of range."""
        days = _number(environ, "DAYS", 1, 365)
        return Settings(
            None if days is None else int(days),
            environ.get("KEEP") == "1",
            environ.get("CALENDAR") == "1",
            environ.get("CLEAN") == "1",
            _number(environ, "SPEED", 1, 10_000_000) or replay.SPEED,
            Path(environ.get("DEMO_FOLDER") or places.VAR / "demo"),
        )


def _number(environ: Mapping[str, str], name: str, least: float, most: float) -> float | None:
    text = environ.get(name, "")
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not least <= number <= most:
        raise Refused(f"{name} is {text!r}, wanted a number from {least:g} to {most:,.0f}")
    return number
