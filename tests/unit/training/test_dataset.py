"""Offsets are the dataset's version: the same ranges are the same rows, however they are cut."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from driftloop import dataset
from driftloop.contracts import topics
from driftloop.contracts.feature_pb2 import Examples
from driftloop.dataset import Range
from driftloop.kit.broker import TopicSpec
from driftloop.kit.errors import Malformed
from driftloop.kit.memory import MemoryBroker
from driftloop.kit.topic import emit
from tests.unit.training.examples import START_US, STEP_US, a_log, emits, made, whole


def test_rows_come_sorted_by_time_with_their_vectors_and_targets() -> None:
    vectors, target = made(100)
    broker = a_log(100)
    rows, envelopes = dataset.read(broker, whole(broker))
    assert rows.times.tolist() == [START_US + i * STEP_US for i in range(100)]
    assert rows.ids.to_pylist() == [f"e{i}" for i in range(100)]
    np.testing.assert_array_equal(rows.vectors, vectors)
    np.testing.assert_array_equal(rows.target, target)
    assert envelopes.counts.sum() == 100


@pytest.mark.parametrize(("size", "partitions"), [(1, 1), (13, 3), (100, 2)])
def test_the_digest_does_not_depend_on_envelopes_or_partitions(size: int, partitions: int) -> None:
    broker = MemoryBroker()
    broker.create([TopicSpec(topics.EXAMPLES.topic("sea", 1).name, partitions)])
    broker.append(emits(*made(100), "sea", partitions=partitions, size=size))
    rows, _ = dataset.read(broker, whole(broker, partitions=partitions))
    other = a_log(100)
    assert rows.sha256() == dataset.read(other, whole(other))[0].sha256()


def test_rows_of_one_instant_are_in_the_order_of_their_ids() -> None:
    ids, times = pa.array(["b", "z", "a", "c"]), np.array([5, 1, 5, 5])
    assert ids.take(pa.array(dataset._order(ids, times))).to_pylist() == ["z", "a", "b", "c"]


def test_a_changed_bit_changes_the_digest() -> None:
    broker = a_log(50)
    rows, _ = dataset.read(broker, whole(broker))
    before = rows.sha256()
    rows.vectors[7, 0] = np.nextafter(np.float32(rows.vectors[7, 1]), np.float32(9))
    assert rows.sha256() != before


def test_part_of_a_window_is_what_its_offsets_hold() -> None:
    broker = a_log(100)
    ranges = whole(broker)
    rows, _ = dataset.read(broker, ranges)
    part = [Range(ranges[0].topic, 0, 4, 10), Range(ranges[1].topic, 1, 2, 8)]
    again, _ = dataset.read(broker, part)
    assert rows.within(part).sha256() == again.sha256()
    assert 0 < len(again) < 100


def test_an_empty_window_is_no_rows() -> None:
    broker = a_log(10)
    topic = whole(broker)[0].topic
    rows, envelopes = dataset.read(broker, [Range(topic, 0, 0, 0)])
    assert (len(rows), len(envelopes.counts), rows.sha256()) == (0, 0, rows.sha256())
    assert dataset.window(rows, []).rows == 0


@pytest.mark.parametrize(
    "wrong",
    [
        Examples(rows=2, width=2, vectors=b"\0" * 12, columns=b""),
        Examples(rows=1, width=1, vectors=b"\0" * 4, columns=b"no batch"),
    ],
)
def test_an_envelope_that_is_none_is_malformed(wrong: Examples) -> None:
    broker = MemoryBroker()
    topic = topics.EXAMPLES.topic("sea", 1)
    broker.create([TopicSpec(topic.name, 1)])
    broker.append([emit(topic, wrong, partition=0)])
    with pytest.raises(Malformed):
        dataset.read(broker, whole(broker, partitions=1))
