"""A stack with the `sea` stream: produce it by parts, and read what came of it from the log."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import polars as pl
from confluent_kafka import Producer

from driftloop.contracts import topics
from driftloop.contracts.model_pb2 import ModelReleased, RunFinished
from driftloop.contracts.registry_pb2 import ApplyRequest, RollbackRequest
from driftloop.contracts.registry_pb2_grpc import RegistryStub
from driftloop.contracts.retrain_pb2 import (
    DriftDetected,
    RetrainRequested,
    RetrainResolved,
    Statistics,
)
from driftloop.kit import rpc
from driftloop.kit.broker import TopicSpec
from driftloop.kit.kafka import KafkaBroker
from infra.demo import read
from infra.local.stack import Stack
from infra.tools import sea
from tests.support.eventually import eventually

PIPELINES = Path(__file__).resolve().parents[2] / "infra" / "pipelines"
SLICE = 20  # events between two round trips to the broker
END_US = 10 * 86_400_000_000  # behind the last event: everything has expired and closed by then


@dataclass
class World:
    """`stream`: the pipeline's name and the prefix of its two topics."""

    stack: Stack
    broker: KafkaBroker
    producer: Producer
    registry: RegistryStub
    sent: dict[str, int] = field(default_factory=dict)

    @staticmethod
    @contextlib.contextmanager
    def of(stack: Stack) -> Iterator[World]:
        with (
            contextlib.closing(KafkaBroker(stack.kafka)) as broker,
            rpc.channel(stack.environ["DRIFTLOOP_REGISTRY"]) as channel,
        ):
            producer = Producer({"bootstrap.servers": stack.bootstrap, "linger.ms": 5})
            yield World(stack, broker, producer, RegistryStub(channel))

    def declare(self, stream: str, yaml: str = "") -> None:
        """sea.yaml, or what was made of it, under another name; its two source topics made."""
        self.broker.create([TopicSpec(f"{stream}.{kind}", 1) for kind in ("events", "truth")])
        yaml = yaml or sea_yaml()
        yaml = yaml.replace("name: sea\n", f"name: {stream}\n")
        yaml = yaml.replace("sea.events", f"{stream}.events").replace(
            "sea.truth", f"{stream}.truth"
        )
        self.registry.Apply(ApplyRequest(yaml=yaml, by="test"), timeout=60, wait_for_ready=True)

    def produce(self, stream: str, events: list[tuple[str, str]]) -> None:
        """At some thousand events a second, as they would come: not as one burst."""
        for start in range(0, len(events), SLICE):
            for topic, line in events[start : start + SLICE]:
                self.producer.produce(topic.replace("sea.", f"{stream}."), line)
            assert self.producer.flush(90) == 0  # Kafka may be restarting
        rows = sum(topic == sea.EVENTS for topic, _ in events)
        self.sent[stream] = self.sent.get(stream, 0) + rows

    def end(self, stream: str, last_us: int) -> None:
        """Say that the stream has ended, and wait until the log shows that all is done."""
        mark: dict[str, str | bytes | None] = {"driftloop-watermark": str(last_us + END_US)}
        for kind in ("events", "truth"):
            self.producer.produce(f"{stream}.{kind}", None, partition=0, headers=mark)
        assert self.producer.flush(90) == 0  # Kafka may be restarting
        eventually(
            lambda: all(s.watermark_us >= last_us + END_US for s in self.last_statistics(stream)),
            within_s=60,
            every_s=0.3,
        )

    def last_statistics(self, stream: str) -> list[Statistics]:
        """The newest bucket of each partition."""
        newest: dict[int, Statistics] = {0: Statistics(), 1: Statistics()}
        for each in self.statistics(stream):
            newest[each.partition] = each
        return list(newest.values())

    def statistics(self, stream: str) -> list[Statistics]:
        return read.messages(self.broker, topics.STATISTICS.topic(stream), Statistics)

    def predictions(self, stream: str) -> pl.DataFrame:
        return read.predictions(self.broker, stream)

    def examples(self, stream: str) -> pl.DataFrame:
        return read.examples(self.broker, stream)[0]

    def scores(self, stream: str) -> pl.DataFrame:
        return read.scores(self.broker, stream)

    def released(self, stream: str) -> list[ModelReleased]:
        """Versions as serving hears of them, oldest first (the topic is compacted)."""
        said = read.said(self.broker, topics.MODEL_RELEASED, ModelReleased, stream)
        return [each.message for each in said]

    def drifts(self, stream: str) -> list[read.Said[DriftDetected]]:
        return read.said(self.broker, topics.DRIFT_DETECTED, DriftDetected, stream)

    def requests(self, stream: str) -> list[read.Said[RetrainRequested]]:
        return read.said(self.broker, topics.RETRAIN_REQUESTED, RetrainRequested, stream)

    def resolved(self, stream: str) -> list[RetrainResolved]:
        said = read.said(self.broker, topics.RETRAIN_RESOLVED, RetrainResolved, stream)
        return [each.message for each in said]

    def finished(self, stream: str) -> list[RunFinished]:
        said = read.said(self.broker, topics.RUN_FINISHED, RunFinished, stream)
        return [each.message for each in said]

    def rollback(self, stream: str) -> ModelReleased:
        request = RollbackRequest(pipeline=stream, by="test", reason="to see it go back")
        return self.registry.Rollback(request, timeout=30)


def sea_yaml() -> str:
    """The small example's pipeline file."""
    return (PIPELINES / "sea.yaml").read_text()


def ids(events: list[tuple[str, str]]) -> pl.Series:
    """The event ids of the rows that must be answered."""
    rows = [line for topic, line in events if topic == sea.EVENTS]
    return pl.Series(rows).str.json_path_match("$.id")


def last_us(events: list[tuple[str, str]]) -> int:
    """The time of the last event, µs."""
    text = pl.Series([events[-1][1]]).str.json_path_match("$.at")[0]
    return int(datetime.fromisoformat(text).timestamp() * 1e6)
