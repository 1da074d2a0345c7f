"""Pulses in a log: who was there, who said good-bye, and what time it is at the broker."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from driftloop.client import pulses
from driftloop.client.calls import Calls
from driftloop.client.looking import Looking
from driftloop.client.problems import status
from driftloop.contracts import topics
from driftloop.contracts.pulse_pb2 import Pulse
from driftloop.kit.broker import TopicSpec
from driftloop.kit.clock import FakeClock, SystemClock
from driftloop.kit.config import read_common
from driftloop.kit.errors import Unavailable
from driftloop.kit.memory import MemoryBroker
from driftloop.kit.rpc import channel
from tests.unit.client.world import a_log, said

NOW, MINUTE = 1_700_000_000_000, 60_000


class Log:
    """A log in memory, and its clock."""

    def __init__(self, begins_ms: int = NOW) -> None:
        self.clock = FakeClock(begins_ms)
        self.broker = MemoryBroker(self.clock)
        self.broker.create([TopicSpec(topics.PULSE.topic().name, 1)])

    def pulse(self, replica: str, **more: Any) -> None:
        now_ms = self.clock.ms()
        message = Pulse(service="serving", replica=replica, at_ms=now_ms, **more)
        self.broker.append([said(topics.PULSE, message, f"{replica}-{now_ms}", key=replica)])

    def run(self, seconds: int, *replicas: str) -> None:
        """Each pulses every second."""
        for _ in range(seconds):
            for replica in replicas:
                self.pulse(replica)
            self.clock.sleep(1)


@pytest.fixture
def log() -> Log:
    """Nine minutes: `stopped` and `killed` are there in the first seven."""
    log = Log()
    log.run(420, "lives", "stopped", "killed")
    log.pulse("stopped", ended=True)
    log.run(120, "lives")
    return log


def test_the_last_minute_is_the_one_before_the_newest_pulse_whenever_that_was(log: Log) -> None:
    log.clock.sleep(1_200)

    found = pulses.lately(log.broker)

    assert {one.message.replica for one in found} == {"lives"}
    assert found[-1].time_ms - found[0].time_ms == MINUTE


def test_of_who_was_there_before_the_last_words_are_found(log: Log) -> None:
    recent = pulses.lately(log.broker)
    before = pulses.earlier(log.broker, recent)
    assert {one.message.replica for one in before} == {"lives", "stopped", "killed"}

    last = {one.message.replica: one for one in pulses.last_words(log.broker, before, recent)}

    assert {name: one.message.ended for name, one in last.items()} == {
        "stopped": True,
        "killed": False,
    }
    assert last["killed"].time_ms == NOW + 419_000


def test_without_pulses_nothing_is_found() -> None:
    log = Log()

    assert list(pulses.lately(log.broker)) == []
    assert list(pulses.earlier(log.broker, [])) == []
    assert list(pulses.lately(MemoryBroker())) == []


@pytest.mark.parametrize("off_ms", [-300_000, -9_000, 9_000, 300_000])
def test_the_next_pulse_tells_how_wrong_this_machine_s_clock_is(log: Log, off_ms: int) -> None:
    here = FakeClock(log.clock.ms() + off_ms)
    soon = threading.Timer(0.05, log.pulse, ["lives"])
    soon.start()

    found = pulses.skew_ms(log.broker, here, pulses.lately(log.broker)[-1].time_ms)

    soon.join()
    assert found == off_ms


def test_without_a_next_pulse_a_clock_can_only_be_seen_to_be_behind(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulses, "WATCH_S", 0.05)
    newest_ms = pulses.lately(log.broker)[-1].time_ms

    behind, ahead = FakeClock(newest_ms - 60_000), FakeClock(newest_ms + 60_000)
    right = FakeClock(newest_ms + 1_500)

    assert pulses.skew_ms(log.broker, behind, newest_ms) == -60_000
    assert pulses.skew_ms(log.broker, ahead, newest_ms) == 0  # all may have died a minute ago
    assert pulses.skew_ms(log.broker, right, newest_ms) == 0


@pytest.mark.parametrize("off_ms", [-300_000, 300_000])
def test_a_look_by_a_wrong_clock_tells_ages_by_the_broker_s(off_ms: int) -> None:
    broker, common = a_log(), read_common({})
    here = Moving(FakeClock().ms() + off_ms)
    pulse = Pulse(service="serving", replica="serving-0", at_ms=FakeClock().ms())

    def append() -> None:
        broker.append([said(topics.PULSE, pulse, "p", key="serving-0")])

    append()
    soon = threading.Timer(0.4, append)
    soon.start()
    found = status(Looking(lambda: broker, Calls(common, channel), here, 5.0).facts())

    soon.join()
    serving = next(one for one in found["services"] if one["service"] == "serving")
    assert serving["running"] == 1
    assert (found["at_ms"], found["skew_ms"]) == (FakeClock().ms(), off_ms)


class Closed(MemoryBroker):
    """One of its topics is not for us."""

    closed = topics.RUN_FINISHED.topic().name

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        if topic == self.closed:
            raise Unavailable("not authorised")
        return super().bounds(topic, partition)


class Slow(Closed):
    """One of its topics does not answer."""

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        if topic == self.closed:
            threading.Event().wait(2.0)
        return super().bounds(topic, partition)


@pytest.mark.parametrize(
    ("kind", "why"),
    [(Closed, "can't be read: not authorised"), (Slow, "was not read in time")],
)
def test_a_look_says_which_topic_was_not_read_and_why(kind: type[Closed], why: str) -> None:
    broker, common = kind(FakeClock()), read_common({})
    broker.create([TopicSpec(topic.topic().name, 1) for topic in topics.CONTROL])
    clock = SystemClock()

    facts = Looking(lambda: broker, Calls(common, channel), clock, 0.5).facts()

    assert [(a.what, a.topic, said) for a, said in facts.unread.items() if a.what != "clock"] == [
        ("finished", Closed.closed, why)
    ]


class Moving(FakeClock):
    """Wall time stands still; what is waited for is real."""

    def seconds(self) -> float:
        return 0.0
