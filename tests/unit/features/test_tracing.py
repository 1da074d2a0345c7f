"""Marks of traced rows go through windows and join, whatever the batches; a label's span stands
under its row's, linked with the trace in which the label came."""

from __future__ import annotations

import pytest

from driftloop.contracts.feature_pb2 import Features
from driftloop.kit.envelope import batch_schema, decode
from driftloop.kit.trace import NoTracer, Span, Tracer
from driftloop.kit.trace.marks import Marks, ids, made, read
from tests.support.traced import Kept
from tests.unit.features.world import FEATURES, World
from tests.unit.spec.windows_reference import Event

ROWS, EVERY = 40, 3
Chain = dict[str, tuple[bytes, bytes]]  # event id -> trace, span


def marks(numbers: range, base: int = 1) -> Marks:
    """Of the rows of an envelope that holds these: each third is traced."""
    chosen = [n for n in numbers if n % EVERY == 0]
    return made(
        [n - numbers.start for n in chosen],
        [(n + base).to_bytes(16, "big") for n in chosen],
        [(n + base).to_bytes(8, "big") for n in chosen],
    )


def a_world(tracer: Tracer, cut: int) -> World:
    """Rows 0 to 39 of one shop in envelopes of `cut`."""
    world = World(tracer=tracer)
    for start in range(0, ROWS, cut):
        numbers = range(start, min(start + cut, ROWS))
        events = [Event(0, 100 + n, n, 1, 1, 1.0) for n in numbers]
        world.records(events, traces=marks(numbers).tobytes())
    return world


def passed_on(world: World) -> Chain:
    found: Chain = {}
    for message in world.messages(FEATURES.name, Features):
        if message.rows:
            table = decode(message.columns, batch_schema(FEATURES.declaration.columns))
            names = table.column("event_id").to_pylist()
            traced = ids(read(message.envelope.traces, message.rows))
            found.update({names[row]: (trace, span) for row, trace, span in traced})
    return found


def chain(spans: list[Span]) -> list[tuple[bytes, bytes, bytes]]:
    return sorted((span.trace_id, span.parent_id, span.span_id) for span in spans)


@pytest.mark.parametrize(("cut", "records_max"), [(1, 1), (7, 3), (40, 1), (7, 100)])
def test_marks_stay_with_their_rows_in_any_batches(cut: int, records_max: int) -> None:
    tracer = Kept()
    world = a_world(tracer, cut)
    world.windows(records_max=records_max).drain()
    found = passed_on(world)
    assert set(found) == {f"row-{n}" for n in range(0, ROWS, EVERY)}
    assert {name: trace for name, (trace, _) in found.items()} == {
        f"row-{n}": (n + 1).to_bytes(16, "big") for n in range(0, ROWS, EVERY)
    }
    made_here = {span.trace_id: span for span in tracer.named("windows")}
    assert {trace: made_here[trace].span_id for trace, _ in found.values()} == dict(found.values())
    assert all(s.parent_id == s.trace_id[8:] for s in made_here.values())


def test_ids_do_not_depend_on_the_batches_and_with_tracing_off_marks_go_through() -> None:
    one, other, off = Kept(), Kept(), NoTracer()
    for tracer, cut in ((one, 1), (other, 40)):
        a_world(tracer, cut).windows(records_max=100).drain()
    assert chain(one.spans) == chain(other.spans) != []
    world = a_world(off, 7)
    world.windows(records_max=100).drain()
    assert {span for _, span in passed_on(world).values()} == {
        (n + 1).to_bytes(8, "big") for n in range(0, ROWS, EVERY)
    }


@pytest.mark.parametrize("first", ["rows", "labels"])
def test_a_labels_span_is_under_its_row_and_linked_with_its_own_trace(first: str) -> None:
    tracer = Kept()
    world = a_world(tracer, 7)
    join = world.join(records_max=100)
    labels = [(f"row-{n}", 150 + n, 1.0) for n in range(ROWS)]
    if first == "labels":
        world.labels(labels, marks=marks(range(ROWS), base=1_000))
        join.drain()
    world.windows(records_max=100).drain()
    join.drain()
    if first == "rows":
        world.labels(labels, marks=marks(range(ROWS), base=1_000))
        join.drain()
    after_windows = dict(passed_on(world).values())
    joins = tracer.named("join")
    assert {span.trace_id: span.parent_id for span in joins} == after_windows
    for span in joins:
        number = int.from_bytes(span.trace_id, "big") - 1
        label = number + 1_000
        assert list(span.links) == [(label.to_bytes(16, "big"), label.to_bytes(8, "big"))]
    assert {span.attributes["driftloop.outcome"] for span in joins} == {"example"}


def test_a_joins_memory_of_traces_is_read_back_after_a_crash() -> None:
    tracer = Kept()
    world = a_world(tracer, 7)
    world.windows(records_max=100).drain()
    world.join(records_max=100).drain()
    again = world.join(records_max=100)
    world.labels([("row-3", 160, 1.0), ("row-4", 160, 1.0)], marks=marks(range(2), base=1_000))
    again.drain()
    (span,) = tracer.named("join")
    assert span.trace_id == (4).to_bytes(16, "big")
    world.labels([("row-3", 170, 0.0)])
    again.drain()
    corrected = tracer.named("join")[-1]
    assert corrected.attributes["driftloop.outcome"] == "correction"
    assert (corrected.parent_id, corrected.links) == (span.parent_id, ())
    assert corrected.span_id != span.span_id
