"""A traced row's score carries its trace, wherever its envelope stood in the batch; a swap is part
of the turn that brought it about."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from driftloop.contracts import topics
from driftloop.kit.trace import NoTracer, parse, passed_on, render, root
from driftloop.kit.trace.marks import ids, made, read
from tests.support import eventually
from tests.support.traced import Kept
from tests.unit.serving import stories
from tests.unit.serving.nets import a_model
from tests.unit.serving.stories import House, an_envelope, some_vectors

MODEL = a_model(1.0, -1.0, 0.5)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path, tracer=Kept())
    house.models.read_to_end()
    yield house
    house.models.stop()


def spans_of(house: House) -> Kept:
    assert isinstance(house.tracer, Kept)
    return house.tracer


def mark(row: int, number: int) -> bytes:
    return made([row], [bytes([number]) * 16], [bytes([number]) * 8]).tobytes()


def headers(house: House) -> dict[str, str]:
    """Event id → traceparent of its score."""
    topic = topics.SCORES.topic("flights").name
    records = [
        r for n in range(2) for r in house.broker.read(topic, n, *house.broker.bounds(topic, n))
    ]
    return {(r.key or b"").decode(): passed_on(r.headers) for r in records}


def send_three(house: House) -> None:
    house.send(
        an_envelope(0, ["a", "b"], some_vectors(2), traces=mark(1, 1)),
        an_envelope(0, ["c"], some_vectors(1)),
        an_envelope(0, ["d", "e", "f"], some_vectors(3), traces=mark(0, 2)),
        an_envelope(1, ["g"], some_vectors(1), traces=mark(0, 3)),
    )


def test_the_scores_of_traced_rows_carry_their_span_and_no_others_do(house: House) -> None:
    send_three(house)
    house.loop.drain()
    found = headers(house)
    assert {name for name, text in found.items() if text} == {"b", "d", "g"}
    for name, number in (("b", 1), ("d", 2), ("g", 3)):
        context = parse(found[name])
        (span,) = [s for s in spans_of(house).spans if s.trace_id == bytes([number]) * 16]
        assert context is not None and context.trace_id == span.trace_id.hex()
        assert context.span_id == span.span_id.hex()
        assert span.parent_id == bytes([number]) * 8
        assert span.attributes["driftloop.model"] == "NO_MODEL"


def test_predictions_mark_the_rows_that_they_hold(house: House) -> None:
    send_three(house)
    house.loop.drain()
    marked = {}
    for _, message in stories.predictions(house.broker):
        names = stories.predicted(message)["event_id"]
        for row, trace, _ in ids(read(message.envelope.traces, message.rows)):
            marked[names[row]] = trace[0]
    assert marked == {"b": 1, "d": 2, "g": 3}


def test_a_heartbeat_after_traced_rows_has_no_marks(house: House) -> None:
    house.send(
        an_envelope(0, ["a"], some_vectors(1), traces=mark(0, 1)),
        an_envelope(0, [], some_vectors(0), watermark_us=stories.START_US + 1),
    )
    house.loop.drain()
    (_, message), *rest = stories.predictions(house.broker)
    assert (message.rows, rest) == (1, [])
    assert len(read(message.envelope.traces, 1)) == 1


def test_with_tracing_off_a_score_carries_the_span_before(tmp_path: Path) -> None:
    house = House(tmp_path, tracer=NoTracer())
    house.models.read_to_end()
    send_three(house)
    house.loop.drain()
    assert headers(house)["b"] == f"00-{'01' * 16}-{'01' * 8}-01"
    house.models.stop()


def test_a_swap_is_a_span_of_the_turn_and_its_acknowledgement_carries_it(house: House) -> None:
    turn = root("a turn", sampled=True)
    house.release(1, MODEL, traceparent=render(turn), released_ms=1)
    eventually(lambda: house.swaps == [1])
    send_three(house)
    house.loop.drain()
    (swap,) = spans_of(house).named("swap")
    assert (swap.trace_id.hex(), swap.parent_id.hex()) == (turn.trace_id, turn.span_id)
    assert swap.attributes["driftloop.partitions"] == "0, 1"
    assert swap.start_ns > 1_000_000, "not from before this replica held its partitions"
    topic = topics.SERVING_ACKNOWLEDGED.topic().name
    (record,) = house.broker.read(topic, 0, *house.broker.bounds(topic, 0))
    assert passed_on(record.headers) == render(turn)
    assert {span.attributes["driftloop.model"] for span in spans_of(house).named("score")} == {
        "flights@1"
    }
