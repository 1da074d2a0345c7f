"""The newest snapshot of each line, loaded beside the rows: one thread for all pipelines.

A follower hears every snapshot and keeps the newest bytes of each line; the thread loads what is
newest then, so a line that goes out faster than it can be loaded is never behind. A snapshot that
can't be used changes nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from threading import Condition, Event, Thread

from driftloop.contracts import topics
from driftloop.contracts.model_pb2 import Snapshot as Message
from driftloop.kit.broker import Record
from driftloop.kit.errors import Malformed
from driftloop.kit.follow import Follower
from driftloop.kit.log import logger
from driftloop.kit.topic import Topic
from services.serving.domain import Snapshot
from services.serving.models import Load, Standing

Follow = Callable[
    [Topic[Message], Callable[[str | None, Message | None, Record], None]], Follower[Message]
]
Key = tuple[str, str]  # pipeline, line
log = logger(__name__)


class Lines:
    """`follow`: the kit's; `load`: bytes to a network."""

    def __init__(self, follow: Follow, load: Load) -> None:
        self.follow, self._load = follow, load
        self._followers: dict[str, tuple[int, Follower[Message]]] = {}
        self._standings: dict[str, Standing] = {}
        self._newest: dict[Key, Message] = {}
        self._changed = Condition()
        self._stop = Event()
        self._thread = Thread(target=self._run, name="lines", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        with self._changed:
            self._changed.notify()

    def open(self, standing: Standing) -> None:
        """Follow a pipeline's lines, where it has any."""
        plan = standing.plan
        self._standings[plan.pipeline] = standing
        standing.keep_lines(plan.lines)
        known = self._followers.get(plan.pipeline)
        if not plan.lines or (known is not None and known[0] == plan.generation):
            return
        self.close(plan.pipeline)
        self._standings[plan.pipeline] = standing
        follower = self.follow(topics.SNAPSHOTS.topic(plan.pipeline, plan.generation), self._heard)
        self._followers[plan.pipeline] = plan.generation, follower

    def close(self, pipeline: str) -> None:
        self._standings.pop(pipeline, None)
        known = self._followers.pop(pipeline, None)
        if known is not None:
            known[1].stop()

    def _heard(self, key: str | None, message: Message | None, record: Record) -> None:
        if message is None:
            return
        with self._changed:
            self._newest[message.pipeline, message.line] = message
            self._changed.notify()

    def _run(self) -> None:
        while not self._stop.is_set():
            with self._changed:
                self._changed.wait_for(lambda: self._newest or self._stop.is_set())
                newest, self._newest = self._newest, {}
            for message in newest.values():
                self._take(message)

    def _take(self, message: Message) -> None:
        standing = self._standings.get(message.pipeline)
        if standing is None or message.line not in standing.plan.lines:
            return
        plan = standing.plan
        classes = 0 if plan.kind == "regression" else plan.outputs
        try:
            if hashlib.sha256(message.model).hexdigest() != message.digest:
                raise Malformed("its bytes are not those of its digest", rule="corrupt_model")
            network = self._load(message.model, width=len(plan.features), classes=classes)
        except Malformed as error:
            standing.counts.add(f"line_{error.rule}")
            log.error("snapshot of line %s is of no use: %s", message.line, error)
            return
        standing.snapshot(message.line, Snapshot(message.digest, network, message.rows))
