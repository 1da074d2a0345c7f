"""What serving tells on /metrics of its models' work."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.serving.meter import CALL
from tests.support.figures import value
from tests.unit.serving.nets import a_model
from tests.unit.serving.stories import House, an_envelope, some_vectors

MODEL = a_model(1.0, -1.0, 0.5)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    house.meter.opened("flights")
    yield house
    house.models.stop()


def said(house: House, name: str, **labels: str) -> float | None:
    return value(house.metrics.text(), f"driftloop_{name}", pipeline="flights", **labels)


def test_rows_without_a_model_are_counted_and_rows_with_one_are_timed(house: House) -> None:
    house.models.read_to_end()
    house.send(an_envelope(0, ["a", "b"], some_vectors(2)))
    house.loop.drain()
    assert said(house, "no_model_rows_total") == 2
    assert said(house, "score_seconds_count", version="1") is None

    house.release(1, MODEL)
    assert house.standing.settled.wait(5)
    house.send(
        an_envelope(0, ["c", "d", "e"], some_vectors(3)), an_envelope(1, [], some_vectors(0))
    )
    house.loop.drain()
    assert said(house, "no_model_rows_total") == 2
    assert said(house, "score_seconds_count", version="1") == 3
    delay_s = house.broker.clock.ms() / 1_000 - 1.0  # their source was appended at 1,000 ms
    assert said(house, "score_seconds_sum", version="1") == pytest.approx(3 * delay_s, rel=1e-3)
    of = {"version": "1", "origin": "stream"}
    assert said(house, "predict_rows_sum", **of) == 3
    assert (
        said(house, "predict_seconds_count", **of) == said(house, "predict_rows_count", **of) == 1
    )


def test_a_heartbeat_is_no_run_of_the_model(house: House) -> None:
    house.release(1, MODEL)
    house.models.read_to_end()
    assert house.standing.settled.wait(5)
    house.send(an_envelope(0, [], some_vectors(0)))
    house.loop.drain()
    assert said(house, "predict_rows_count", version="1", origin="stream") is None
    assert said(house, "score_seconds_count", version="1") is None


def test_calls_are_apart_from_the_stream(house: House) -> None:
    house.release(1, MODEL)
    house.models.read_to_end()
    assert house.standing.settled.wait(5)
    assert house.standing.current is not None
    house.meter.answer(house.standing.current, some_vectors(5), house.plan, CALL)
    house.meter.dropped("flights", 5)
    house.meter.waiting(2)
    assert said(house, "predict_rows_sum", version="1", origin="call") == 5
    assert said(house, "predict_rows_sum", version="1", origin="stream") is None
    assert said(house, "calls_dropped_total") == 5
    page, queue = house.metrics.text(), {"loop": "calls", "pipeline": "", "queue": "journal"}
    assert value(page, "driftloop_queue_rows", **queue) == 2


def test_a_swap_says_which_version_answers_and_since_when(house: House) -> None:
    house.meter.swapped(house.release(3, MODEL, released_ms=1_700_000_000_500))
    assert said(house, "model_version") == 3
    assert said(house, "model_released_timestamp_seconds") == 1_700_000_000.5
