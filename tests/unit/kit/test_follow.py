"""Followers: everything from the start, then what comes; bad messages pass by."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from driftloop.contracts import topics
from driftloop.contracts.model_pb2 import PipelineDeclared
from driftloop.kit.broker import Record, TopicSpec
from driftloop.kit.errors import Malformed
from driftloop.kit.events import event
from driftloop.kit.follow import Follower
from driftloop.kit.memory import MemoryBroker
from driftloop.kit.topic import Emit
from tests.support.eventually import eventually

TOPIC = topics.PIPELINES.topic()


def declared(name: str) -> Emit:
    return event(TOPIC, PipelineDeclared(name=name), id=name, source="/test", time_ms=1, key=name)


@contextmanager
def following(
    broker: MemoryBroker, tell: Callable[[str | None, Any, Record], None]
) -> Iterator[Follower[Any]]:
    follower = Follower(broker, TOPIC, tell)
    try:
        yield follower
    finally:
        follower.stop()


def a_broker(*emits: Emit) -> MemoryBroker:
    broker = MemoryBroker()
    broker.create([TopicSpec(TOPIC.name, 1)])
    broker.append(emits)
    return broker


def test_what_was_there_is_told_before_it_has_caught_up_and_then_what_comes() -> None:
    heard: list[tuple[str | None, str | None]] = []
    broker = a_broker(declared("sea"), declared("flights"))
    with following(broker, lambda key, m, _: heard.append((key, m and m.name))) as follower:
        assert follower.caught_up.wait(5)
        assert heard == [("sea", "sea"), ("flights", "flights")]
        broker.append([Emit(TOPIC.name, None, b"sea")])
        eventually(lambda: heard[2:] == [("sea", None)])


def test_a_topic_may_be_made_later() -> None:
    heard: list[str | None] = []
    broker = MemoryBroker()
    with following(broker, lambda key, _, __: heard.append(key)) as follower:
        broker.create([TopicSpec(TOPIC.name, 1)])
        broker.append([declared("sea")])
        assert follower.caught_up.wait(5)
        eventually(lambda: heard == ["sea"])


def test_malformed_messages_are_counted_and_passed_over() -> None:
    heard: list[str | None] = []

    def tell(key: str | None, _message: Any, _record: Record) -> None:
        if key == "odd":
            raise Malformed("odd")
        heard.append(key)

    with following(
        a_broker(Emit(TOPIC.name, b"{", b"bad"), declared("odd"), declared("sea")), tell
    ) as follower:
        eventually(lambda: heard == ["sea"])
        assert follower.malformed == 2


def test_aborted_records_are_not_told() -> None:
    broker = a_broker()
    broker.transact([declared("lost")], None)
    heard: list[str | None] = []
    with following(broker, lambda key, _, __: heard.append(key)) as follower:
        assert follower.caught_up.wait(5)
        broker.append([declared("sea")])
        eventually(lambda: heard == ["sea"])
