"""Settings of ingestion."""

from __future__ import annotations

from dataclasses import dataclass

from driftloop.kit.config import setting


@dataclass(frozen=True, slots=True)
class Config:
    """Names in the environment: INGESTION_INTERVAL_MS, …"""

    interval_ms: int = setting(
        20,
        at_least=1,
        at_most=1_000,
        why="transactions begin at most this often; one costs the broker 3 ms",
    )
    records_max: int = setting(
        2_000,
        at_least=1,
        at_most=20_000,
        why="source records a batch: 15 ms of work at 140,000 rows/s",
    )
    idle_ms: int = setting(
        20,
        at_least=0,
        at_most=10_000,
        why="how long a row waits for an older one from a partition that is read to its end",
    )
    stall_ms: int = setting(
        5_000,
        at_least=100,
        at_most=600_000,
        why="how long a partition with records that gives none (an open transaction) holds others",
    )
    ahead_hours: float = setting(
        24.0,
        above=0.0,
        at_most=87_600.0,
        why="a jump of event time beyond this counts from its tenth row on",
    )
    record_bytes_max: int = setting(
        1_000_000,
        at_least=1_000,
        at_most=1_000_000,
        why="a source record beyond this is a dead letter: too_large; `records` takes 1 MiB",
    )
