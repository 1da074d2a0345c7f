"""Names of members: replicas that were given the same one share the work as any others do, and who
takes a partition over ends what its former holder left open.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from confluent_kafka import KafkaException, Producer

from driftloop.kit.broker import Broker
from driftloop.kit.kafka import KafkaBroker
from driftloop.kit.memory import MemoryBroker
from tests.contract.test_broker_laws import (
    LEASE,
    OUT,
    TOPICS,
    Member,
    at,
    messages,
    values,
)
from tests.support.eventually import eventually
from tests.support.kafka import SharedKafka


@pytest.fixture
def real(kafka: SharedKafka, prefix: str) -> Iterator[KafkaBroker]:
    broker = KafkaBroker(kafka.properties, prefix)
    broker.create(TOPICS)
    yield broker
    broker.close()


@pytest.fixture(params=["memory", "kafka"])
def broker(request: pytest.FixtureRequest) -> Broker:
    if request.param == "kafka":
        found: Broker = request.getfixturevalue("real")
        return found
    memory = MemoryBroker()
    memory.create(TOPICS)
    return memory


def test_members_of_one_name_share_the_work_and_fence_nobody(broker: Broker) -> None:
    with Member(broker) as one, Member(broker) as twin:
        eventually(
            lambda: (
                one.poll(),
                twin.poll(),
                len(one.assigned or ()) == 1 == len(twin.assigned or ()),
            )[2],
            15,
        )
        for number in range(4):
            member = (one, twin)[number % 2]
            member.session.commit(messages(f"{number}", topic=OUT), {})
    assert values(broker, OUT) == [b"0", b"1", b"2", b"3"]


def test_a_member_of_the_same_name_without_partitions_fences_nobody(
    broker: Broker,
) -> None:
    with Member(broker, LEASE) as one, Member(broker, LEASE) as twin:
        eventually(lambda: (one.poll(), twin.poll(), one.assigned or twin.assigned)[2], 15)
        eventually(lambda: (one.poll(), twin.poll(), [] in (one.assigned, twin.assigned))[2], 15)
        holder = one if one.assigned else twin
        holder.session.commit(messages("kept", topic=OUT), {})
    assert values(broker, OUT) == [b"kept"]


def test_who_takes_a_partition_over_fences_who_held_it_and_ends_its_transaction(
    real: KafkaBroker, kafka: SharedKafka
) -> None:
    real.append(messages("a"))
    zombie = opened(real, kafka, "writer-one-0")  # as a process that stands still holds it
    zombie.produce(real.names.outer(OUT), b"late", partition=0)
    with Member(real) as member:
        member.take(1)
        member.session.commit(messages("out", topic=OUT), at(1))
        with pytest.raises(KafkaException):
            zombie.commit_transaction(5)
    assert values(real, OUT) == [b"out"]


def opened(broker: KafkaBroker, kafka: SharedKafka, name: str) -> Producer:
    """A producer in a transaction."""
    producer = Producer({**kafka.properties, "transactional.id": broker.names.outer(name)})
    producer.init_transactions(10)
    producer.begin_transaction()
    return producer
