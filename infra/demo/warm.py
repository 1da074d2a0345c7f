"""Warm the broker before the clock starts: its JIT takes half a core for its first 15 s, and the
first 60 days would be slow.

Throw-away transactions on a topic of their own, of the shape that the loops have.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

TOPIC = "driftloop-demo-warm-up"
PARTITIONS = 8
SECONDS = 8.0


def warm(kafka: Mapping[str, str], seconds: float = SECONDS) -> int:
    """Run transactions for `seconds`; gives back how many. `kafka`: librdkafka's properties."""
    admin = AdminClient(dict(kafka))
    admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1)])[TOPIC].result(30)
    producer = Producer({**kafka, "transactional.id": TOPIC, "linger.ms": 0})
    consumer = Consumer(
        {
            **kafka,
            "group.id": TOPIC,
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 20,
        }
    )
    consumer.assign([TopicPartition(TOPIC, partition, 0) for partition in range(PARTITIONS)])
    try:
        return _transactions(producer, consumer, time.monotonic() + seconds)
    finally:
        consumer.close()
        admin.delete_topics([TOPIC])[TOPIC].result(30)


def _transactions(producer: Producer, consumer: Consumer, until: float) -> int:
    producer.init_transactions(30)
    count = 0
    while time.monotonic() < until:
        producer.begin_transaction()
        for partition in range(PARTITIONS):
            producer.produce(TOPIC, b"x" * 2_000, partition=partition)
        producer.send_offsets_to_transaction(
            [TopicPartition(TOPIC, partition, count) for partition in range(PARTITIONS)],
            consumer.consumer_group_metadata(),
        )
        producer.commit_transaction(30)
        consumer.consume(500, 0)
        count += 1
    return count
