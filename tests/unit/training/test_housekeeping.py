"""When a window is archived, which ones, and where their rows are said to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from driftloop import dataset
from driftloop.archive import Archive, recall
from driftloop.contracts.model_pb2 import Candidate, ModelVersion, Window
from driftloop.kit.admin import Admin, TopicState
from driftloop.kit.broker import Broker, Partition
from driftloop.kit.child import Finished
from driftloop.kit.clock import FakeClock
from driftloop.kit.memory import MemoryBroker
from driftloop.kit.objects import Objects
from services.training.domain import Retention, Stretch, endangered
from services.training.housekeeping import Housekeeping, Models
from tests.unit.training.examples import a_log, whole
from tests.unit.training.test_record import without

DAY_MS = 86_400_000
YEAR = Retention(400 * DAY_MS)


@pytest.mark.parametrize(
    ("stretch", "retention", "now_days", "said"),
    [
        (Stretch(0, 0, 1_000, 0), YEAR, 100, ""),
        (Stretch(0, 0, 1_000, 0), YEAR, 321, "is kept for 1896.0 h more"),
        (Stretch(0, 0, 1_000, 0), YEAR, 500, "is kept for 0.0 h more"),
        (Stretch(900, 500, 1_500, 0), YEAR, 10, ""),
        (Stretch(600, 500, 1_500, 0), YEAR, 10, "the log begins 100 offsets before it"),
        (Stretch(0, 0, 1_000, None), YEAR, 399, ""),
        (Stretch(0, 0, 1_000, 0), Retention(-1), 10_000, ""),
        (Stretch(0, 0, 1_000, 0), Retention(-1, 10**9), 0, "kept by size (1,000,000,000 bytes)"),
    ],
)
def test_a_window_is_endangered_in_the_last_fifth_of_its_retention(
    stretch: Stretch, retention: Retention, now_days: int, said: str
) -> None:
    why = endangered([stretch], retention, now_days * DAY_MS, 0.2)
    assert said in why
    assert bool(why) == bool(said)


@dataclass
class Cluster:
    """Of Kafka's answers those that are asked for; records were appended at time 0."""

    retention_ms: int = 10 * DAY_MS

    def topics(self, names: Sequence[str]) -> Mapping[str, TopicState]:
        config = {"retention.ms": str(self.retention_ms), "retention.bytes": "-1"}
        return {name: TopicState(name, 2, 1, 1, (), config) for name in names}

    def appended_ms(self, partition: Partition, offset: int) -> int | None:
        return 0


@dataclass
class Known:
    """The registry's models."""

    models: list[ModelVersion]

    def all(self, pipeline: str) -> list[ModelVersion]:
        return self.models


@dataclass
class Works:
    """Archives at once, or fails."""

    broker: Broker
    archive: Archive
    fails: str = ""
    asked: list[Window] = field(default_factory=list)

    def start(self, window: Window) -> Works:
        self.asked.append(window)
        if not self.fails:
            self.archive.keep(window, recall(self.broker, window).rows)
        return self

    def poll(self) -> Finished:
        return Finished(None, self.fails) if self.fails else Finished({"bytes": 1})

    def progress(self) -> list[dict[str, Any]]:
        return []

    def cancel(self) -> None:
        self.fails = "cancelled"


class Stop:
    """Set once the first round is over."""

    def __init__(self) -> None:
        self.asked = 0

    def is_set(self) -> bool:
        self.asked += 1
        return self.asked > 1


def a_model(version: int, window: Window, *aliases: str) -> ModelVersion:
    return ModelVersion(version=version, candidate=Candidate(window=window), aliases=aliases)


def a_house(folder: Path, now_days: float) -> tuple[Housekeeping, Works, MemoryBroker]:
    broker = a_log(100)
    assert isinstance(broker, MemoryBroker)
    first, second = whole(broker)
    windows = []
    for ranges in ([first], [second], [first, second]):
        rows, _ = dataset.read(broker, ranges)
        windows.append(dataset.window(rows, ranges))
    models = [
        a_model(1, windows[0], "baseline"),
        a_model(2, windows[1]),
        a_model(3, windows[2], "champion"),
        a_model(4, Window(), "champion"),
    ]
    archive, clock = Archive(Objects(str(folder))), FakeClock(int(now_days * DAY_MS))
    works = Works(broker, archive)
    admin, known = cast(Admin, Cluster()), cast(Models, Known(models))
    of = (known, lambda: ["sea"], broker, admin, archive, works.start, clock, 0.2, 60.0)
    return Housekeeping(*of), works, broker


def states(house: Housekeeping) -> list[str]:
    return [one.state for one in house.windows("sea")]


def test_windows_of_models_in_use_are_archived_when_their_time_comes(tmp_path: Path) -> None:
    house, works, broker = a_house(tmp_path, now_days=7.9)
    house.work(cast(Any, Stop()))
    assert works.asked == []
    house, works, broker = a_house(tmp_path, now_days=8.1)
    house.work(cast(Any, Stop()))
    assert [window.rows for window in works.asked] == [
        house.models.all("sea")[number].candidate.window.rows for number in (0, 2)
    ]
    assert house.due("sea") == [], "what is archived is not archived again"
    assert states(house) == ["live", "live", "live", "none"]
    without(broker, 1)
    assert states(house) == ["archived", "expired", "archived", "none"]


def test_a_window_that_cannot_be_archived_is_tried_again_and_stops_nothing(tmp_path: Path) -> None:
    house, works, _ = a_house(tmp_path, now_days=8.1)
    works.fails = "the disk is full"
    house.work(cast(Any, Stop()))
    works.fails = ""
    house.work(cast(Any, Stop()))
    assert len(works.asked) == 3
    assert house.due("sea") == []
