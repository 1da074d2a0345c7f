"""Settings of features."""

from __future__ import annotations

from dataclasses import dataclass

from driftloop.kit.config import setting


@dataclass(frozen=True, slots=True)
class Config:
    """Names in the environment: FEATURES_INTERVAL_SECONDS, …"""

    interval_seconds: float = setting(
        0.02, at_least=0.0, why="transactions begin at most this often"
    )
    join_interval_seconds: float = setting(
        0.1, at_least=0.0, why="the same for the join of labels: no answer waits for an example"
    )
    records_max: int = setting(
        500, at_least=1, why="envelopes of one batch; 500 of 1,000 rows take 2 s"
    )
    heartbeat_ms: int = setting(
        1_000, at_least=10, why="a partition that is silent for so long is told the watermark"
    )
    round_seconds: float = setting(
        30.0, above=0.0, why="from one checkpoint to the next: as much is replayed after a crash"
    )
    round_rows_max: int = setting(
        1_000_000, at_least=1, why="rows from one checkpoint to the next: 4 s of replay"
    )
    checkpoint_bytes_max: int = setting(
        128 * 1024,
        at_least=1,
        why="state in one transaction, before packing: packing takes .5 ms",
    )
    state_mb_max: int = setting(
        2_048, at_least=1, why="windows of one pipeline; past it its loop stops and says so"
    )
    question_rows_max: int = setting(
        1_000, at_least=1, why="rows of one Transform: 4 ms in which the loop waits"
    )
