"""Traces of the running product, at a real OTLP receiver: one for each sampled event from its
source record to its score and label, and one for each turn of the loop.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
import pyarrow as pa
import pytest

from driftloop.contracts import topics
from driftloop.contracts.model_pb2 import ModelEvaluated, ModelReleased, ModelTrained, RunFinished
from driftloop.contracts.retrain_pb2 import (
    DriftDetected,
    RetrainRequested,
    RetrainResolved,
    ServingAcknowledged,
)
from driftloop.kit.broker import Record
from driftloop.kit.envelope import hash64
from driftloop.kit.events import read_event
from driftloop.kit.trace import TraceContext, parse, passed_on
from infra.demo import read
from tests.e2e.conftest import TRACED, Looped
from tests.support.eventually import eventually
from tests.support.loop import World, ids
from tests.support.otlp import Got, Receiver

pytestmark = pytest.mark.timeout(240)
STEPS = {
    "ingest": "driftloop-ingestion",
    "windows": "driftloop-features",
    "score": "driftloop-serving",
    "join": "driftloop-features",
}
STAGES = ("detect", "decide", "train", "evaluate", "release", "swap")
CONTROL = (
    (topics.DRIFT_DETECTED, DriftDetected),
    (topics.RETRAIN_REQUESTED, RetrainRequested),
    (topics.RETRAIN_RESOLVED, RetrainResolved),
    (topics.MODEL_TRAINED, ModelTrained),
    (topics.MODEL_EVALUATED, ModelEvaluated),
    (topics.MODEL_RELEASED, ModelReleased),
    (topics.SERVING_ACKNOWLEDGED, ServingAcknowledged),
    (topics.RUN_FINISHED, RunFinished),
)


def scored(world: World, stream: str) -> dict[str, TraceContext]:
    """Event id → the trace that its score says it is part of."""
    records = read.records(world.broker, topics.SCORES.topic(stream).name)
    found = {(record.key or b"").decode(): parse(passed_on(record.headers)) for record in records}
    return {event_id: context for event_id, context in found.items() if context is not None}


def sampled(events: Sequence[tuple[str, str]]) -> set[str]:
    names = ids(list(events))
    chosen = hash64(pa.array(names.to_list())) <= int(TRACED * 2**64)
    return set(names.filter(pl.Series(chosen)).to_list())


def named(spans: Sequence[Got], name: str) -> Got:
    found = [span for span in spans if span.name == name]
    assert len(found) == 1, (name, [span.name for span in spans])
    return found[0]


def test_each_sampled_event_is_one_trace_from_source_to_score_and_label(
    looped: Looped, receiver: Receiver
) -> None:
    traces, chosen = scored(looped.world, looped.stream), sampled(looped.events)
    assert set(traces) == chosen
    assert 0.03 * 7_000 < len(chosen) < 0.07 * 7_000

    def whole() -> dict[str, list[Got]]:
        by_trace = receiver.by_trace()
        found = {each: by_trace.get(context.trace_id, []) for each, context in traces.items()}
        assert all(len(spans) == len(STEPS) for spans in found.values())
        return found

    for event_id, spans in eventually(whole, within_s=10, every_s=0.2).items():
        chain = {name: named(spans, name) for name in STEPS}
        assert {name: span.service for name, span in chain.items()} == STEPS
        assert chain["ingest"].parent == ""
        assert chain["windows"].parent == chain["ingest"].id
        assert chain["score"].parent == chain["join"].parent == chain["windows"].id
        assert traces[event_id].span_id == chain["score"].id
        assert chain["ingest"].attributes["driftloop.event_id"] == event_id
        starts = [chain[name].start_ns for name in ("ingest", "windows", "score")]
        assert starts == sorted(starts)
        assert all(span.start_ns < span.end_ns for span in spans)
        assert chain["score"].attributes["messaging.destination.name"].endswith(".g1.features")


def test_a_label_is_linked_with_the_trace_in_which_it_came(
    looped: Looped, receiver: Receiver
) -> None:
    traces, by_trace = scored(looped.world, looped.stream), receiver.by_trace()
    for event_id, context in traces.items():
        join = named(by_trace[context.trace_id], "join")
        [(trace, span)] = join.links
        label = next(each for each in by_trace[trace] if each.id == span)
        assert label.name == "ingest"
        assert label.attributes["driftloop.joins"] == event_id
        assert label.attributes["messaging.destination.name"] == f"{looped.stream}.truth"
        assert trace != context.trace_id
        assert label.start_ns < join.end_ns


def control(looped: Looped, trace: str) -> dict[str, list[Record]]:
    """The control events of one trace, by topic; each must be readable as what it says it is."""
    found: dict[str, list[Record]] = {}
    for topic, kind in CONTROL:
        for record in read.records(looped.world.broker, topic.topic().name):
            context = parse(passed_on(record.headers))
            if context is not None and context.trace_id == trace:
                read_event(record, kind)
                found.setdefault(topic.suffix, []).append(record)
    return found


def test_a_turn_of_the_loop_is_one_trace_from_evidence_to_swap(
    looped: Looped, receiver: Receiver
) -> None:
    released = [
        record
        for record in read.records(looped.world.broker, topics.MODEL_RELEASED.topic().name)
        if read_event(record, ModelReleased).message.version == looped.version
        and read_event(record, ModelReleased).message.cause == "release"
        and (record.key or b"").decode().startswith(f"{looped.stream}.")
    ]
    context = parse(passed_on(released[-1].headers))
    assert context is not None and context.sampled
    events = control(looped, context.trace_id)
    assert set(events) == {topic.suffix for topic, _ in CONTROL}
    assert {passed_on(each.headers) for found in events.values() for each in found} == {
        passed_on(released[-1].headers)
    }

    def whole() -> list[Got]:
        spans = receiver.spans(context.trace_id)
        held = [span.attributes["driftloop.partitions"] for span in spans if span.name == "swap"]
        assert {*STAGES} <= {span.name for span in spans}
        assert {number for text in held for number in text.split(", ")} >= {"0", "1"}
        return spans

    spans = eventually(whole, within_s=10, every_s=0.2)
    by_id = {span.id: span for span in spans}
    turn = named(spans, "turn")
    assert (turn.parent, turn.id, turn.service) == ("", context.span_id, "driftloop-monitor")
    assert all(span.parent in by_id for span in spans if span is not turn)
    assert all(span.start_ns <= span.end_ns for span in spans)
    stages = [next(span for span in spans if span.name == name) for name in STAGES]
    assert {span.parent for span in stages} == {turn.id}
    assert [s.start_ns for s in stages] == sorted(s.start_ns for s in stages)
    assert [s.end_ns for s in stages] == sorted(s.end_ns for s in stages)
    assert turn.start_ns == stages[0].start_ns
    train = named(spans, "train")
    work = [span for span in spans if span.parent == train.id]
    assert {span.name for span in work} == {"read", "fit", "export", "upload"}
    assert all(train.start_ns <= each.start_ns and each.end_ns <= train.end_ns for each in work)
    uploads = {span.id for span in work if span.name == "upload"}
    calls = [span for span in spans if span.name.endswith("Registry/Upload")]
    assert {span.parent for span in calls} == uploads
    assert {span.service for span in calls} == {"driftloop-registry"}
    asked = [span.parent for span in spans if span.name.endswith("Registry/Download")]
    assert named([by_id[each] for each in asked if by_id[each].name == "turn"], "turn") is turn


def test_a_retrain_by_hand_and_the_first_one_are_traces_too(
    looped: Looped, receiver: Receiver
) -> None:
    first = looped.world.requests(looped.stream)[0]
    assert first.message.trigger == "first"
    traced = [
        span
        for span in receiver.spans()
        if span.name == "turn" and span.attributes["driftloop.request_id"] == first.id
    ]
    assert len(traced) == 1
    stages = {span.name for span in receiver.spans(traced[0].trace)}
    assert {"decide", "train", "evaluate", "release", "swap"} <= stages
    assert "detect" not in stages
