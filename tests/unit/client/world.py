"""A log in memory with a small pipeline's messages on it, and a client of it; shared by the
client's and the CLI's tests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from driftloop.client import Client
from driftloop.client.addresses import Place
from driftloop.client.calls import Calls
from driftloop.contracts import topics
from driftloop.contracts.event_pb2 import Envelope
from driftloop.contracts.feature_pb2 import Examples
from driftloop.contracts.model_pb2 import (
    ModelReleased,
    PipelineDeclared,
    RegistryEvent,
    RunFinished,
)
from driftloop.contracts.prediction_pb2 import Predictions
from driftloop.contracts.retrain_pb2 import (
    DriftDetected,
    Evidence,
    RetrainRequested,
    RetrainResolved,
)
from driftloop.kit.broker import TopicSpec
from driftloop.kit.clock import FakeClock
from driftloop.kit.config import read_common
from driftloop.kit.envelope import batch_schema, encode
from driftloop.kit.errors import Unavailable
from driftloop.kit.events import event
from driftloop.kit.memory import MemoryBroker
from driftloop.kit.rpc import channel
from driftloop.kit.topic import ControlTopic, Emit, emit, emit_raw

DAY_US = 86_400_000_000
T = 1_364_774_400_000_000  # 2013-04-01T00:00:00Z
DIGEST = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
SMALL = """
name: small
partitions: 2
sources:
  - topic: small.rows
    role: [predict, label]
    schema: {id: string, at: time, who: string, amount: float, label: bool}
    id: [id]
    time: at
entities: {who: [who]}
features:
  - {name: amount, field: amount}
  - {name: rows_1d, from: small.rows, by: who, window: 1d, agg: count}
target: {name: label, from: small.rows, positive: label, horizon: 1d, kind: binary}
learners:
  - {name: all, kind: lightgbm, window: all, seed: 1}
"""


def a_client(broker: MemoryBroker, environ: dict[str, str] | None = None) -> Client:
    """Of a log in memory; gRPC goes where `environ` says."""
    common = read_common(environ or {})
    return Client(
        Place(common, "a test", None), lambda: broker, Calls(common, channel), FakeClock()
    )


def a_log() -> MemoryBroker:
    """Every topic of `small`, its declaration and nothing else."""
    broker = MemoryBroker(FakeClock())
    names = [(t.topic().name, 1) for t in topics.CONTROL]
    names += [(t.topic("small").name, t.declaration.partitions or 2) for t in topics.PIPELINE]
    names += [(t.topic("small", 1).name, t.declaration.partitions or 2) for t in topics.GENERATION]
    broker.create([TopicSpec(name, count) for name, count in [*names, ("small.rows", 2)]])
    declared = PipelineDeclared(
        name="small", version=1, generation=1, yaml=SMALL, digest="d" * 64, by="ada"
    )
    broker.append([said(topics.PIPELINES, declared, "declared-1", key="small")])
    return broker


def said(topic: ControlTopic[Any], message: Any, name: str, key: str = "small") -> Emit:
    """A control event."""
    return event(topic.topic(), message, id=name, source="test", time_ms=1_700_000_000_000, key=key)


def examples(days: Sequence[float], partition: int = 0) -> Emit:
    """One envelope of `small.g1.examples`, a row a day number; amount is the day, rows_1d its
    double.
    """
    times = [T + int(day * DAY_US) for day in days]
    columns = {
        "event_id": [f"e{day}" for day in days],
        "time_us": times,
        "label_time_us": times,
        "target": [float(day > 1) for day in days],
        "label_source_ms": [1_700_000_000_000] * len(days),
    }
    batch = pa.RecordBatch.from_pydict(columns, batch_schema(topics.EXAMPLES.declaration.columns))
    vectors = np.array([[day, 2 * day] for day in days], "<f4")
    message = Examples(
        envelope=Envelope(pipeline="small", generation=1),
        rows=len(days),
        columns=encode(batch),
        width=2,
        vectors=vectors.tobytes(),
    )
    return emit(topics.EXAMPLES.topic("small", 1), message, partition=partition)


def heartbeat(partition: int = 0) -> Emit:
    """An envelope without rows."""
    return emit(
        topics.EXAMPLES.topic("small", 1),
        Examples(envelope=Envelope(watermark_us=T)),
        partition=partition,
    )


def predictions(days: Sequence[float], version: int, partition: int = 0) -> Emit:
    """One envelope of `small.g1.predictions`; version 0: NO_MODEL."""
    columns = {
        "event_id": [f"e{day}" for day in days],
        "time_us": [T + int(day * DAY_US) for day in days],
        "source_ms": [1_700_000_000_000] * len(days),
        "label": [1 if version else None] * len(days),
    }
    batch = pa.RecordBatch.from_pydict(
        columns, batch_schema(topics.PREDICTIONS.declaration.columns)
    )
    outputs = np.array([[0.25, 0.75]] * len(days), "<f4").tobytes() if version else b""
    message = Predictions(
        envelope=Envelope(pipeline="small", generation=1),
        rows=len(days),
        columns=encode(batch),
        width=2 if version else 0,
        outputs=outputs,
        version=version,
        digest=DIGEST if version else "",
        origin="stream",
        scored_at_us=T,
    )
    return emit(topics.PREDICTIONS.topic("small", 1), message, partition=partition)


def score(
    day: float,
    text: str = '"status": "SCORED", "model": "small@1", "probability": 0.75',
    partition: int = 0,
) -> Emit:
    """One message of `small.scores`."""
    value = f'{{"event_id": "e{day}", "time": "2013-04-0{int(day) + 1}T06:00:00Z", {text}}}'
    return emit_raw(topics.SCORES.topic("small"), value.encode(), partition=partition)


def a_drift(to_us: int = T + 5 * DAY_US) -> DriftDetected:
    """A detection with its numbers."""
    return DriftDetected(
        pipeline="small",
        generation=1,
        evidence=Evidence(
            lane="realised",
            detector="PageHinkley",
            statistic="log_loss",
            value=0.56,
            reference=0.43,
            threshold=500,
            from_us=T,
            to_us=to_us,
            rows=800,
            model_version=1,
        ),
    )


def a_release() -> ModelReleased:
    """Of version 2, by the gate; the registry tells of it in both of its topics."""
    return ModelReleased(pipeline="small", version=2, previous_version=1, run_id="run-1", by="gate")


def a_story() -> list[Emit]:
    """A drift that led to version 2, and one that was too soon after it."""
    return [
        said(topics.DRIFT_DETECTED, a_drift(), "drift-1"),
        said(
            topics.RETRAIN_REQUESTED,
            RetrainRequested(pipeline="small", trigger="drift", drift_id="drift-1", by="monitor"),
            "request-1",
        ),
        said(
            topics.RETRAIN_RESOLVED,
            RetrainResolved(
                request_id="request-1", pipeline="small", outcome="accepted", run_id="run-1"
            ),
            "resolved-1",
        ),
        said(topics.REGISTRY_EVENTS, RegistryEvent(released=a_release()), "released-1"),
        said(topics.MODEL_RELEASED, a_release(), "released-1"),
        said(
            topics.RUN_FINISHED,
            RunFinished(run_id="run-1", pipeline="small", outcome="released", version=2),
            "finished-1",
        ),
        said(topics.DRIFT_DETECTED, a_drift(T + 6 * DAY_US), "drift-2"),
        said(
            topics.RETRAIN_REQUESTED,
            RetrainRequested(
                pipeline="small", trigger="drift", drift_id="drift-2", suppressed="cooldown"
            ),
            "request-2",
        ),
        said(
            topics.RETRAIN_RESOLVED,
            RetrainResolved(
                request_id="request-2", pipeline="small", outcome="suppressed", reason="cooldown"
            ),
            "resolved-2",
        ),
    ]


def a_dead_letter() -> Emit:
    """A record that was no JSON."""
    headers = [
        ("driftloop-rule", b"not_json"),
        ("driftloop-reason", b"line 1: expected a value"),
        ("driftloop-topic", b"small.rows"),
        ("driftloop-partition", b"1"),
        ("driftloop-offset", b"7"),
        ("driftloop-time-ms", b"1700000000000"),
    ]
    return emit_raw(topics.DEAD.topic("small"), b"oops", key=b"k", headers=headers)


def unreachable(wanted: str) -> Callable[[], MemoryBroker]:
    """A way to a broker that is away."""

    def away() -> MemoryBroker:
        raise Unavailable(wanted)

    return away
