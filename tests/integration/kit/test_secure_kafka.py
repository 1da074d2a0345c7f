"""The kit on a broker that wants a password and speaks TLS: a transaction written and read; what a
client without the password, or with another authority, gets.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

import pytest
from confluent_kafka import KafkaError
from confluent_kafka.admin import AdminClient

from driftloop.kit.broker import Position, Subscription, TopicSpec
from driftloop.kit.config import read_common
from driftloop.kit.kafka import KafkaBroker
from driftloop.kit.topic import Emit
from infra.local import ports, secure
from infra.local.kafka import Kafka
from tests.support.eventually import eventually


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """The settings of a client, as they stand in an environment."""
    folder = tmp_path_factory.mktemp("secure")
    settings, client = secure.listener(folder, "127.0.0.1", ports.free(1)[0])
    with Kafka(folder / "kafka", brief=True, more=settings):
        names = {name: f"KAFKA_{name.upper().replace('.', '_')}" for name in client}
        names["bootstrap.servers"] = "KAFKA_BOOTSTRAP"
        yield {names[name]: value for name, value in client.items()}


def test_a_transaction_is_written_and_read_by_sasl_and_tls(client: Mapping[str, str]) -> None:
    with closing(KafkaBroker(read_common(client).kafka)) as broker:
        broker.create([TopicSpec("in", 1), TopicSpec("out", 1)])
        broker.append([Emit("in", b"value", partition=0)])
        session = broker.session(
            Subscription("readers", ("in",), "writer"),
            on_assigned=lambda parts: None,
            on_revoked=lambda parts: None,
        )
        with closing(session):
            (record,) = eventually(lambda: session.poll(10, 0.1), within_s=20)
            outputs = [Emit("out", b"answer", partition=0)]
            session.commit(outputs, {("in", 0): Position(record.offset + 1)})
        _, end = broker.bounds("out", 0)
        answers = [each.value for each in broker.read("out", 0, 0, end)]

    assert answers == [b"answer"]


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"KAFKA_SASL_PASSWORD": "guessed"}, KafkaError._AUTHENTICATION),
        ({"KAFKA_SSL_CA_LOCATION": ""}, KafkaError._SSL),
    ],
    ids=["another password", "an authority that is not trusted"],
)
def test_who_can_not_show_it_is_refused(
    client: Mapping[str, str], wrong: Mapping[str, str], code: int
) -> None:
    heard: list[KafkaError] = []
    common = read_common({**client, **wrong})
    settings: dict[str, Any] = {**common.kafka, "log_level": "0", "error_cb": heard.append}
    asking = AdminClient(settings)

    eventually(lambda: (asking.poll(0.1), heard)[1], within_s=20)

    assert heard[0].code() == code
