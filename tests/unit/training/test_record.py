"""Windows by event time, with spans left out; their rows from the log or the archive, by digest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from driftloop import dataset
from driftloop.archive import Archive, Gone, in_log, name, recall
from driftloop.contracts import topics
from driftloop.contracts.model_pb2 import Window
from driftloop.dataset import Range, Times
from driftloop.kit.broker import Broker
from driftloop.kit.errors import Malformed, Refused
from driftloop.kit.memory import MemoryBroker
from driftloop.kit.objects import Objects
from tests.unit.training.examples import START_US, STEP_US, a_log, whole


def at(row: int) -> int:
    return START_US + row * STEP_US


def a_window(broker: Broker, times: Times = dataset.ALL) -> Window:
    ranges = whole(broker)
    rows, _ = dataset.read(broker, ranges, times=times)
    return dataset.window(rows, ranges, times)


def without(broker: MemoryBroker, before: int) -> None:
    """The log as retention leaves it: the first offsets of each partition are gone."""
    bounds = broker.bounds

    def later(topic: str, partition: int) -> tuple[int, int]:
        return before, bounds(topic, partition)[1]

    broker.bounds = later  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (Times(at(10), at(20)), range(10, 20)),
        (Times(0, at(5)), range(5)),
        (Times(at(95)), range(95, 100)),
        (Times(at(10), at(20), ((at(12), at(15)), (at(19), at(40)))), [10, 11, 15, 16, 17, 18]),
    ],
)
def test_a_window_holds_the_rows_of_its_event_times_alone(
    times: Times, expected: list[int]
) -> None:
    broker = a_log(100)
    rows, envelopes = dataset.read(broker, whole(broker), times=times)
    assert rows.ids.to_pylist() == [f"e{number}" for number in expected]
    assert envelopes.counts.sum() == len(expected)
    assert envelopes.newest.max() == rows.times.max()
    window = a_window(broker, times)
    assert dataset.times_of(window) == times
    assert recall(broker, window).rows.sha256() == rows.sha256()


def test_several_ranges_of_a_partition_are_one_window() -> None:
    broker = a_log(100)
    topic = whole(broker)[0].topic
    ranges = [Range(topic, 0, 0, 4), Range(topic, 0, 8, 12), Range(topic, 1, 2, 6)]
    rows, envelopes = dataset.read(broker, ranges)
    everything, _ = dataset.read(broker, whole(broker))
    assert everything.within(ranges).sha256() == rows.sha256()
    assert envelopes.counts.sum() == len(rows)
    before, after = dataset.parted(ranges, {0: 9})
    assert before == [Range(topic, 0, 0, 4), Range(topic, 0, 8, 9), Range(topic, 1, 2, 6)]
    assert after == [Range(topic, 0, 9, 12)]
    assert len(rows.within(before)) + len(rows.within(after)) == len(rows)


def test_an_archived_window_comes_back_to_the_bit(tmp_path: Path) -> None:
    broker, shelf = a_log(200), Archive(Objects(str(tmp_path)))
    window = a_window(broker, Times(at(20)))
    rows = recall(broker, window).rows
    rows.vectors.view(np.uint32)[3, 0] = 0x7FC00123  # a NaN with a word of its own
    window = dataset.window(rows, dataset.ranges_of(window), Times(at(20)))
    assert not shelf.has(window)
    shelf.keep(window, rows)
    back = shelf.rows(window)
    assert shelf.has(window)
    assert back is not None
    assert back.vectors.tobytes() == rows.vectors.tobytes()
    assert (back.offsets == rows.offsets).all()
    assert (back.partitions == rows.partitions).all()
    assert back.sha256() == window.rows_sha256


def test_what_the_log_has_lost_comes_from_the_archive_and_else_is_gone(tmp_path: Path) -> None:
    broker, shelf = a_log(100), Archive(Objects(str(tmp_path)))
    window = a_window(broker)
    assert recall(broker, window, shelf).source == "log"
    shelf.keep(window, recall(broker, window).rows)
    assert isinstance(broker, MemoryBroker)
    without(broker, 3)
    assert not in_log(broker, window)
    found = recall(broker, window, shelf)
    assert (found.source, found.rows.sha256()) == ("archive", window.rows_sha256)
    with pytest.raises(Gone, match="no longer holds") as gone:
        recall(broker, window)
    assert gone.value.what == "window"


def test_a_log_made_anew_is_not_believed_and_the_archive_is(tmp_path: Path) -> None:
    broker, other = a_log(100), a_log(100, seed=9)
    window, shelf = a_window(broker), Archive(Objects(str(tmp_path)))
    with pytest.raises(Gone) as gone:
        recall(other, window, shelf)
    assert (gone.value.what, gone.value.found) == ("rows", a_window(other).rows_sha256)
    shelf.keep(window, recall(broker, window).rows)
    assert recall(other, window, shelf).source == "archive"


@pytest.mark.parametrize("column", ["target", "offset", "nothing"])
def test_a_changed_archive_is_refused(tmp_path: Path, column: str) -> None:
    broker, shelf = a_log(100), Archive(Objects(str(tmp_path)))
    window = a_window(broker)
    shelf.keep(window, recall(broker, window).rows)
    path = tmp_path / name(window)
    table = pq.read_table(path)
    if column in table.column_names:
        values = table.column(column).to_numpy().copy()
        values[5] = values[5] + 1_000_000
        at_ = table.column_names.index(column)
        pq.write_table(table.set_column(at_, column, pa.array(values)), path)
    else:
        path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(Malformed):
        shelf.rows(window)
    assert isinstance(broker, MemoryBroker)
    without(broker, 3)
    with pytest.raises(Gone) as gone:
        recall(broker, window, shelf)
    assert gone.value.what == "rows"


def test_a_window_whose_topic_is_gone_is_not_in_the_log() -> None:
    window = a_window(a_log(20))
    assert not in_log(MemoryBroker(), window)
    assert topics.EXAMPLES.topic("sea", 1).name in name(window)


def test_a_place_of_no_kind_is_refused() -> None:
    with pytest.raises(Refused, match="wanted a folder"):
        Objects("ftp://somewhere/else")
