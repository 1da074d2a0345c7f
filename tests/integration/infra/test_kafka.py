"""The broker from wheels starts, keeps its data, and when it can't start says why in words."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path
from typing import NamedTuple

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from driftloop.kit.errors import Refused, Unavailable
from infra.local import kafka as local
from infra.local.kafka import Kafka
from tests.support.kafka import SharedKafka


def test_a_broker_from_wheels_takes_records(kafka: SharedKafka, prefix: str) -> None:
    admin = AdminClient(dict(kafka.properties))
    admin.create_topics([NewTopic(prefix, 1, 1)])[prefix].result(10)
    producer = Producer({**kafka.properties, "acks": "all"})

    producer.produce(prefix, b"hello")

    assert producer.flush(10) == 0


def test_a_second_start_finds_the_topics_of_the_first(tmp_path: Path) -> None:
    with Kafka(tmp_path, heap_mb=256) as first:
        admin = AdminClient({"bootstrap.servers": first.bootstrap})
        admin.create_topics([NewTopic("kept", 1, 1)])["kept"].result(10)

    with Kafka(tmp_path, heap_mb=256) as second:
        topics = AdminClient({"bootstrap.servers": second.bootstrap}).list_topics(timeout=10).topics

    assert "kept" in topics


def test_a_port_in_use_is_refused_with_the_mend(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]

        with pytest.raises(Refused, match=rf"port {port} is in use: .*make stop.*KAFKA_BOOTSTRAP"):
            Kafka(tmp_path, port=port).start()


def test_too_little_space_is_refused_with_the_mend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage(NamedTuple):
        free: int

    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(5_000_000))

    with pytest.raises(Refused, match="5 MB free; Kafka needs 1000 MB: make room"):
        Kafka(tmp_path).start()


def test_a_broker_that_ends_at_once_shows_the_end_of_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(local.SETTINGS, "num.io.threads", "none")

    with pytest.raises(Unavailable, match=r"num\.io\.threads"):
        Kafka(tmp_path).start()
