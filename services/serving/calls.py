"""The journal of calls: answers by gRPC go to `predictions` too, by a bounded queue and a producer
of its own.

A call never waits for the broker: what does not fit is dropped and counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from queue import Empty, Full, Queue
from threading import Event, Thread

import numpy as np
import pyarrow as pa

from driftloop.contracts import topics
from driftloop.kit import envelope
from driftloop.kit.broker import Broker
from driftloop.kit.errors import Malformed, Unavailable
from driftloop.kit.log import logger
from driftloop.kit.topic import Emit, emit
from services.serving import codec
from services.serving.domain import Answer, Answering, Floats
from services.serving.meter import Meter
from services.serving.models import Standing

CALLS_A_SEND_MAX = 100  # one acknowledgement of the broker, 3 ms, for many calls
LOOK_SECONDS = 0.2  # how soon the thread sees its stop
log = logger(__name__)


@dataclass(frozen=True, slots=True)
class Call:
    """One answered call."""

    standing: Standing
    answering: Answering
    answer: Answer
    ids: Sequence[str]
    vectors: Floats
    at_ms: int


class Journal:
    """Writes calls down in a thread of its own."""

    def __init__(self, broker: Broker, meter: Meter, *, calls_max: int) -> None:
        self._broker, self._meter = broker, meter
        self._queue: Queue[Call] = Queue(calls_max)
        self._stop = Event()
        self._thread = Thread(target=self._run, name="calls", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """What is queued is still written."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5.0)

    def waiting(self) -> int:
        """Calls that are not written down yet."""
        return self._queue.qsize()

    def add(self, call: Call) -> None:
        call.standing.counts.add("calls", len(call.ids))
        try:
            self._queue.put_nowait(call)
        except Full:
            self._drop(call)

    def _run(self) -> None:
        while True:
            calls = self._taken()
            if calls:
                self._write(calls)
            elif self._stop.is_set():
                return

    def _taken(self) -> list[Call]:
        """What is there, after waiting for the first."""
        calls: list[Call] = []
        try:
            calls.append(self._queue.get(timeout=LOOK_SECONDS))
            while len(calls) < CALLS_A_SEND_MAX:
                calls.append(self._queue.get_nowait())
        except Empty:
            return calls
        return calls

    def _write(self, calls: Sequence[Call]) -> None:
        try:
            self._broker.append([emit for call in calls for emit in _emits(call)])
        except (Malformed, Unavailable) as error:  # too large for the topic, or no broker
            log.warning("%d calls not written down: %s", len(calls), error)
            for call in calls:
                self._drop(call)

    def _drop(self, call: Call) -> None:
        call.standing.counts.add("calls_dropped", len(call.ids))
        self._meter.dropped(call.standing.plan.pipeline, len(call.ids))


def _emits(call: Call) -> list[Emit]:
    plan = call.standing.plan
    rows = codec.call_rows(call.ids, call.vectors, plan, call.at_ms * 1000)
    partitions = envelope.partition_rows(pa.array(call.ids, pa.string()), plan.partitions)
    topic = topics.PREDICTIONS.topic(plan.pipeline, plan.generation)
    emits = []
    for partition in np.unique(partitions).tolist():
        chosen = np.flatnonzero(partitions == partition)
        taken, answer = codec.take(rows, partition, chosen), codec.chosen(call.answer, chosen)
        for piece, part in codec.pieces(taken, answer, rows.head):
            message = codec.predictions(
                piece, call.answering, part, origin=codec.CALL, scored_at_us=call.at_ms * 1000
            )
            emits.append(emit(topic, message, partition=partition))
    return emits
