"""`driftloop doctor` and `driftloop status` against a real Kafka, a real registry, and faults that
are really there."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # re-exported without saying so
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourceType,
)
from typer.testing import CliRunner

from driftloop.cli.app import app
from driftloop.client import Client, Unavailable, connect
from driftloop.kit.clock import SystemClock
from tests.integration.running import Service, running
from tests.support.eventually import eventually
from tests.support.kafka import SharedKafka
from tests.unit.client.world import SMALL

NOWHERE = "127.0.0.1:1"


@dataclass
class World:
    """A namespace of the session's Kafka with a registry that runs and a pipeline declared."""

    kafka: SharedKafka
    prefix: str
    registry: Service
    admin: AdminClient

    @property
    def environ(self) -> dict[str, str]:
        asked = {f"DRIFTLOOP_{name}": NOWHERE for name in ("FEATURES", "TRAINING", "EVALUATION")}
        return {
            **asked,
            "KAFKA_BOOTSTRAP": self.kafka.bootstrap,
            "DRIFTLOOP_NAMESPACE": self.prefix,
            "DRIFTLOOP_REGISTRY": self.registry.address,
            "DRIFTLOOP_SERVING": NOWHERE,
            "DRIFTLOOP_DATA": str(self.registry.folder),
        }

    def outer(self, topic: str) -> str:
        return f"{self.prefix}.{topic}"

    def client(self, monkeypatch: pytest.MonkeyPatch, **more: str) -> Client:
        for name, value in {**self.environ, **more}.items():
            monkeypatch.setenv(name, value)
        return connect()

    def alter(self, kind: Any, name: str, **config: str) -> None:
        """Set; an empty value takes the setting back."""
        entries = [
            ConfigEntry(
                key.replace("_", "."),
                value,
                incremental_operation=AlterConfigOpType.SET if value else AlterConfigOpType.DELETE,
            )
            for key, value in config.items()
        ]
        resource = ConfigResource(kind, name, incremental_configs=entries)
        self.admin.incremental_alter_configs([resource])[resource].result(20)


@pytest.fixture
def world(kafka: SharedKafka, prefix: str, tmp_path: Path) -> Iterator[World]:
    registry = Service("registry", kafka, prefix, tmp_path)
    admin = AdminClient(dict(kafka.properties))
    with running(registry):
        world = World(kafka, prefix, registry, admin)
        made = admin.create_topics([NewTopic(world.outer("small.rows"), 2)])
        made[world.outer("small.rows")].result(20)
        yield world


def test_faults_that_are_really_there_are_found_with_their_mend(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "small.yaml"
    file.write_text(SMALL)
    with world.client(monkeypatch) as client:
        eventually(lambda: applied(client, file), 60, 0.3)
        eventually(lambda: bad(client) == DOWN, 20)  # all but the four that were never started

        world.admin.delete_topics([world.outer("small.scores")])
        world.alter(ResourceType.TOPIC, world.outer("small.g1.labels"), retention_ms="60000")
        world.admin.create_partitions([NewPartitions(world.outer("small.g1.features"), 3)])
        world.admin.delete_topics([world.outer("driftloop.live")])
        lost_messages(world, "ingestion-order-small.g1", "small.rows")
        with setting(world, message_max_bytes="500000"), stranger() as address:
            monkeypatch.setenv("DRIFTLOOP_SERVING", address)
            with connect() as other:
                found = eventually(lambda: all_of_them(other), 20, 0.3)

    says = {one["subject"]: one for one in found.values()}
    assert "small.scores" in found["missing: small.scores"]["says"]
    assert found["missing: small.scores"]["mend"].endswith("`driftloop apply small.yaml`")
    assert found["missing: driftloop.live"]["mend"].startswith("restart the registry")
    assert found["retention.ms is 60000"]["mend"].endswith("retention.ms=2592000000")
    assert "3 partitions, declared 2" in says["small.g1.features"]["says"]
    assert "delete the topic" in says["small.g1.features"]["mend"]
    assert found["retention took 3 messages"]["severity"] == "fail"
    assert "message.max.bytes=11000000" in found["message.max.bytes is 500000"]["mend"]
    assert "GRPC_PORT" in found["is none of ours"]["mend"]


def test_status_tells_who_runs_and_who_does_not_and_ends_with_1(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world.client(monkeypatch) as client:
        eventually(lambda: state(told(client), "registry")["running"] == 1, 60, 0.3)
        found = told(client)
        assert found["whole"] is False
        wrong = {one["where"] for one in found["problems"] if one["level"] == "wrong"}
        assert wrong == {
            "ingestion",
            "features",
            "serving",
            "monitor",
            "training",
            "evaluation",
        }
        assert state(found, "registry")["replicas"][0]["version"] == "0.1.0"

        world.registry.end()
        ended = eventually(lambda: gone(told(client)), 10)
        assert ended["answers"].startswith("nothing listens")
    result = CliRunner().invoke(app, ["status", "--json"])
    assert (result.exit_code, json.loads(result.output)["whole"]) == (1, False)


def test_a_broker_that_takes_connections_and_says_nothing_can_not_be_told_of(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SystemClock()
    with stranger() as address, world.client(monkeypatch, KAFKA_BOOTSTRAP=address) as client:
        began_s = clock.seconds()
        with pytest.raises(Unavailable, match="in time"):
            client.status()
        assert clock.seconds() - began_s < 4  # 1.7 s, and what a busy machine takes beside it
    result = CliRunner().invoke(app, ["status"], env={"KAFKA_BOOTSTRAP": NOWHERE})
    assert (result.exit_code, "cannot tell: no broker answers" in result.output) == (2, True)


DOWN = dict.fromkeys(("features", "serving", "training", "evaluation"), "it is down")
WANTED = (
    "missing: small.scores",
    "missing: driftloop.live",
    "retention.ms is 60000",
    "3 partitions",
    "retention took 3 messages",
    "message.max.bytes is 500000",
    "is none of ours",
)


def applied(client: Client, file: Path) -> bool:
    try:
        return bool(client.apply(file)["pipeline"]["generation"] == 1)
    except Unavailable:
        return False


def bad(client: Client) -> Mapping[str, str]:
    """Subject → the head of what is said of it."""
    findings = client.examine()["findings"]
    return {f["subject"]: f["says"][:10] for f in findings if f["severity"] != "ok"}


def all_of_them(client: Client) -> dict[str, dict[str, Any]]:
    """Part of a sentence → its finding, once each wanted one is there."""
    findings = [one for one in client.examine()["findings"] if one["severity"] != "ok"]
    found = {part: one for part in WANTED for one in findings if part in one["says"]}
    assert set(found) == set(WANTED), findings
    return found


def told(client: Client) -> dict[str, Any]:
    try:
        return client.status()
    except Unavailable as error:  # a machine so busy that 1.7 s did not do
        raise AssertionError(str(error)) from error


def state(found: Mapping[str, Any], service: str) -> dict[str, Any]:
    return next(dict(one) for one in found["services"] if one["service"] == service)


def gone(found: Mapping[str, Any]) -> dict[str, Any]:
    """The registry, once its last pulse said that it ended."""
    registry = state(found, "registry")
    assert [one["state"] for one in registry["replicas"]] == ["ended"], registry
    return registry


def lost_messages(world: World, group: str, topic: str) -> None:
    """A group that stands at 1 where the first that is kept is 4."""
    outer = world.outer(topic)
    producer = Producer(dict(world.kafka.properties))
    for number in range(6):
        producer.produce(outer, f"{number}", partition=0)
    assert producer.flush(20) == 0
    kind = {**world.kafka.properties, "group.id": world.outer(group)}
    with closing(Consumer(kind)) as consumer:
        consumer.commit(offsets=[TopicPartition(outer, 0, 1)], asynchronous=False)
    for deleted in world.admin.delete_records([TopicPartition(outer, 0, 4)]).values():
        deleted.result(20)
    asked = ConsumerGroupTopicPartitions(world.outer(group))
    assert world.admin.list_consumer_group_offsets([asked])[world.outer(group)].result(20)


@contextmanager
def setting(world: World, **config: str) -> Iterator[None]:
    """A wrong setting of the broker, taken back afterwards: the session shares it."""
    world.alter(ResourceType.BROKER, "1", **config)
    try:
        yield
    finally:
        world.alter(ResourceType.BROKER, "1", **dict.fromkeys(config, ""))


@contextmanager
def stranger() -> Iterator[str]:
    """Something that takes connections and answers nothing."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(50)
        yield f"127.0.0.1:{listener.getsockname()[1]}"
