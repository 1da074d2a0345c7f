"""The page's ears: a thread a topic, each telling the state what was appended. A broker that goes
away is said, waited for and taken up again; a log that is another one begins everything anew.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any

from driftloop.contracts import topics
from driftloop.contracts.model_pb2 import RegistryEvent
from driftloop.contracts.pulse_pb2 import Live, Pulse
from driftloop.contracts.retrain_pb2 import Statistics
from driftloop.kit.broker import Broker, Record
from driftloop.kit.errors import Malformed, Unavailable
from driftloop.kit.events import read_event
from driftloop.kit.message import parse
from driftloop.kit.topic import ControlTopic
from driftloop.web.state import State

log = logging.getLogger("driftloop.web.feed")

WAIT_S = 0.5  # how soon `stop` is seen
AGAIN_S = (0.2, 3.0)  # first and longest wait for a topic that isn't there, or a broker
CHECK_S = 3.0  # between two looks whether the broker is there and the log still the same
NEWEST = 600  # of pulses: seven services, once a second, some 80 s; older ones tell nothing
CONTROL: tuple[ControlTopic[Any], ...] = (
    topics.DRIFT_DETECTED,
    topics.RETRAIN_REQUESTED,
    topics.RETRAIN_RESOLVED,
    topics.MODEL_TRAINED,
    topics.MODEL_EVALUATED,
    topics.MODEL_RELEASED,
    topics.SERVING_ACKNOWLEDGED,
)


class Reader:
    """One partition of one topic, from its start (or its `newest` records) and for ever."""

    def __init__(
        self, broker: Broker, topic: str, tell: Callable[[Record], None], newest: int | None = None
    ) -> None:
        self.topic = topic
        self._broker, self._tell, self._newest = broker, tell, newest
        self._next: int | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"web-{topic}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ask it to end; `join` waits until it has."""
        self._stop.set()

    def join(self) -> None:
        self._thread.join(2 * WAIT_S + AGAIN_S[1])

    def behind(self, end: int) -> bool:
        """True where the log ends before what was read: it is another log."""
        return self._next is not None and end < self._next

    def _run(self) -> None:
        wait_s = AGAIN_S[0]
        while not self._stop.is_set():
            try:
                if self._broker.partitions(self.topic) is not None:
                    self._follow()
            except Unavailable as error:
                log.debug("%s: %s", self.topic, error)
            self._stop.wait(wait_s)
            wait_s = min(AGAIN_S[1], 2 * wait_s)

    def _follow(self) -> None:
        """Raises Unavailable; goes on where it was."""
        if self._next is None:
            first, end = self._broker.bounds(self.topic, 0)
            self._next = first if self._newest is None else max(first, end - self._newest)
        for records in self._broker.tail(self.topic, 0, self._next, WAIT_S):
            for record in records:
                self._take(record)
            if self._stop.is_set():
                return

    def _take(self, record: Record) -> None:
        self._next = record.offset + 1
        if record.value is None:
            return
        try:
            self._tell(record)
        except Malformed as error:  # anyone may write there; the services answer and count it
            log.debug("%s@%d is passed over: %s", record.topic, record.offset, error)


class Feed:
    """A context: all topics into `state`; pipelines are followed as they are declared."""

    def __init__(self, broker: Broker, state: State, where: str, check_s: float = CHECK_S) -> None:
        """`where`: the broker's address, for people."""
        self._broker, self._state, self._where = broker, state, where
        self._check_s = check_s
        self._lock = threading.Lock()
        self._readers: dict[str, Reader] = {}
        self._stop = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="web-watch", daemon=True)

    def __enter__(self) -> Feed:
        self._begin()
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._watcher.join(AGAIN_S[1])
        self._end()

    def _begin(self) -> None:
        self._read(topics.REGISTRY_EVENTS.topic().name, self._on_fact)
        for topic in CONTROL:
            self._read(topic.topic().name, self._teller(topic))
        self._read(topics.LIVE.topic().name, self._on_live, NEWEST)
        self._read(topics.PULSE.topic().name, self._on_pulse, NEWEST)

    def _end(self) -> None:
        with self._lock:
            readers, self._readers = list(self._readers.values()), {}
        for reader in readers:
            reader.stop()
        for reader in readers:
            reader.join()

    def _read(self, topic: str, tell: Callable[[Record], None], newest: int | None = None) -> None:
        with self._lock:
            if topic not in self._readers and not self._stop.is_set():
                self._readers[topic] = Reader(self._broker, topic, tell, newest)

    def _on_fact(self, record: Record) -> None:
        event = read_event(record, RegistryEvent)
        self._state.on_fact(event)
        name = event.message.declared.name
        if name:
            self._read(topics.STATISTICS.topic(name).name, self._statistics(name))

    def _teller(self, topic: ControlTopic[Any]) -> Callable[[Record], None]:
        kind = topic.message
        assert kind is not None, topic
        return lambda record: self._state.on_event(read_event(record, kind))

    def _statistics(self, pipeline: str) -> Callable[[Record], None]:
        def tell(record: Record) -> None:
            message = parse(Statistics, record)
            self._state.on_statistics(pipeline, message, record.timestamp_ms)

        return tell

    def _on_live(self, record: Record) -> None:
        self._state.on_live(read_event(record, Live).message)

    def _on_pulse(self, record: Record) -> None:
        self._state.on_pulse(read_event(record, Pulse).message)

    def _watch(self) -> None:
        """The consumers wait for a lost broker in silence; so it is asked."""
        while not self._stop.wait(self._check_s):
            try:
                replaced = self._replaced()
            except Unavailable:
                self._state.trouble("broker", f"no broker answers at {self._where}")
                continue
            self._state.trouble("broker", "")
            if replaced:
                log.warning("the log at %s is another one; reading it anew", self._where)
                self._end()
                self._state.forget()
                self._begin()

    def _replaced(self) -> bool:
        """Raises Unavailable. A topic that is gone, or ends before what was read of it."""
        return any(self._shorter(reader) for reader in self._watched())

    def _watched(self) -> Sequence[Reader]:
        name = topics.REGISTRY_EVENTS.topic().name
        with self._lock:
            return [reader for topic, reader in self._readers.items() if topic == name]

    def _shorter(self, reader: Reader) -> bool:
        if self._broker.partitions(reader.topic) is None:
            return reader.behind(0)
        return reader.behind(self._broker.bounds(reader.topic, 0)[1])
