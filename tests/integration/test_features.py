"""features as a process on a real Kafka: killed between two halves of a stream, it ends with one
vector and one example a row, those of an undisturbed run."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path

from driftloop import spec
from driftloop.contracts import topics
from driftloop.contracts.event_pb2 import Envelope, Labels, Records
from driftloop.contracts.feature_pb2 import Examples, Features
from driftloop.contracts.model_pb2 import PipelineDeclared
from driftloop.contracts.transform_pb2 import TransformRequest
from driftloop.contracts.transform_pb2_grpc import FeatureStoreStub
from driftloop.kit.broker import TopicSpec
from driftloop.kit.envelope import batch_schema, decode, encode, matrix, partition_rows
from driftloop.kit.events import event
from driftloop.kit.kafka import KafkaBroker
from driftloop.kit.topic import Emit, emit
from tests.integration.running import Service, running
from tests.support.eventually import eventually
from tests.support.kafka import SharedKafka
from tests.unit.features.world import (
    FEATURES,
    LABELS,
    RECORDS,
    World,
    label_columns,
    record_columns,
)
from tests.unit.spec.windows_reference import PIPELINE, Event

EXAMPLES = topics.EXAMPLES.topic("reference", 1)
ROWS = 300
YAML = PIPELINE.replace("name: reference", "name: reference\npartitions: 2", 1)


def test_killed_in_the_middle_it_ends_with_one_vector_and_one_example_a_row(
    kafka: SharedKafka, prefix: str, tmp_path: Path
) -> None:
    broker = KafkaBroker(kafka.properties, prefix)
    declare(broker)
    # Checkpoints every 50 rows, so that the restart reads one and replays the rest.
    settings = {
        "FEATURES_RECORDS_MAX": "2",
        "FEATURES_ROUND_ROWS_MAX": "50",
        "FEATURES_CHECKPOINT_BYTES_MAX": "1000",
    }
    features = Service("features", kafka, prefix, tmp_path, settings)
    events = [Event(n % 2, n * 7, n // 2, n % 5, n % 3, float(n % 11)) for n in range(2 * ROWS)]
    expected = World()

    with running(features):
        feed(broker, expected, events[:ROWS])
        eventually(lambda: len(vectors(broker)) >= ROWS // 4, within_s=90)
        features.end(signal.SIGKILL)
        feed(broker, expected, events[ROWS:])
        features.start()
        eventually(lambda: len(vectors(broker)) == ROWS, within_s=90)
        eventually(lambda: len(examples(broker)) == ROWS, within_s=30)
        with features.channel() as channel:
            asked = TransformRequest(pipeline="reference", rows=[A_ROW])
            reply = FeatureStoreStub(channel).Transform(asked)
        assert features.end() == 0

    expected.windows(records_max=100).drain()
    written = expected.features()
    assert vectors(broker) == {ident: vector for ident, (vector, _) in written.items()}
    assert sorted(examples(broker)) == sorted(written)
    assert len(reply.rows[0].vector) == len(reply.names)
    assert state_rounds(broker) > 3


A_ROW = '{"id": "new", "t": "1970-01-01T00:00:01Z", "shop": 1, "kind": 1, "x": 2}'


def declare(broker: KafkaBroker) -> None:
    """What the registry does for `apply`."""
    pipelines = topics.PIPELINES.topic()
    corrections = topics.CORRECTIONS.topic("reference", 1)
    state = topics.STATE_FEATURES.topic("reference", 1)
    two = [FEATURES.name, LABELS.name, EXAMPLES.name, corrections.name]
    one = [RECORDS.name, state.name, pipelines.name, topics.PULSE.topic().name]
    broker.create([TopicSpec(name, 2) for name in two])
    broker.create([TopicSpec(name, 1) for name in one])
    declared = PipelineDeclared(
        name="reference", version=1, generation=1, yaml=YAML, digest=spec.parse(YAML).digest()
    )
    broker.append([event(pipelines, declared, id="d1", source="test", time_ms=0, key="reference")])


def feed(broker: KafkaBroker, expected: World, events: Sequence[Event]) -> None:
    """Envelopes of ten rows, and the labels of all rows of `ends`."""
    for start in range(0, len(events), 10):
        batch = events[start : start + 10]
        expected.records(batch)
        message = Records(
            envelope=Envelope(sequence=expected.sequence, watermark_us=batch[0].time),
            rows=len(batch),
            columns=encode(record_columns(batch)),
        )
        lines = [(f"row-{e.ident}", e.time, float(e.number > 0)) for e in batch if e.source == 1]
        broker.append([emit(RECORDS, message, partition=0), *label_emits(lines)])


def label_emits(lines: list[tuple[str, int, float]]) -> list[Emit]:
    table = label_columns(lines)
    parts = partition_rows(table.column("event_id"), 2)
    chosen = [[line for line, at in zip(lines, parts, strict=True) if at == p] for p in range(2)]
    return [
        emit(
            LABELS,
            Labels(envelope=Envelope(), rows=len(of), columns=encode(label_columns(of))),
            partition=p,
        )
        for p, of in enumerate(chosen)
        if of
    ]


def vectors(broker: KafkaBroker) -> dict[str, bytes]:
    """event id -> vector; an id twice is an error."""
    found: dict[str, bytes] = {}
    for message in messages(broker, FEATURES.name, Features):
        if message.rows:
            table = decode(message.columns, batch_schema(FEATURES.declaration.columns))
            rows = matrix(message.vectors, message.rows, message.width)
            for ident, row in zip(table.column("event_id").to_pylist(), rows, strict=True):
                assert ident not in found, ident
                found[ident] = row.tobytes()
    return found


def examples(broker: KafkaBroker) -> list[str]:
    found: list[str] = []
    for message in messages(broker, EXAMPLES.name, Examples):
        if message.rows:
            table = decode(message.columns, batch_schema(EXAMPLES.declaration.columns))
            found += table.column("event_id").to_pylist()
    return found


def messages(
    broker: KafkaBroker, topic: str, kind: type[Features] | type[Examples]
) -> list[Features | Examples]:
    return [
        kind.FromString(record.value or b"")
        for partition in range(2)
        for record in broker.read(topic, partition, *broker.bounds(topic, partition))
    ]


def state_rounds(broker: KafkaBroker) -> int:
    """How many ends of rounds the changelog holds."""
    name = topics.STATE_FEATURES.topic("reference", 1).name
    records = broker.read(name, 0, *broker.bounds(name, 0))
    return sum(record.key == b"round" for record in records)
