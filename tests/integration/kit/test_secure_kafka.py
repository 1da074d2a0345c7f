"""The kit on a broker that wants a password and speaks TLS: a transaction written and read; what a
client without the password, or with another authority, gets; what an admin says of topics that it
may not see.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

import pytest
from confluent_kafka import KafkaError
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # re-exported without saying so
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from driftloop.kit.admin import TopicState
from driftloop.kit.broker import Position, Subscription, TopicSpec
from driftloop.kit.config import read_common
from driftloop.kit.kafka import KafkaBroker
from driftloop.kit.kafka.admin import KafkaAdmin
from driftloop.kit.topic import Emit
from infra.local import ports, secure
from infra.local.kafka import Kafka
from tests.support.eventually import eventually

# who comes by the plain listener may do all, who comes by the secure one what no rule forbids
RULES = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users": "User:ANONYMOUS",
    "allow.everyone.if.no.acl.found": "true",
}


@pytest.fixture(scope="module")
def servers(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[str, Mapping[str, str]]]:
    """The plain address, and the settings of a client as they stand in an environment."""
    folder = tmp_path_factory.mktemp("secure")
    settings, client = secure.listener(folder, "127.0.0.1", ports.free(1)[0])
    with Kafka(folder / "kafka", brief=True, more={**settings, **RULES}) as kafka:
        names = {name: f"KAFKA_{name.upper().replace('.', '_')}" for name in client}
        names["bootstrap.servers"] = "KAFKA_BOOTSTRAP"
        yield kafka.bootstrap, {names[name]: value for name, value in client.items()}


@pytest.fixture
def client(servers: tuple[str, Mapping[str, str]]) -> Mapping[str, str]:
    return servers[1]


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


def test_a_topic_that_we_may_not_see_is_told_from_one_that_is_not_there(
    servers: tuple[str, Mapping[str, str]],
) -> None:
    plain, client = servers
    with closing(KafkaBroker({"bootstrap.servers": plain})) as broker:
        broker.create([TopicSpec(name, 1) for name in ("seen", "hidden", "shut")])
    rule(plain, "hidden", AclPermissionType.DENY)
    rule(plain, "shut", AclPermissionType.ALLOW)  # and so nothing else, its settings least of all

    with closing(KafkaAdmin(read_common(client).kafka)) as admin:

        def told() -> Mapping[str, TopicState | None]:
            found = admin.topics(["seen", "hidden", "shut", "absent"])
            assert found.get("hidden", "absent") is None  # a rule takes a moment to hold
            return found

        found = eventually(told, within_s=20)

    seen, shut = found["seen"], found["shut"]
    assert set(found) == {"seen", "hidden", "shut"}
    assert seen is not None and seen.config["retention.ms"]
    assert shut is not None and (shut.partitions, shut.config) == (1, {})


def rule(bootstrap: str, topic: str, permission: AclPermissionType) -> None:
    """Whether it may be seen."""
    made = AclBinding(
        ResourceType.TOPIC,
        topic,
        ResourcePatternType.LITERAL,
        f"User:{secure.USER}",
        "*",
        AclOperation.DESCRIBE,
        permission,
    )
    admin = AdminClient({"bootstrap.servers": bootstrap})  # its answers die with it
    admin.create_acls([made])[made].result(20)
