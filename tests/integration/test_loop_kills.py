"""Exactly once under kill -9: a stateful task in two processes on a real Kafka.

It is the worker too: `python -m tests.integration.test_loop_kills BOOTSTRAP NAMESPACE`.
"""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial

from driftloop.kit import state
from driftloop.kit.broker import Broker, Partition, Record, Subscription, TopicSpec
from driftloop.kit.clock import SystemClock
from driftloop.kit.kafka import KafkaBroker
from driftloop.kit.loop import Loop, LoopSpec
from driftloop.kit.task import NOTHING, Assigned, Decision, Moment
from driftloop.kit.topic import Emit
from tests.support.eventually import eventually
from tests.support.kafka import SharedKafka

IN, OUT, PARTITIONS = "kills.in", "kills.out", 2
ROWS, KEYS, KILLS = 8_000, 50, 3  # by 40 a transaction, some 4 s of work: each kill falls into it


class CountTask:
    """How often each key has come, row by row: any row lost or doubled shows in all that follow."""

    def restore(self, assigned: Assigned) -> Mapping[Partition, int]:
        self._counts: Counter[tuple[int, bytes]] = Counter()
        for partition in assigned.partitions:
            if state.noted(assigned, partition):
                for records in state.reread(
                    assigned, partition, state.noted(assigned, partition)["from"]
                ):
                    self._count(records)
        return {}

    def handle(self, records: Sequence[Record], now: Moment) -> Decision:
        emits = [
            Emit(OUT, text, partition=r.partition)
            for r, text in zip(records, self._count(records), strict=True)
        ]
        notes = {(record.topic, record.partition): state.note(**{"from": 0}) for record in records}
        return Decision(emits, notes=notes, rows_in=len(records), rows_out=len(emits))

    def tick(self, now: Moment) -> Decision:
        return NOTHING

    def committed(self, now: Moment) -> None:
        """Nothing waits for it."""

    def close(self) -> None:
        """Nothing to end."""

    def _count(self, records: Sequence[Record]) -> list[bytes]:
        texts = []
        for record in records:
            key = record.partition, record.key or b""
            self._counts[key] += 1
            texts.append(b"%s:%d" % (key[1], self._counts[key]))
        return texts


def test_workers_killed_while_they_work_lose_and_double_nothing(
    kafka: SharedKafka, prefix: str
) -> None:
    broker = KafkaBroker(kafka.properties, prefix)
    broker.create([TopicSpec(IN, PARTITIONS), TopicSpec(OUT, PARTITIONS)])
    rows = [Emit(IN, b"", b"k%d" % (n % KEYS), n % PARTITIONS) for n in range(ROWS)]
    broker.append(rows)

    with ExitStack() as ends:
        workers = [ends.enter_context(a_worker(kafka, prefix)) for _ in range(2)]
        for kill in range(KILLS):
            wanted = (kill + 1) * ROWS // 6
            eventually(partial(reached, broker, wanted), 30)
            victim = workers[kill % 2]
            victim.kill()
            victim.wait()
            assert progress(broker) < ROWS, "killed after the work: make ROWS larger"
            workers[kill % 2] = ends.enter_context(a_worker(kafka, prefix))
        eventually(lambda: progress(broker) >= ROWS, 40)
        found = eventually(
            lambda: (out := outputs(broker), sum(map(len, out)) >= ROWS)[1] and out, 20, 0.3
        )

    assert found == expected(rows)
    broker.close()


@contextmanager
def a_worker(kafka: SharedKafka, prefix: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [
        sys.executable,
        "-m",
        "tests.integration.test_loop_kills",
        kafka.bootstrap,
        prefix,
    ]
    worker = subprocess.Popen(command)
    try:
        yield worker
    finally:
        worker.terminate()
        worker.wait(20)


def reached(broker: KafkaBroker, wanted: int) -> bool:
    return progress(broker) > wanted


def progress(broker: Broker) -> int:
    """Offsets written, markers and aborted ones too: a little more than rows."""
    return sum(broker.bounds(OUT, number)[1] for number in range(PARTITIONS))


def outputs(broker: Broker) -> list[list[bytes | None]]:
    return [
        [r.value for r in broker.read(OUT, n, *broker.bounds(OUT, n))] for n in range(PARTITIONS)
    ]


def expected(rows: Sequence[Emit]) -> list[list[bytes]]:
    """What one process that is never killed writes."""
    texts: list[list[bytes]] = [[] for _ in range(PARTITIONS)]
    counts: Counter[tuple[int, bytes]] = Counter()
    for row in rows:
        key = row.partition or 0, row.key or b""
        counts[key] += 1
        texts[key[0]].append(b"%s:%d" % (key[1], counts[key]))
    return texts


def main(bootstrap: str, namespace: str) -> None:
    logging.basicConfig(level=logging.WARNING)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    broker = KafkaBroker({"bootstrap.servers": bootstrap}, namespace)
    # both of one name, as replicas that were given the same slot are
    subscription = Subscription("counters", [IN], "counter")
    Loop(
        LoopSpec("count", "kills", subscription, CountTask, records_max=40), broker, SystemClock()
    ).run(stop)


if __name__ == "__main__":
    main(*sys.argv[1:])
