"""Settings of evaluation."""

from __future__ import annotations

from dataclasses import dataclass

from driftloop.kit.config import setting


@dataclass(frozen=True, slots=True)
class Config:
    """Names in the environment: EVALUATION_CHILDREN_MAX, …"""

    children_max: int = setting(1, at_least=1, at_most=64, why="judgements at the same time")
    memory_mb_max: int = setting(2048, at_least=256, why="of one judgement; 5,000 rows take 100")
    seconds_max: float = setting(300.0, above=0.0, why="of one judgement or replay")
    archive: str = setting(
        "",
        why="folder or URL of archived windows, as TRAINING_ARCHIVE, for replays of windows whose "
        "rows have left the log",
    )
    interval_ms: int = setting(50, at_least=1, why="shortest time between two transactions")
