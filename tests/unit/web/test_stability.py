"""PSI on the page is the monitor's own, number for number."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftloop.contracts import topics
from driftloop.contracts.retrain_pb2 import Statistics
from driftloop.kit.memory import MemoryBroker
from driftloop.kit.message import parse
from driftloop.spec import parse as parse_file
from driftloop.statistics import FEATURE_BINS, Reference, psi
from driftloop.web.stability import Stability
from services.monitor.domain.readings import Readings
from tests.support.year import FLIGHTS, fill

COUNTS = st.lists(st.integers(0, 30), min_size=5, max_size=5)


@settings(max_examples=50, deadline=None)
@given(st.lists(COUNTS, min_size=1, max_size=3), st.lists(COUNTS, min_size=3, max_size=3))
def test_groups_found_once_give_what_one_by_one_gives(
    olds: list[list[int]], news: list[list[int]]
) -> None:
    at = [0, 7, 900, 901, FEATURE_BINS - 1]
    reference = np.zeros((len(olds), FEATURE_BINS), np.int64)
    newest = np.zeros((len(olds), FEATURE_BINS), np.int64)
    for number, old in enumerate(olds):
        reference[number, at], newest[number, at] = old, news[number]
    index = np.flatnonzero(newest)

    found = Reference(reference).psi(index, newest.reshape(-1)[index])

    each = [psi(old, new) for old, new in zip(reference, newest, strict=True)]
    assert found == pytest.approx(each, abs=1e-12)


def test_the_spans_are_the_monitors_readings() -> None:
    broker = MemoryBroker()
    fill(broker, days=20, runs=1)
    names = parse_file(FLIGHTS.read_text("utf-8"), "flights").feature_names()
    stability, readings, wanted = Stability(names), Readings(len(names)), []
    topic = topics.STATISTICS.topic("flights").name
    for record in broker.read(topic, 0, 0, broker.bounds(topic, 0)[1]):
        message = parse(Statistics, record)
        stability.add(message)
        reading = readings.take(
            message.version,
            message.scored,
            message.loss_sum,
            message.baseline_loss_sum,
            message.score_histogram,
            message.baseline_histogram,
            message.feature_histogram,
        )
        if reading is not None and reading.psi is not None:
            wanted.append(reading.psi)

    told = stability.told()["features"]

    assert len(wanted) >= 2
    assert isinstance(told, dict) and list(told) == names
    np.testing.assert_allclose(np.array(list(told.values())).T, np.array(wanted), atol=1e-5)
