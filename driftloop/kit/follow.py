"""A follower: one small topic of one partition, read from its start and for ever, by whoever needs
to know it all.

No group and no transaction: each process reads for itself, and nothing is committed. For control
topics such as `driftloop.pipelines` and `driftloop.model.released`, never for the data plane.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Generic

from driftloop.kit import events, message
from driftloop.kit.broker import Broker, Record
from driftloop.kit.errors import Malformed, Unavailable
from driftloop.kit.topic import M, Topic

log = logging.getLogger("driftloop.follow")

WAIT_S = 0.2  # how soon `stop` is seen
AGAIN_S = (0.1, 2.0)  # first and longest wait for a topic that isn't there, or a broker


class Follower(Generic[M]):
    """Begins at once, in a thread of its own, which also calls `on_message(key, message, record)`.

    A tombstone has no message. A malformed message, or one that `on_message` calls so, is logged,
    counted and passed over: anyone may write to a control topic. `caught_up` is set when all that
    was there at the start has been told. `stopping` ends it too, so that a process's followers end
    beside each other. `newest`: only what comes from now on.
    """

    def __init__(
        self,
        broker: Broker,
        topic: Topic[M],
        on_message: Callable[[str | None, M | None, Record], None],
        stopping: threading.Event | None = None,
        *,
        newest: bool = False,
    ) -> None:
        self._broker, self._topic, self._on_message = broker, topic, on_message
        self._newest = newest
        self._next = 0
        self._end: int | None = None
        self._stop, self._stopping = threading.Event(), stopping
        self.caught_up = threading.Event()
        self.malformed = 0
        self._thread = threading.Thread(target=self._run, name=f"follow-{topic.name}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread, unless it is the caller."""
        self._stop.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(5.0)

    def _ended(self) -> bool:
        return self._stop.is_set() or (self._stopping is not None and self._stopping.is_set())

    def _run(self) -> None:
        first_s, longest_s = AGAIN_S
        wait_s = first_s
        while not self._ended():
            try:
                self._follow()
            except Unavailable as error:
                log.debug("following %s: %s", self._topic.name, error)
                self._stop.wait(wait_s)
                wait_s = min(longest_s, 2 * wait_s)

    def _follow(self) -> None:
        """Raises Unavailable; goes on where it was."""
        name = self._topic.name
        if self._broker.partitions(name) is None:
            raise Unavailable(f"no topic {name} yet")
        first, end = self._broker.bounds(name, 0)
        self._next = max(self._next, first)
        if self._end is None:
            self._next, self._end = (end if self._newest else self._next), end
        if self._next < self._end:
            for record in self._broker.read(name, 0, self._next, self._end):
                self._tell(record)
                if self._ended():
                    return
            self._next = max(self._next, self._end)
        self.caught_up.set()
        for records in self._broker.tail(name, 0, self._next, WAIT_S):
            for record in records:
                self._tell(record)
            if self._ended():
                return

    def _tell(self, record: Record) -> None:
        self._next = record.offset + 1
        key = None if record.key is None else record.key.decode("utf-8", "replace")
        try:
            self._on_message(key, self._decoded(record), record)
        except Malformed as error:
            self.malformed += 1
            log.warning("%s[0]@%d is passed over: %s", record.topic, record.offset, error)

    def _decoded(self, record: Record) -> M | None:
        kind = self._topic.message
        if record.value is None or kind is None:
            return None
        if self._topic.declaration.format == "json":
            return events.read_event(record, kind).message
        return message.parse(kind, record)
