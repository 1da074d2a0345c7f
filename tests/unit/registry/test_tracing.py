"""A run's turn is carried on to its release and its end; a promote by hand is a trace of its
own."""

from __future__ import annotations

from driftloop.contracts import topics
from driftloop.kit.trace import parse, passed_on, render, root
from services.registry.tracing import Called
from tests.unit.registry.stories import (
    DEADLINE_MS,
    House,
    carrying,
    evaluated,
    resolved,
    trained,
)

TURN, OTHER = (render(root(name, sampled=True)) for name in ("a turn", "a call"))
RELEASED, FINISHED = topics.MODEL_RELEASED.topic().name, topics.RUN_FINISHED.topic().name
RECORD = topics.REGISTRY_EVENTS.topic().name


def carried(house: House, topic: str) -> list[str]:
    return [
        passed_on(r.headers) for r in house.broker.read(topic, 0, *house.broker.bounds(topic, 0))
    ]


def test_a_release_and_the_runs_end_carry_the_turn_and_a_span_tells_of_it() -> None:
    house = House()
    house.hear(*(carrying(TURN, e) for e in (resolved("r1"), trained("r1", "a"))))
    house.hear(carrying(TURN, evaluated("r1", "a", 0)))
    assert carried(house, RELEASED) == carried(house, FINISHED) == [TURN]
    assert carried(house, RECORD)[-5:] == [TURN] * 5
    (span,) = house.tracer.spans
    context = parse(TURN)
    assert context is not None
    assert (span.name, span.parent_id.hex()) == ("release", context.span_id)
    assert span.attributes["driftloop.version"] == 1


def test_a_run_that_is_over_its_deadline_after_a_restart_ends_in_its_trace() -> None:
    house = House()
    house.hear(carrying(TURN, resolved("r1")))
    house.loop.close()
    house.start()
    house.clock.advance(DEADLINE_MS / 1_000 + 60)
    house.loop.drain()
    house.clock.advance(10)
    house.loop.drain()
    assert carried(house, FINISHED) == [TURN]
    (span,) = house.tracer.spans
    assert (span.name, span.attributes["driftloop.outcome"]) == ("finish", "timed_out")
    assert span.error.startswith("timed_out: ")


def test_a_promote_by_hand_is_part_of_the_calls_trace_or_begins_one() -> None:
    house = House()
    house.run("r1", "a", 0)
    house.run("r2", "b", 1)
    house.tracer.spans.clear()

    def promote(version: int, traceparent: str) -> None:
        house.obey(
            Called(
                lambda book, now_ms: (
                    None,
                    [book.promote("flights", version, by="me", reason="", now_ms=now_ms)],
                ),
                traceparent,
            )
        )

    promote(1, OTHER)
    promote(2, "")
    by_call, alone = house.tracer.named("release")
    context = parse(OTHER)
    assert context is not None
    assert (by_call.trace_id.hex(), by_call.parent_id.hex()) == (context.trace_id, context.span_id)
    assert alone.parent_id == b""
    assert carried(house, RELEASED)[-2:] == [
        OTHER,
        f"00-{alone.trace_id.hex()}-{alone.span_id.hex()}-01",
    ]
