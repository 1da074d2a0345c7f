"""A pipeline of its own under load: flights.yaml under another name, the flights replayed to its
own topics from a thread, and what came of them counted in the log."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from driftloop.client import Client
from driftloop.client.standing import standing, watermark
from driftloop.contracts import topics
from driftloop.contracts.prediction_pb2 import Predictions
from driftloop.contracts.retrain_pb2 import Statistics
from driftloop.kit.broker import TopicSpec
from driftloop.kit.errors import Unavailable
from driftloop.kit.kafka import KafkaBroker
from infra.demo import flights, read, replay
from infra.local import places

# Compressed: Kafka unpacks a library of its own for it, which a container must let it load
AS_OTHERS_DO = {"compression.type": "zstd", "log_level": "0"}
FILE = places.ROOT / "infra" / "pipelines" / "flights.yaml"


@dataclass(frozen=True, slots=True)
class Judged:
    """Of the flights that were sent: without an answer, and answered more than once, by id."""

    sent: int
    lost: pl.DataFrame  # event_id, time_us
    doubled: pl.DataFrame


class Load:
    """A context: on entry the pipeline is declared and the replay begins."""

    def __init__(
        self, client: Client, broker: KafkaBroker, name: str, speed: float, folder: Path
    ) -> None:
        self.name, self.broker, self._folder = name, broker, folder
        self._client, self._speed = client, speed
        self._streams = [each.replace("flights.", f"{name}.") for each in flights.STREAMS]
        self._path = replay.prepare(places.cache() / "flights", None, clean=True)
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._replay, name="replay", daemon=True)
        self.progress = replay.Progress(0, 1, 0, 0.0)
        self.partitions = 4

    def __enter__(self) -> Load:
        self.broker.create(
            [TopicSpec(n, 1, {"message.timestamp.type": "LogAppendTime"}) for n in self._streams]
        )
        file = self._folder / f"{self.name}.yaml"
        file.write_text(declaration(self.name))
        self._client.apply(file)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        self._thread.join(60)

    def sent_us(self) -> int:
        """Event time of the newest event that was sent."""
        return self.progress.event_us

    def answered_us(self) -> int:
        """Up to which event time everything is predicted; 0 while the broker doesn't say."""
        topic = topics.PREDICTIONS.topic(self.name, 1).name
        return self._least(topic, Predictions)

    def watched_us(self) -> int:
        """Up to which event time the monitor has closed its buckets."""
        told = dict.fromkeys(range(self.partitions), 0)
        try:
            for each in read.messages(self.broker, topics.STATISTICS.topic(self.name), Statistics):
                told[each.partition] = max(told[each.partition], each.watermark_us)
        except Unavailable:
            return 0
        return min(told.values())

    def end(self) -> None:
        """Send no more, and say that the streams have ended."""
        self._enough.set()
        self._thread.join(60)
        assert self.progress.done, "the replay did not come to its end"

    def missing(self) -> Sequence[str]:
        """What is not done yet, in words."""
        try:
            end_us = self.progress.event_us + replay.END_US
            return standing(self.broker, self.name, self.partitions, end_us).missing
        except Unavailable as error:
            return (str(error),)

    def judge(self) -> Judged:
        """Read committed, predictions and scores both."""
        answers = read.predictions(self.broker, self.name)["event_id"]
        scores = read.scores(self.broker, self.name)["event_id"]
        sent = _scheduled(self._path, self.progress.sent)
        once = sent["event_id"].is_in(answers.implode()) & sent["event_id"].is_in(scores.implode())
        twice = pl.concat([_repeated(answers), _repeated(scores)]).unique()
        return Judged(
            sent.height, sent.filter(~once), sent.filter(pl.col("event_id").is_in(twice.implode()))
        )

    def _least(self, topic: str, kind: type[Predictions]) -> int:
        try:
            return min(watermark(self.broker, topic, n, kind) for n in range(self.partitions))
        except Unavailable:
            return 0

    def _replay(self) -> None:
        def watched(progress: replay.Progress) -> bool:
            self.progress = progress
            return self._enough.is_set()

        producer = replay.client({**self._client.place.common.kafka, **AS_OTHERS_DO})
        self.progress = replay.replay(
            producer, self._path, self._speed, self._streams, watched, say=lambda progress: None
        )


def declaration(name: str) -> str:
    """flights.yaml as `name`, on topics of that name; its first model after a week, since there is
    less of a stream."""
    text = FILE.read_text().replace("name: flights\n", f"name: {name}\n", 1)
    for stream in flights.STREAMS:
        text = text.replace(stream, stream.replace("flights.", f"{name}."))
    assert "first: 28d" in text, "flights.yaml has another policy now"
    return text.replace("first: 28d", "first: 7d")


def _scheduled(path: Path, count: int) -> pl.DataFrame:
    """event_id and time_us of what must be answered, among the first `count` events."""
    events = pl.read_ipc(path, columns=["time", "stream", "key"]).head(count)
    schedule = flights.STREAMS.index(flights.SCHEDULE)
    return events.filter(pl.col("stream") == schedule).select(
        pl.col("key").alias("event_id"), pl.col("time").dt.epoch("us").alias("time_us")
    )


def _repeated(ids: pl.Series) -> pl.Series:
    return ids.filter(ids.is_duplicated()).unique()
