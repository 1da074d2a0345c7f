"""The monitor's loops over MemoryBroker: envelopes in, statistics, drift and wishes out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest

from driftloop.contracts import topics
from driftloop.contracts.event_pb2 import Envelope
from driftloop.contracts.feature_pb2 import Examples
from driftloop.contracts.model_pb2 import ModelReleased, RunFinished
from driftloop.contracts.prediction_pb2 import Predictions
from driftloop.contracts.retrain_pb2 import (
    DriftDetected,
    RetrainRequested,
    RetrainResolved,
    Statistics,
)
from driftloop.kit.broker import Subscription, TopicSpec
from driftloop.kit.clock import FakeClock
from driftloop.kit.envelope import batch_schema, encode
from driftloop.kit.errors import Malformed
from driftloop.kit.events import event, read_event
from driftloop.kit.loop import Loop, LoopSpec
from driftloop.kit.memory import MemoryBroker
from driftloop.kit.metrics import Metrics
from driftloop.kit.task import Task
from driftloop.kit.topic import Emit, emit
from services.monitor.domain.buckets import Shape
from services.monitor.domain.policy import DAY_US, Policy, Rules
from services.monitor.handlers import BucketsTask, DecideTask
from services.monitor.meter import Meter

HOUR = 3_600_000_000
SHAPE = Shape(6 * HOUR, 8 * HOUR, 48 * HOUR, "binary")
RULES = Rules(
    detector="PageHinkley",
    params={"min_instances": 50, "delta": 0.02, "threshold": 10.0, "mode": "up"},
    statistic="log_loss",
    first_us=DAY_US,
    rows_min=10,
    triggers=frozenset({"drift"}),
    every_us=None,
    volume=None,
    cooldown_us=DAY_US,
    partitions=1,
)


def test_predictions_and_labels_become_a_bucket() -> None:
    broker = a_broker()
    broker.append([predictions(range(4), hour=1), examples(range(3), hour=5)])
    broker.append([heartbeat(hour=14, kind=Predictions), heartbeat(hour=14, kind=Examples)])
    drain(broker, buckets)
    [bucket] = statistics(broker)
    assert (bucket.predicted, bucket.scored, bucket.version, bucket.parts) == (4, 3, 1, 1)
    assert bucket.loss_sum == pytest.approx(3 * -np.log(0.8))
    assert (bucket.examples.start, bucket.examples.end) == (0, 2)


def test_a_bucket_waits_for_the_watermark_of_both_inputs() -> None:
    broker = a_broker()
    broker.append([predictions(range(4), hour=1), heartbeat(hour=14, kind=Predictions)])
    drain(broker, buckets)
    assert statistics(broker) == []


def test_calls_are_no_part_of_the_statistics() -> None:
    broker = a_broker()
    broker.append([predictions(range(2), hour=1), predictions(range(2, 5), hour=1, origin="call")])
    broker.append([heartbeat(hour=14, kind=Predictions), heartbeat(hour=14, kind=Examples)])
    drain(broker, buckets)
    assert [each.predicted for each in statistics(broker)] == [2]


@pytest.mark.parametrize("restart_after", [1, 2, 3, 4, 5, 6])
def test_a_restart_anywhere_changes_nothing_in_the_statistics(restart_after: int) -> None:
    log = [
        predictions(range(4), hour=1),
        examples(range(2), hour=5),
        heartbeat(hour=14, kind=Predictions),
        heartbeat(hour=14, kind=Examples),
        examples([2], hour=15),
        heartbeat(hour=90, kind=Predictions),
        heartbeat(hour=90, kind=Examples),
    ]
    whole, broken = a_broker(), a_broker()
    for message in log:
        whole.append([message])
    drain(whole, buckets)
    for message in log[:restart_after]:
        broken.append([message])
    drain(broken, buckets)
    for message in log[restart_after:]:
        broken.append([message])
    drain(broken, buckets)
    assert figures(statistics(broken)) == figures(statistics(whole))
    assert sum(each.unlabelled for each in statistics(broken)) == 1


def test_a_broken_envelope_stops_the_loop_and_says_where() -> None:
    broker = a_broker()
    broker.append([Emit(name(topics.PREDICTIONS), b"\xff\xff", None, 0)])
    with pytest.raises(Malformed, match=r"p\.g1\.predictions\[0\]@0"):
        drain(broker, buckets)


def test_a_drift_is_detected_and_a_retrain_asked_for_with_its_evidence_once() -> None:
    broker = a_broker()
    broker.append([released(1), *days(range(0, 5), loss=0.4), *days(range(5, 7), loss=1.4)])
    drain(broker, decide)
    drain(broker, decide)  # a second start hears all again, and says nothing twice
    [drift] = events(broker, topics.DRIFT_DETECTED, DriftDetected)
    [request] = events(broker, topics.RETRAIN_REQUESTED, RetrainRequested)
    assert request.message.drift_id == drift.id
    assert request.message.evidence == drift.message.evidence
    assert drift.message.evidence.reference == pytest.approx(0.4)
    assert drift.message.evidence.model_version == 1
    assert [(r.partition, r.start, r.end) for r in request.message.window.ranges] == [(0, 0, 5)]


def test_after_a_restart_it_still_knows_that_a_run_is_open() -> None:
    broker = a_broker()
    broker.append(days(range(0, 3), loss=0.0, version=0))
    drain(broker, decide)
    broker.append([resolved("accepted", "run-1")])
    drain(broker, decide)
    broker.append(days(range(3, 9), loss=0.0, version=0))
    drain(broker, decide)
    assert len(events(broker, topics.RETRAIN_REQUESTED, RetrainRequested)) == 1
    broker.append([finished("run-1"), *days(range(9, 10), loss=0.0, version=0)])
    drain(broker, decide)
    assert len(events(broker, topics.RETRAIN_REQUESTED, RetrainRequested)) == 2


def test_a_malformed_control_event_stops_nothing() -> None:
    broker = a_broker()
    broker.append(
        [Emit("driftloop.run.finished", b"{", b"p"), *days(range(0, 3), loss=0, version=0)]
    )
    drain(broker, decide)
    assert len(events(broker, topics.RETRAIN_REQUESTED, RetrainRequested)) == 1


def a_broker() -> MemoryBroker:
    broker = MemoryBroker(FakeClock())
    names = [name(each) for each in (topics.PREDICTIONS, topics.EXAMPLES)]
    names += [topics.STATISTICS.topic("p").name, *(each.topic().name for each in topics.CONTROL)]
    broker.create([TopicSpec(each, 1) for each in names])
    return broker


def drain(broker: MemoryBroker, spec: object) -> None:
    loop = Loop(spec(), broker, broker.clock)  # type: ignore[operator]
    loop.open()
    try:
        loop.drain()
    finally:
        loop.close()


def buckets() -> LoopSpec:
    return a_spec([name(topics.PREDICTIONS), name(topics.EXAMPLES)], BucketsTask("p", 1, SHAPE, 2))


def decide() -> LoopSpec:
    inputs = [topics.STATISTICS.topic("p").name, topics.MODEL_RELEASED.topic().name]
    inputs += [topics.RETRAIN_RESOLVED.topic().name, topics.RUN_FINISHED.topic().name]
    meter = Meter(Metrics(), "p", ["a"], 10, RULES.detector)
    return a_spec(inputs, DecideTask("p", 1, lambda: Policy(RULES), RULES, meter))


def a_spec(inputs: Sequence[str], task: Task) -> LoopSpec:
    start = dict.fromkeys(inputs, "earliest")
    group = Subscription(f"monitor-{inputs[0]}", inputs, f"monitor-{inputs[0]}", start=start)
    return LoopSpec("loop", "p", group, lambda: task)


def predictions(ids: Sequence[int], *, hour: float, origin: str = "stream") -> Emit:
    rows = len(ids)
    columns = {
        "event_id": [f"e{i}" for i in ids],
        "time_us": [int(hour * HOUR)] * rows,
        "source_ms": [0] * rows,
        "label": [1] * rows,
    }
    message = Predictions(
        envelope=Envelope(pipeline="p", generation=1, watermark_us=int(hour * HOUR)),
        rows=rows,
        columns=columns_of(topics.PREDICTIONS, columns),
        width=2,
        outputs=np.tile(np.array([0.2, 0.8], "<f4"), rows).tobytes(),
        version=1,
        baseline_version=1,
        origin=origin,
    )
    return emit(topics.PREDICTIONS.topic("p", 1), message, partition=0)


def examples(ids: Sequence[int], *, hour: float) -> Emit:
    rows = len(ids)
    columns = {
        "event_id": [f"e{i}" for i in ids],
        "time_us": [HOUR] * rows,
        "label_time_us": [int(hour * HOUR)] * rows,
        "target": [1.0] * rows,
        "label_source_ms": [0] * rows,
    }
    message = Examples(
        envelope=Envelope(pipeline="p", generation=1, watermark_us=int(hour * HOUR)),
        rows=rows,
        columns=columns_of(topics.EXAMPLES, columns),
        width=3,
        vectors=np.zeros((rows, 3), "<f4").tobytes(),
    )
    return emit(topics.EXAMPLES.topic("p", 1), message, partition=0)


def heartbeat(*, hour: float, kind: type[Predictions] | type[Examples]) -> Emit:
    head = Envelope(pipeline="p", generation=1, watermark_us=int(hour * HOUR))
    if kind is Predictions:
        return emit(topics.PREDICTIONS.topic("p", 1), Predictions(envelope=head), partition=0)
    return emit(topics.EXAMPLES.topic("p", 1), Examples(envelope=head), partition=0)


def days(numbers: range, *, loss: float, version: int = 1, rows: int = 40) -> list[Emit]:
    return [
        emit(
            topics.STATISTICS.topic("p"),
            Statistics(
                pipeline="p",
                generation=1,
                start_us=number * DAY_US,
                end_us=(number + 1) * DAY_US,
                version=version,
                scored=rows if version else 0,
                losses=np.full(rows if version else 0, loss).tobytes(),
                times_us=np.arange(rows).tobytes(),
                parts=1,
                examples={"end": number},
            ),
            partition=0,
        )
        for number in numbers
    ]


def released(version: int) -> Emit:
    return said(topics.MODEL_RELEASED, ModelReleased(pipeline="p", generation=1, version=version))


def resolved(outcome: str, run_id: str) -> Emit:
    message = RetrainResolved(pipeline="p", generation=1, outcome=outcome, run_id=run_id)
    return said(topics.RETRAIN_RESOLVED, message)


def finished(run_id: str) -> Emit:
    message = RunFinished(pipeline="p", generation=1, run_id=run_id, outcome="rejected")
    return said(topics.RUN_FINISHED, message)


def said(topic: object, message: object) -> Emit:
    of = topic.topic()  # type: ignore[attr-defined]
    return event(of, message, id="x", source="test", time_ms=0, key="p")


def statistics(broker: MemoryBroker) -> list[Statistics]:
    topic = topics.STATISTICS.topic("p").name
    return [
        Statistics.FromString(r.value or b"")
        for r in broker.read(topic, 0, 0, broker.bounds(topic, 0)[1])
    ]


def events(broker: MemoryBroker, topic: object, kind: type) -> list:  # type: ignore[type-arg]
    where = topic.topic().name  # type: ignore[attr-defined]
    return [read_event(r, kind) for r in broker.read(where, 0, 0, broker.bounds(where, 0)[1])]


def figures(told: Sequence[Statistics]) -> list[tuple[object, ...]]:
    kept = [each for each in told if each.predicted or each.scored or each.unlabelled]
    return [
        (s.start_us, s.version, s.predicted, s.scored, s.late, s.unlabelled, s.losses) for s in kept
    ]


def columns_of(topic: object, columns: dict[str, object]) -> bytes:
    schema = batch_schema(topic.declaration.columns)  # type: ignore[attr-defined]
    return encode(pa.RecordBatch.from_pydict(columns, schema=schema))


def name(topic: object) -> str:
    return topic.topic("p", 1).name  # type: ignore[attr-defined,no-any-return]
