"""Settings of training."""

from __future__ import annotations

from dataclasses import dataclass

from driftloop.kit.config import setting


@dataclass(frozen=True, slots=True)
class Config:
    """Names in the environment: TRAINING_CHILDREN_MAX, …"""

    children_max: int = setting(
        1, at_least=1, at_most=64, why="runs that fit at the same time; the others wait"
    )
    memory_mb_max: int = setting(
        4096, at_least=256, why="of one fit; 336,776 rows of 50 columns take about 600"
    )
    interval_ms: int = setting(
        50, at_least=1, why="shortest time between two transactions of the control plane"
    )
    answer_seconds_max: float = setting(
        10.0, above=0.0, why="wait for a call's transaction: twice the broker's limit"
    )
    studies: str = setting(
        "",
        why="URL of a database of trials (postgresql+pg8000://…) that replicas share; none: "
        "journals in DRIFTLOOP_DATA",
    )
    workers_max: int = setting(
        2, at_least=1, at_most=256, why="of one search here, whatever its pipeline file says; "
        "each may take as much memory as a fit",
    )  # fmt: skip
    archive: str = setting(
        "",
        why="folder or URL (s3://bucket/folder) of archived windows, to be kept; "
        "none: in DRIFTLOOP_DATA",
    )
    archive_share: float = setting(
        0.2,
        at_least=0.0,
        at_most=1.0,
        why="share of the retention that is left when a window is archived; 1: at once",
    )
    archive_seconds: float = setting(
        600.0, at_least=0.1, why="how often is looked; retention is counted in days"
    )
    rebuild_seconds_max: float = setting(
        1_800.0, above=0.0, why="of one rebuild, or of archiving a window"
    )
