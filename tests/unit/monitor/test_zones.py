"""Closed buckets as the index of event times: by it, the rows of a span are found without reading
the rest of the log, and none is missed.
"""

from __future__ import annotations

import numpy as np
import pytest

from driftloop import dataset, event_times
from driftloop.contracts import topics
from driftloop.contracts.event_pb2 import Envelope
from driftloop.contracts.feature_pb2 import Examples
from driftloop.contracts.prediction_pb2 import Predictions
from driftloop.dataset import Range, Times
from driftloop.kit.memory import MemoryBroker
from driftloop.kit.topic import Emit, emit
from tests.unit.monitor.test_handlers import (
    HOUR,
    a_broker,
    buckets,
    columns_of,
    drain,
    heartbeat,
    name,
    predictions,
    statistics,
)

DAY = 24 * HOUR
ROWS = 400  # in 40 days, ten rows a day; each has its label 0 to 40 hours later
BATCHES = 240  # four hours each, of buckets of six: a restart after each falls between closings too


def a_log(restarts: int) -> MemoryBroker:
    """Rows as they are answered, and their labels as they come, some of them much later; the
    monitor begins anew `restarts` times."""
    chance = np.random.default_rng(4)
    times = np.sort(chance.integers(DAY, 41 * DAY, ROWS))
    known = times + chance.integers(0, 40 * HOUR, ROWS)
    known[::50] += 20 * DAY  # as from a source that keeps what is late
    broker = a_broker()
    order = np.argsort(known, kind="stable")
    for number, some in enumerate(np.array_split(order, BATCHES)):
        now = int(known[some].max())
        answered = [int(i) for i in some]
        broker.append([predictions(answered, hour=0.5), labelled(answered, times[some], now)])
        broker.append([heartbeat(hour=now / HOUR, kind=Predictions)])
        if restarts and number % (BATCHES // restarts) == 0:
            drain(broker, buckets)
    drain(broker, buckets)
    return broker


def labelled(ids: list[int], times: np.ndarray, watermark_us: int) -> Emit:
    rows = len(ids)
    columns = {
        "event_id": [f"e{i:03}" for i in ids],
        "time_us": times.tolist(),
        "label_time_us": [watermark_us] * rows,
        "target": [1.0] * rows,
        "label_source_ms": [0] * rows,
    }
    message = Examples(
        envelope=Envelope(pipeline="p", generation=1, watermark_us=watermark_us),
        rows=rows,
        columns=columns_of(topics.EXAMPLES, columns),
        width=3,
        vectors=np.zeros((rows, 3), "<f4").tobytes(),
    )
    return emit(topics.EXAMPLES.topic("p", 1), message, partition=0)


def everything(broker: MemoryBroker) -> list[Range]:
    topic = name(topics.EXAMPLES)
    return [Range(topic, 0, *broker.bounds(topic, 0))]


@pytest.mark.parametrize("restarts", [0, 8, BATCHES])
@pytest.mark.parametrize(
    "times",
    [
        Times(5 * DAY, 6 * DAY),
        Times(10 * DAY, 10 * DAY + HOUR),
        Times(0, 3 * DAY),
        Times(38 * DAY),
        Times(0, 0, ((7 * DAY, 21 * DAY),)),
        Times(100 * DAY, 101 * DAY),
    ],
)
def test_the_rows_of_a_span_are_the_same_by_index_and_by_reading_all(
    restarts: int, times: Times
) -> None:
    broker = a_log(restarts)
    ranges = event_times.narrowed(broker, everything(broker), times, "p", 1)
    by_index, _ = dataset.read(broker, ranges, times=times)
    by_reading, _ = dataset.read(broker, everything(broker), times=times)
    assert by_index.sha256() == by_reading.sha256()
    assert by_index.ids.to_pylist() == by_reading.ids.to_pylist()


def test_a_short_span_reads_little_of_the_log_and_a_left_out_one_is_skipped() -> None:
    broker = a_log(8)
    (whole,) = everything(broker)

    def offsets(times: Times) -> int:
        found = event_times.narrowed(broker, [whole], times, "p", 1)
        return sum(one.end - one.start for one in found)

    assert 0 < offsets(Times(5 * DAY, 6 * DAY)) < 0.35 * (whole.end - whole.start)
    left = event_times.narrowed(broker, [whole], Times(0, 0, ((7 * DAY, 21 * DAY),)), "p", 1)
    assert len(left) > 1, "several ranges of one partition"
    assert event_times.narrowed(broker, [whole], dataset.ALL, "p", 1) == [whole]


def test_a_restart_anywhere_gives_the_same_zones_as_none_at_the_same_closings() -> None:
    broker = a_log(BATCHES)
    found = event_times.zones(broker, "p", 1)
    assert [zone.start for zone in found][1:] == [zone.end for zone in found][:-1]
    rows, _ = dataset.read(broker, everything(broker))
    for zone in found:
        inside = rows.within([Range(everything(broker)[0].topic, 0, zone.start, zone.end)])
        if len(inside):
            assert (zone.oldest_us, zone.newest_us) == (inside.times[0], inside.times[-1])
        else:
            assert zone.oldest_us > zone.newest_us


def test_what_no_bucket_speaks_of_is_read() -> None:
    broker = a_log(8)
    known = max(message.examples.end for message in statistics(broker))
    broker.append([labelled([900], np.array([5 * DAY + 1]), 60 * DAY)])
    (whole,) = everything(broker)
    (*_, last) = event_times.narrowed(broker, [whole], Times(5 * DAY, 6 * DAY), "p", 1)
    assert last.start <= known < last.end == whole.end
