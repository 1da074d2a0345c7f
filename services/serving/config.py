"""Settings of serving."""

from __future__ import annotations

from dataclasses import dataclass

from driftloop.kit.config import setting


@dataclass(frozen=True, slots=True)
class Config:
    """Names in the environment: SERVING_PROVIDER, …"""

    provider: str = setting(
        "auto", why="auto, cpu or cuda; auto takes CUDA where onnxruntime-gpu finds a card"
    )
    interval_seconds: float = setting(
        0.02, at_least=0.0, why="transactions begin at most this often"
    )
    records_max: int = setting(
        200, at_least=1, why="envelopes of one batch; 200 of 1,000 rows are scored in 7 s"
    )
    fetch_seconds_max: float = setting(
        10.0, above=0.0, why="one download from the registry; a model is < 1 MB"
    )
    start_seconds_max: float = setting(
        10.0, above=0.0, why="wait for the release before the loop begins anew"
    )
    cache_artifacts_max: int = setting(
        50, at_least=3, why="models kept on disk; live, previous, baseline and some more"
    )
    call_rows_max: int = setting(10_000, at_least=1, why="rows of one call: .2 s of scoring")
    journal_calls_max: int = setting(
        1_000, at_least=1, why="calls waiting to be logged; more are dropped and counted"
    )
