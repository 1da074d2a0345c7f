"""A small shop as a pipeline, its records, and what came out of ingestion, in plain values."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from driftloop import spec
from driftloop.contracts import topics
from driftloop.contracts.event_pb2 import Labels, Quality, Records
from driftloop.kit.broker import Partition, Position, Record, Subscription, TopicSpec
from driftloop.kit.clock import FakeClock
from driftloop.kit.envelope import batch_schema, decode
from driftloop.kit.loop import Loop, LoopSpec
from driftloop.kit.memory import MemoryBroker
from driftloop.kit.metrics import Metrics
from driftloop.kit.topic import Emit
from driftloop.kit.trace import NoTracer, Tracer
from services.ingestion.handlers import Limits, OrderTask
from services.ingestion.meter import Meter

SHOP = """\
name: shop
partitions: 2
sources:
  - topic: orders
    role: predict
    schema: {order: string, at: time, customer: string, amount: float, items: "int?", gift: "bool?"}
    id: [order]
    time: at
    lateness: 1h
    late: LATE
    dedup_window: 2h
    rules: [{name: amount, that: "amount > 0"}, {name: items, that: "items < 100"}]
  - topic: payments
    role: [update, label]
    schema: {order: "string?", paid_at: "time[ms]", late_days: "float?"}
    id: [paid_at]
    time: paid_at
    joins: [order]
    dedup_window: 2h
    lateness: 1h
features:
  - {name: amount, field: amount}
target: {name: late, from: payments, positive: "late_days > 3", horizon: 30d}
learners:
  - {name: trees, kind: lightgbm}
"""
LIMITS = Limits(idle_ms=20, stall_ms=5_000, ahead_us=86_400_000_000, record_bytes_max=1_000_000)
DAY_S = 1_704_067_200  # 2024-01-01T00:00:00Z
SOURCES = ("orders", "payments")
NO_START: Mapping[str, str] = {}


def shop(late: str = "keep") -> spec.Pipeline:
    return spec.parse(SHOP.replace("LATE", late))


def an_order(number: int, *, at_s: float | None = None, **fields: Any) -> bytes:
    at = spec_time(DAY_S + (number * 60 if at_s is None else at_s))
    return json.dumps(
        {"order": f"o{number}", "at": at, "customer": "c1", "amount": 5.0, **fields}
    ).encode()


def a_payment(number: int, *, at_s: float | None = None, **fields: Any) -> bytes:
    at_ms = int((DAY_S + (number * 60 + 30 if at_s is None else at_s)) * 1_000)
    return json.dumps(
        {"order": f"o{number}", "paid_at": at_ms, "late_days": float(number % 7), **fields}
    ).encode()


def spec_time(seconds: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


@dataclass
class Shop:
    """The pipeline over a MemoryBroker, with a clock of its own."""

    late: str = "keep"
    partitions: int = 1
    clock: FakeClock = field(default_factory=lambda: FakeClock(DAY_S * 1_000))
    limits: Limits = LIMITS
    tracer: Tracer = field(default_factory=NoTracer)

    def __post_init__(self) -> None:
        self.broker = MemoryBroker(self.clock)
        self.metrics = Metrics()
        self.meter = Meter(self.metrics, "shop")
        self.pipeline = shop(self.late)
        ours = {
            topics.LEASE.topic("shop", 1).name: 1,
            topics.RECORDS.topic("shop", 1).name: 1,
            topics.LABELS.topic("shop", 1).name: 2,
        }
        names = [TopicSpec(name, count) for name, count in ours.items()]
        large = {"max.message.bytes": "20000000"}
        names += [
            TopicSpec(
                each.topic("shop").name,
                1,
                {"max.message.bytes": str(each.declaration.message_bytes_max)},
            )
            for each in (topics.DEAD, topics.QUALITY)
        ]
        names += [TopicSpec(name, self.partitions, large) for name in SOURCES]
        self.broker.create(names)

    def send(
        self,
        topic: str,
        *values: bytes | None,
        partition: int = 0,
        headers: Sequence[tuple[str, bytes]] = (),
    ) -> None:
        self.broker.append([Emit(topic, value, b"key", partition, headers) for value in values])

    def end(self, at_s: float) -> None:
        mark = [("driftloop-watermark", str(int(at_s * 1_000_000)).encode())]
        for topic in SOURCES:
            for partition in range(self.partitions):
                self.send(topic, None, partition=partition, headers=mark)

    def loop(
        self, records_max: int = 2_000, name: str = "one", start: Mapping[str, str] = NO_START
    ) -> Loop:
        lease = [topics.LEASE.topic("shop", 1).name]
        subscription = Subscription("ingestion", lease, name, attached=SOURCES, start=start)
        spec_ = LoopSpec(
            "order",
            "shop",
            subscription,
            lambda: OrderTask(self.pipeline, 1, self.limits, self.meter.counted, self.tracer),
            records_max=records_max,
            interval_s=0.0,
            tick_s=0.0,
        )
        loop = Loop(spec_, self.broker, self.clock, tracer=self.tracer)
        loop.open()
        return loop

    def run(self, loop: Loop, rounds: int = 30) -> None:
        """Until everything that may go has gone: time passes between the rounds."""
        for _ in range(rounds):
            loop.run_once()
            self.clock.advance(0.02)

    def all(self, topic: str) -> list[Record]:
        count = self.broker.partitions(topic) or 0
        return [
            record
            for partition in range(count)
            for record in self.broker.read(topic, partition, *self.broker.bounds(topic, partition))
        ]

    def rows(self) -> list[dict[str, Any]]:
        """The rows of `records`, in order."""
        schema = batch_schema(self.pipeline.record_columns())
        return [
            row
            for message in self.envelopes()
            if message.rows
            for row in decode(message.columns, schema).to_pylist()
        ]

    def envelopes(self) -> list[Records]:
        return [
            Records.FromString(record.value or b"")
            for record in self.all(topics.RECORDS.topic("shop", 1).name)
        ]

    def labels(self) -> list[dict[str, Any]]:
        topic = topics.LABELS.topic("shop", 1)
        schema = batch_schema(topic.declaration.columns)
        messages = [
            (record.partition, Labels.FromString(record.value or b""))
            for record in self.all(topic.name)
        ]
        return [
            {**row, "partition": partition}
            for partition, message in messages
            if message.rows
            for row in decode(message.columns, schema).to_pylist()
        ]

    def label_heartbeats(self) -> list[tuple[int, int]]:
        records = self.all(topics.LABELS.topic("shop", 1).name)
        messages = [
            (record.partition, Labels.FromString(record.value or b"")) for record in records
        ]
        return [
            (partition, message.envelope.watermark_us)
            for partition, message in messages
            if not message.rows
        ]

    def dead(self) -> list[tuple[str, Record]]:
        return [
            (dict(record.headers)["driftloop-rule"].decode(), record)
            for record in self.all("shop.dead")
        ]

    def quality(self) -> dict[str, int]:
        from google.protobuf.json_format import Parse

        total: dict[str, int] = {}
        for record in self.all("shop.quality"):
            for rule, count in Parse(record.value or b"", Quality()).counts.items():
                total[rule] = total.get(rule, 0) + count
        return total


def ids(rows: Iterable[dict[str, Any]]) -> list[str]:
    return [row["_id"] for row in rows]


def committed(shop: Shop, topic: str) -> Position:
    group = shop.broker.groups["ingestion"]
    partition: Partition = (topic, 0)
    return group.committed.get(partition, Position(None))
