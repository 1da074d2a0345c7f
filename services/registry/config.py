"""Settings of the registry."""

from __future__ import annotations

from dataclasses import dataclass

from driftloop.kit.config import setting


@dataclass(frozen=True, slots=True)
class Config:
    """Names in the environment: REGISTRY_ARTIFACTS, …"""

    artifacts: str = setting(
        "",
        why="folder or URL (s3://bucket/folder) of the models' bytes, to be kept as long as the "
        "log; none: in DRIFTLOOP_DATA",
    )
    artifact_bytes_max: int = setting(
        1 << 30, at_least=1, why="largest artifact taken; 1 GiB, a model is < 1 MB"
    )
    answer_seconds_max: float = setting(
        10.0, above=0.0, why="wait for a call's transaction: twice the broker's own limit"
    )
    run_seconds_max: float = setting(
        3600.0, above=0.0, why="a run's deadline where its request names none"
    )
