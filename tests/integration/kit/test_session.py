"""What a session does with its producer when a commit fails, or its partitions are lost: on a real
Kafka, beside the laws that hold for every broker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import cast

import pytest
from confluent_kafka import Producer, TopicPartition

from driftloop.kit.errors import Unavailable
from driftloop.kit.kafka import KafkaBroker
from driftloop.kit.kafka.aside import Hung
from driftloop.kit.kafka.session import KafkaSession
from tests.contract.test_broker_laws import IN, OUT, TOPICS, Member, at, messages, values
from tests.support.kafka import SharedKafka


@pytest.fixture
def broker(kafka: SharedKafka, prefix: str) -> Iterator[KafkaBroker]:
    broker = KafkaBroker(kafka.properties, prefix)
    broker.create(TOPICS)
    yield broker
    broker.close()


def in_transaction(kafka: SharedKafka, name: str) -> Producer:
    """Another producer of a transactional id."""
    producer = Producer({**kafka.properties, "transactional.id": name})
    producer.init_transactions(10)
    producer.begin_transaction()
    return producer


def test_a_message_that_could_not_be_handed_over_leaves_no_transaction_open(
    broker: KafkaBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Readers would wait for its end, which the broker brings about after 5 to 6 s."""
    broker.append(messages("a"))
    with Member(broker) as member:
        member.take(1)
        member.session.commit(messages("first", topic=OUT), at(1))  # OUT's partitions are known
        aside, asked = cast(KafkaSession, member.session)._aside, list[str]()
        call = aside.call

        def told(work: Callable[[], None], within_s: float, what: str) -> None:
            asked.append(what)
            call(work, within_s, what)

        monkeypatch.setattr(aside, "call", told)
        wrong = messages("x", topic=OUT, partition=99)
        with pytest.raises(Unavailable):
            member.session.commit([*messages("lost", topic=OUT), *wrong], {})
        assert asked == ["abort"]
        broker.append(messages("next", topic=OUT))
        assert values(broker, OUT) == [b"first", b"next"]


def test_a_client_that_hangs_in_its_commit_is_not_asked_to_abort(
    broker: KafkaBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker.append(messages("a"))
    with Member(broker) as member:
        member.take(1)
        asked: list[str] = []

        def hung(work: Callable[[], None], within_s: float, what: str) -> None:
            asked.append(what)
            raise Hung(what)

        monkeypatch.setattr(cast(KafkaSession, member.session)._aside, "call", hung)
        with pytest.raises(Unavailable):
            member.session.commit(messages("out", topic=OUT), at(1))
    assert asked == ["commit"]


def test_who_lost_a_partition_and_has_it_again_writes_by_a_new_producer(
    broker: KafkaBroker, kafka: SharedKafka
) -> None:
    """Who held it meanwhile fenced the old one, and left a transaction open."""
    broker.append(messages("a"))
    with Member(broker, IN) as member:
        member.take(1)
        session = cast(KafkaSession, member.session)
        held = [TopicPartition(broker.names.outer(t), n) for t, n in member.assigned or ()]
        meanwhile = in_transaction(kafka, broker.names.outer("writer-one-0"))
        meanwhile.produce(broker.names.outer(OUT), "not committed", partition=0)
        meanwhile.flush(5)
        session._lost(session._consumer, held)
        session._assigned(session._consumer, held)
        session.commit(messages("out", topic=OUT), at(1))
    assert values(broker, OUT) == [b"out"]
