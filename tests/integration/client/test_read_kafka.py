"""The SDK on a real Kafka: committed rows only, by event time and by offset."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from confluent_kafka import Producer

from driftloop.client import Client
from driftloop.client.addresses import Place
from driftloop.client.calls import Calls
from driftloop.contracts import topics
from driftloop.contracts.model_pb2 import PipelineDeclared
from driftloop.kit.broker import TopicSpec
from driftloop.kit.clock import SystemClock
from driftloop.kit.config import read_common
from driftloop.kit.kafka import KafkaBroker
from driftloop.kit.rpc import channel
from driftloop.kit.topic import emit
from tests.support.kafka import SharedKafka
from tests.unit.client.test_live import a_bucket
from tests.unit.client.world import SMALL, a_story, examples, heartbeat, said, score

NAMES = ("small.g1.examples", "small.scores", "small.statistics", "driftloop.pipelines")


@pytest.fixture
def broker(kafka: SharedKafka, prefix: str) -> Iterator[KafkaBroker]:
    """A namespace of its own with the topics of `small`."""
    broker = KafkaBroker(kafka.properties, f"{prefix}.")
    broker.create([TopicSpec(name, 2 if name in NAMES[:2] else 1) for name in NAMES])
    declared = PipelineDeclared(name="small", version=1, generation=1, yaml=SMALL)
    broker.append([said(topics.PIPELINES, declared, "declared-1")])
    yield broker
    broker.close()


@pytest.fixture
def client(broker: KafkaBroker) -> Client:
    common = read_common({})
    return Client(
        Place(common, "a test", None), lambda: broker, Calls(common, channel), SystemClock()
    )


def test_rows_are_read_by_time_and_by_offset(broker: KafkaBroker, client: Client) -> None:
    broker.append(
        [
            examples([2, 3]),
            heartbeat(),
            examples([0, 1], partition=1),
            score(0),
            score(1, partition=1),
        ]
    )

    assert client.read("small", "examples")["event_id"].to_list() == ["e0", "e1", "e2", "e3"]
    assert client.read("small", "examples", start="2013-04-02", end="2013-04-04")[
        "amount"
    ].to_list() == [1, 2]
    assert client.read("small", "examples", end={0: 0})["event_id"].to_list() == ["e0", "e1"]
    assert client.read("small", "scores")["probability"].to_list() == [0.75, 0.75]


def test_an_aborted_transactions_rows_are_not_read(
    broker: KafkaBroker, client: Client, kafka: SharedKafka, prefix: str
) -> None:
    given_up = examples([7])
    producer = Producer({**kafka.properties, "transactional.id": f"{prefix}-given-up"})
    producer.init_transactions(10)
    producer.begin_transaction()
    producer.produce(f"{prefix}.{given_up.topic}", given_up.value, partition=0)
    producer.flush(10)
    producer.abort_transaction(10)

    broker.append([examples([5])])

    assert client.read("small", "examples")["event_id"].to_list() == ["e5"]


def test_the_live_view_follows_the_log(broker: KafkaBroker, client: Client) -> None:
    broker.create([TopicSpec(topic.topic().name, 1) for topic in topics.CONTROL])
    broker.append([*a_story(), emit(topics.STATISTICS.topic("small"), a_bucket(3, b"", 4.0, 8))])

    with client.watch("small") as feed:
        feed.wait()
        seen = feed.snapshot()

    assert (seen.event_time, seen.model_version) == ("2013-04-05T00:00:00Z", 2)
    assert seen.loop.log_loss == 0.5
    assert seen.drift is not None
    assert seen.drift.outcome == "suppressed (cooldown)"
