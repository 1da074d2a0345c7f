"""Ingestion as a process on a real Kafka: bad input of every kind, kill -9 while it works, a second
one that stands by.
"""

from __future__ import annotations

import json
import re
import signal
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from driftloop import spec
from driftloop.contracts import topics
from driftloop.contracts.event_pb2 import Labels, Records
from driftloop.contracts.model_pb2 import PipelineDeclared
from driftloop.kit.broker import TopicSpec
from driftloop.kit.envelope import batch_schema, decode
from driftloop.kit.events import event
from driftloop.kit.kafka import KafkaBroker
from driftloop.kit.topic import Emit
from infra.tools import sea
from services.registry import topology
from tests.integration.running import Service, running
from tests.support.eventually import eventually
from tests.support.kafka import SharedKafka

YAML = (Path(__file__).parents[2] / "infra" / "pipelines" / "sea.yaml").read_text()
ROWS, KILLS, PARTITIONS = 4_000, 3, 2
END_US = 2_000_000_000_000_000
GOOD = json.loads(next(line for topic, line in sea.events(1, 1) if topic == sea.EVENTS))
BAD = [  # rule, value
    ("not_json", b"{"),
    ("not_json", b"\xff"),
    ("not_object", b"[]"),
    ("missing_field", b"{}"),
    ("wrong_type", json.dumps({**GOOD, "a": "1"}).encode()),
    ("out_of_range", json.dumps(GOOD).encode().replace(str(GOOD["a"]).encode(), b"1e999")),
    ("not_finite", json.dumps({**GOOD, "a": float("nan")}).encode()),
    ("wrong_time", json.dumps({**GOOD, "at": "noon"}).encode()),
    ("rule:a_in_range", json.dumps({**GOOD, "a": 11}).encode()),
    ("too_large", json.dumps({**GOOD, "note": "x" * 1_000_001}).encode()),
]


def test_bad_input_and_kills_leave_each_row_once_in_one_order(
    kafka: SharedKafka, prefix: str, tmp_path: Path
) -> None:
    broker = KafkaBroker(kafka.properties, prefix)
    a_pipeline(broker)
    first, second = (
        Service("ingestion", kafka, prefix, tmp_path / slot, {"DRIFTLOOP_SLOT": slot})
        for slot in "ab"
    )
    events = list(sea.events(ROWS, ROWS // 2))
    with running(first, second):
        portion = len(events) // (KILLS + 1)
        for kill in range(KILLS + 1):
            # the last 50 come again with the next portion
            send(broker, events[kill * portion : (kill + 1) * portion + 50])
            broker.append([Emit(sea.EVENTS, value, b"k", kill % PARTITIONS) for _, value in BAD])
            eventually(partial(has_more, broker, kill * portion), 60, 0.2)
            if kill < KILLS:
                victim = (first, second)[kill % 2]
                victim.end(signal.SIGKILL)
                victim.start()
        mark = [("driftloop-watermark", str(END_US).encode())]
        broker.append(
            [
                Emit(topic, None, None, number, mark)
                for topic in (sea.EVENTS, sea.TRUTH)
                for number in range(PARTITIONS)
            ]
        )
        eventually(lambda: envelopes(broker)[-1].envelope.watermark_us == END_US, 60, 0.2)
        # The one that was killed last may still be starting, before it heeds signals.
        assert {first.end(), second.end()} <= {0, -signal.SIGTERM}
    # what a row says, good or bad, is nobody's to read in a log
    logs = "".join((tmp_path / slot / "ingestion.log").read_text() for slot in "ab")
    plain, whole = logs.replace('\\"', '"'), [value.decode("latin1") for _, value in BAD]
    assert '"message": "started"' in logs
    assert re.search(r"\bsea-\d", logs) is None
    assert [value for value in whole if len(value) > 20 and value[:20] in plain] == []

    rows, found = records(broker), list(labels(broker))
    assert Counter(row["_id"] for row in rows if row["_roles"] == 1) == Counter(
        f"sea-{n}" for n in range(ROWS)
    )
    assert sorted(found) == sorted(f"sea-{n}" for n in range(ROWS))
    assert [row["_sequence"] for row in rows] == list(range(1, 2 * ROWS + 1))
    assert dead(broker) == {
        rule: count * (KILLS + 1) for rule, count in Counter(rule for rule, _ in BAD).items()
    }
    broker.close()


def a_pipeline(broker: KafkaBroker) -> None:
    """`sea`, declared as the registry would."""
    large = {"max.message.bytes": "2000000"}
    sources = [TopicSpec(topic, PARTITIONS, large) for topic in (sea.EVENTS, sea.TRUTH)]
    broker.create([*topology.control(), *topology.pipeline("sea", 1, 2), *sources])
    declared = PipelineDeclared(
        name="sea", version=1, generation=1, yaml=YAML, digest=spec.parse(YAML).digest()
    )
    broker.append(
        [event(topics.PIPELINES.topic(), declared, id="1", source="/test", time_ms=1, key="sea")]
    )


def has_more(broker: KafkaBroker, rows: int) -> bool:
    return len(records(broker)) > rows


def send(broker: KafkaBroker, events: list[tuple[str, str]]) -> None:
    broker.append(
        [
            Emit(topic, line.encode(), None, number % PARTITIONS)
            for number, (topic, line) in enumerate(events)
        ]
    )


def envelopes(broker: KafkaBroker) -> list[Records]:
    name = topics.RECORDS.topic("sea", 1).name
    return [
        Records.FromString(record.value or b"")
        for record in broker.read(name, 0, *broker.bounds(name, 0))
    ]


def records(broker: KafkaBroker) -> list[dict[str, object]]:
    schema = batch_schema(spec.parse(YAML).record_columns())
    return [
        row
        for each in envelopes(broker)
        if each.rows
        for row in decode(each.columns, schema).to_pylist()
    ]


def labels(broker: KafkaBroker) -> Iterator[str]:
    topic = topics.LABELS.topic("sea", 1)
    schema = batch_schema(topic.declaration.columns)
    for number in range(2):
        for record in broker.read(topic.name, number, *broker.bounds(topic.name, number)):
            message = Labels.FromString(record.value or b"")
            if message.rows:
                yield from decode(message.columns, schema).column("event_id").to_pylist()


def dead(broker: KafkaBroker) -> dict[str, int]:
    name = topics.DEAD.topic("sea").name
    found = Counter(
        dict(record.headers)["driftloop-rule"].decode()
        for record in broker.read(name, 0, *broker.bounds(name, 0))
    )
    return dict(found)
