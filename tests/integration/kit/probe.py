"""A small service for the tests of kit.run: `python -m tests.integration.kit.probe`."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from driftloop.kit.broker import Broker, Subscription, TopicSpec
from driftloop.kit.config import Common, setting
from driftloop.kit.errors import Unavailable
from driftloop.kit.log import logger
from driftloop.kit.loop import LoopSpec
from driftloop.kit.memory import MemoryBroker
from driftloop.kit.run import App, Kit, run
from driftloop.kit.task import NOTHING, Assigned, Decision, Moment


@dataclass(frozen=True, slots=True)
class Config:
    """PROBE_STORY: what goes wrong."""

    story: str = setting("", why="crash, loop, hang or away; none: all is well")
    size: int = setting(1, at_least=1, why="something with a limit")


class Probe:
    """A task that does nothing, or fails."""

    def __init__(self, story: str) -> None:
        self.story = story

    def restore(self, assigned: Assigned) -> dict[tuple[str, int], int]:
        return {}

    def handle(self, records: Sequence[object], now: Moment) -> Decision:
        return NOTHING

    def tick(self, now: Moment) -> Decision:
        assert self.story != "loop", "a bug in a task"
        return NOTHING

    def committed(self, now: Moment) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""


def build(config: Config, kit: Kit) -> App:
    tries = iter(range(10))

    def start() -> None:
        kit.broker.create([TopicSpec("t", 1)])
        if config.story == "away" and next(tries) < 1:
            raise Unavailable("not yet")
        if config.story == "crash":
            kit.background("bug", bug)

    def stop() -> None:
        if config.story == "hang":
            threading.Event().wait()

    subscription = Subscription("g", ["t"], kit.transactional_id("probe", "p.g1"))

    spec = LoopSpec("probe-p", "p", subscription, lambda: Probe(config.story), tick_s=0.05)
    return App(start=start, stop=stop, loops=[spec])


def bug(stop: threading.Event) -> None:
    assert stop.is_set(), "a bug in a thread"


def farewell(kit: Kit) -> None:
    logger("probe").info("good-bye of %s", kit.replica)


def memory(common: Common) -> Broker:
    return MemoryBroker()


if __name__ == "__main__":
    real = os.environ.get("REAL_BROKER")
    sys.exit(run("probe", Config, build, farewell=farewell, broker=None if real else memory))
