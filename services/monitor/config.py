"""Settings of the monitor."""

from __future__ import annotations

from dataclasses import dataclass

from driftloop.kit.config import setting


@dataclass(frozen=True, slots=True)
class Config:
    """Names in the environment: MONITOR_INTERVAL_MS, …"""

    interval_ms: int = setting(
        200,
        at_least=10,
        at_most=1_000,
        why="transactions begin at most this often; buckets are minutes long",
    )
    records_max: int = setting(
        2_000,
        at_least=1,
        at_most=20_000,
        why="envelopes a batch: some 20 MB when the monitor catches up",
    )
