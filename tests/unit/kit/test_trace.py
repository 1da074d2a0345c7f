"""Traces: what is passed on, which rows are marked, and when a loop's spans go out."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from driftloop.kit.broker import Partition, Record, Subscription, TopicSpec
from driftloop.kit.clock import FakeClock
from driftloop.kit.errors import Malformed, Unavailable
from driftloop.kit.loop import Loop, LoopSpec
from driftloop.kit.memory import MemoryBroker
from driftloop.kit.task import NOTHING, Assigned, Decision, Moment
from driftloop.kit.topic import Emit
from driftloop.kit.trace import (
    NoTracer,
    Span,
    Steps,
    below,
    bound,
    here,
    parse,
    render,
    root,
    root_span,
    step_of,
    step_span,
    told_spans,
    tracer_of,
)
from driftloop.kit.trace import marks as of_rows
from driftloop.kit.trace.rows import Gathered, Way
from tests.support.traced import Kept

TRACES = [bytes([n]) * 16 for n in range(1, 6)]
SPANS = [bytes([n]) * 8 for n in range(1, 6)]


def some(*rows: int) -> of_rows.Marks:
    return of_rows.made(rows, TRACES[: len(rows)], SPANS[: len(rows)])


def test_marks_are_28_bytes_a_row_and_are_read_again() -> None:
    data = some(0, 7, 9).tobytes()
    assert len(data) == 3 * 28
    assert of_rows.ids(of_rows.read(data, 10)) == [
        (0, TRACES[0], SPANS[0]),
        (7, TRACES[1], SPANS[1]),
        (9, TRACES[2], SPANS[2]),
    ]


@pytest.mark.parametrize(("data", "rows"), [(bytes(27), 5), (some(5).tobytes(), 5)])
def test_marks_of_rows_that_are_not_there_are_refused(data: bytes, rows: int) -> None:
    with pytest.raises(Malformed, match=r"Envelope\.traces"):
        of_rows.read(data, rows)


def test_marks_follow_their_rows_into_partitions_and_pieces() -> None:
    partitions = np.array([1, 0, 1, 1, 0])
    apart = of_rows.apart(some(1, 2, 3), partitions)
    assert of_rows.ids(of_rows.read(apart[0], 2)) == [(0, TRACES[0], SPANS[0])]
    assert of_rows.ids(of_rows.read(apart[1], 3)) == [
        (1, TRACES[1], SPANS[1]),
        (2, TRACES[2], SPANS[2]),
    ]
    assert of_rows.within(some(1, 4), 0, 1) == b""
    assert of_rows.ids(of_rows.read(of_rows.within(some(1, 4), 2, 5), 3)) == [
        (2, TRACES[1], SPANS[1])
    ]
    assert of_rows.ids(of_rows.moved(some(1, 4), np.array([0, -1, 0, 0, 3]))) == [
        (3, TRACES[1], SPANS[1])
    ]


def test_a_step_done_again_gives_the_same_span_and_another_step_another() -> None:
    once, again = of_rows.stepped(some(0, 3), "score"), of_rows.stepped(some(0, 3), "score")
    other = of_rows.stepped(some(0, 3), "windows")
    assert once.tobytes() == again.tobytes()
    found = [{span for _, _, span in of_rows.ids(each)} for each in (once, other, some(0, 3))]
    assert len(set.union(*found)) == 6
    assert of_rows.traceparents(once)[3] == (
        f"00-{TRACES[1].hex()}-{once.tobytes()[-8:].hex()}-01".encode()
    )


def test_a_batch_gathers_marks_of_its_envelopes_and_tells_where_each_stood() -> None:
    way = Way(Kept(), "windows", "a-group", "p")
    gathered = Gathered()
    gathered.take(some(1).tobytes(), a_record(7), 0, 3)
    gathered.take(b"", a_record(8), 3, 2)
    gathered.take(some(0).tobytes(), a_record(9), 5, 1)
    assert [row for row, _, _ in of_rows.ids(gathered.marks())] == [1, 5]
    spans = gathered.spans(way, 6)
    assert [span.attributes["messaging.kafka.offset"] for span in spans] == [7, 9]
    assert [span.parent_id for span in spans] == [SPANS[0], SPANS[0]]
    assert [span.span_id for span in spans] == [
        span for _, _, span in of_rows.ids(way.after(gathered.marks()))
    ]
    assert spans[0].about is spans[1].about


def test_where_tracing_is_off_marks_go_on_as_they_came() -> None:
    way = Way(NoTracer(), "windows", "a-group", "p")
    gathered = Gathered()
    gathered.take(some(1).tobytes(), a_record(7), 0, 3)
    assert way.after(gathered.marks()).tobytes() == some(1).tobytes()
    assert gathered.spans(way, 3) == ()


def test_ids_are_made_from_what_caused_them() -> None:
    context = root("request-7", sampled=True)
    assert context == root("request-7", sampled=True) != root("request-8", sampled=True)
    assert parse(render(context)) == context
    child = below(context, "train/run-1")
    assert (child.trace_id, child.sampled) == (context.trace_id, True)
    (span,) = step_span(render(context), "train", "run-1")
    assert step_of(render(context), "train", "run-1") == render(child)
    assert (span.span_id.hex(), span.parent_id.hex()) == (child.span_id, context.span_id)


def test_what_is_not_sampled_makes_no_span() -> None:
    unsampled = root("request-7", sampled=False)
    assert root_span(unsampled, "turn") == step_span(render(unsampled), "train") == []
    assert step_span("", "train") == step_span("not one", "train") == []
    assert step_of("", "train") == ""


def test_a_childs_steps_become_spans_and_calls_from_within_carry_them() -> None:
    clock = FakeClock()
    steps = Steps(render(root("run", sampled=True)), clock)
    assert here() == ""
    with steps.step("fit", "trees", rows=3):
        clock.advance(2.0)
        carried = here()
    assert here() == ""
    (span,) = told_spans(render(root("run", sampled=True)), steps.told)
    assert carried == f"00-{span.trace_id.hex()}-{span.span_id.hex()}-01"
    assert span.end_ns - span.start_ns == 2_000_000_000
    assert span.attributes == {"driftloop.rows": 3}
    with bound("a"), bound("b"):
        assert here() == "b"


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": " "},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x:1", "OTEL_SDK_DISABLED": "TRUE"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x:1", "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_tracing_is_off_unless_an_endpoint_is_set(environ: Mapping[str, str]) -> None:
    assert not tracer_of("serving", "serving-0", 1.0, environ, lambda *_: None).on


def test_another_protocol_than_grpc_is_said_and_leaves_it_off(
    caplog: pytest.LogCaptureFixture,
) -> None:
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x:4318",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    }
    with caplog.at_level(logging.WARNING):
        assert not tracer_of("serving", "serving-0", 1.0, environ, lambda *_: None).on
    assert "http/protobuf" in caplog.text


class Telling:
    """A task whose every record is an output and an open span."""

    def restore(self, assigned: Assigned) -> Mapping[Partition, int]:
        return {}

    def handle(self, records: Sequence[Record], now: Moment) -> Decision:
        emits = [Emit("out", each.value, partition=0) for each in records]
        return Decision(emits, spans=[Span("copy", TRACES[0], SPANS[0]) for _ in records])

    def tick(self, now: Moment) -> Decision:
        return NOTHING

    def committed(self, now: Moment) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Nothing is open."""


def test_spans_go_out_once_their_transaction_is_committed_and_not_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, tracer = FakeClock(), Kept()
    broker = MemoryBroker(clock)
    broker.create([TopicSpec("in", 1), TopicSpec("out", 1)])
    broker.append([Emit("in", b"a", partition=0)])
    spec = LoopSpec("copy", "p", Subscription("g", ["in"], "t"), Telling)
    loop = Loop(spec, broker, clock, tracer=tracer)
    loop.open()

    def fails(*_: object) -> None:
        raise Unavailable("no broker")

    with monkeypatch.context() as patched:
        patched.setattr(type(loop._session), "commit", fails)
        with pytest.raises(Unavailable):
            loop.drain()
    assert tracer.spans == []
    loop.close()
    loop.open()
    clock.advance(1.0)
    loop.drain()
    (span,) = tracer.spans
    assert 1_700_000_001_000_000_000 <= span.start_ns <= span.end_ns <= clock.ns()


def a_record(offset: int) -> Record:
    return Record("p.g1.records", 0, offset, None, b"", (), 0)
