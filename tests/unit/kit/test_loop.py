"""The loop over MemoryBroker: what is committed with what, when, and what each error does."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from driftloop.kit.broker import Partition, Position, Record, Session, Subscription, TopicSpec
from driftloop.kit.clock import FakeClock
from driftloop.kit.errors import Malformed, Unavailable
from driftloop.kit.loop import Loop, LoopSpec
from driftloop.kit.memory import MemoryBroker
from driftloop.kit.task import NOTHING, Assigned, Decision, Moment, Sizes
from driftloop.kit.topic import Emit
from tests.support.eventually import eventually

IN, OUT = "story.in", "story.out"
SUBSCRIPTION = Subscription("g", [IN], "t")


@dataclass
class CopyTask:
    """Copies; does as its values say; remembers what became of it."""

    story: list[Any] = field(default_factory=list)
    beat: bool = False
    start: Mapping[Partition, int] = field(default_factory=dict)

    def restore(self, assigned: Assigned) -> Mapping[Partition, int]:
        self.story.append({p: (at.offset, at.note) for p, at in assigned.positions.items()})
        return self.start

    def handle(self, records: Sequence[Record], now: Moment) -> Decision:
        texts = [(record.value or b"").decode() for record in records]
        self.story += texts
        if "bad" in texts:
            raise Malformed("a bad one", rule="bad")
        emits = [Emit(OUT, text.encode(), partition=0) for text in texts if text != "quiet"]
        held = {(IN, 0): records[-1].offset} if "hold" in texts else {}
        return Decision(
            emits,
            held,
            {(IN, 0): f"after {texts[-1]}"},
            rows_in=len(texts),
            rows_out=len(emits),
            counts={"copied": len(emits)},
            latency_ms=[0.2, 3.0, 1e9],
            watermark_us=7,
        )

    def tick(self, now: Moment) -> Decision:
        return Decision([Emit(OUT, b"beat", partition=0)]) if self.beat else NOTHING

    def committed(self, now: Moment) -> None:
        if self.story[-1] != "fact":
            self.story.append("fact")

    def close(self) -> None:
        self.story.append("closed")


@pytest.fixture
def broker() -> MemoryBroker:
    broker = MemoryBroker(FakeClock())
    broker.create([TopicSpec(IN, 1), TopicSpec(OUT, 1)])
    return broker


def a_loop(broker: MemoryBroker, task: CopyTask, **more: Any) -> Loop:
    loop = Loop(LoopSpec("copy", "story", SUBSCRIPTION, lambda: task, **more), broker, broker.clock)
    loop.open()
    return loop


def send(broker: MemoryBroker, *texts: str) -> None:
    broker.append([Emit(IN, text.encode(), partition=0) for text in texts])


def outputs(broker: MemoryBroker) -> list[bytes | None]:
    return [record.value for record in broker.read(OUT, 0, *broker.bounds(OUT, 0))]


def committed(broker: MemoryBroker) -> Position | None:
    return broker.groups["g"].committed.get((IN, 0))


def test_outputs_offsets_and_notes_are_committed_and_then_told(broker: MemoryBroker) -> None:
    task = CopyTask()
    send(broker, "a", "b")
    a_loop(broker, task).drain()
    assert outputs(broker) == [b"a", b"b"]
    assert committed(broker) == Position(2, "after b")
    assert task.story == [{(IN, 0): (None, "")}, "a", "b", "fact"]


def test_a_task_may_hold_records_back(broker: MemoryBroker) -> None:
    send(broker, "a", "hold")
    a_loop(broker, CopyTask()).drain()
    assert committed(broker) == Position(1, "after hold")


def test_a_tick_without_input_sends_an_offset_and_keeps_the_note(broker: MemoryBroker) -> None:
    task = CopyTask()
    send(broker, "a")
    loop = a_loop(broker, task)
    loop.drain()
    task.beat = True
    loop.state.commits = 0
    loop._ticked_s = -1e9
    loop.run_once()
    assert outputs(broker) == [b"a", b"beat"]
    assert committed(broker) == Position(1, "after a")


def test_offsets_without_outputs_wait_for_company(broker: MemoryBroker) -> None:
    loop = a_loop(broker, CopyTask(), tick_s=0.0)
    loop.run_once()
    send(broker, "quiet")
    loop.run_once()
    assert committed(broker) is None
    assert isinstance(broker.clock, FakeClock)
    broker.clock.advance(0.6)
    loop.run_once()
    assert committed(broker) == Position(1, "after quiet")


def test_transactions_begin_at_most_every_interval(broker: MemoryBroker) -> None:
    loop = a_loop(broker, CopyTask(), interval_s=0.5, tick_s=9.0)
    began = broker.clock.seconds()
    for text in "abc":
        send(broker, text)
        loop.run_once()
    assert loop.state.commits == 3
    assert broker.clock.seconds() - began == pytest.approx(1.0)


def test_restore_may_ask_to_be_read_from_elsewhere(broker: MemoryBroker) -> None:
    send(broker, "a", "b", "c")
    a_loop(broker, CopyTask(start={(IN, 0): 2})).drain()
    assert outputs(broker) == [b"c"]


def test_an_aborted_batch_comes_again_to_a_new_task(broker: MemoryBroker) -> None:
    tasks = [CopyTask(), CopyTask()]
    send(broker, "a")
    broker.fail_commits(1)
    loop = a_loop(broker, tasks[0])
    with pytest.raises(Unavailable):
        loop.drain()
    loop.close()
    a_loop(broker, tasks[1]).drain()
    assert tasks[0].story == [{(IN, 0): (None, "")}, "a", "closed"]
    assert tasks[1].story == [{(IN, 0): (None, "")}, "a", "fact"]
    assert outputs(broker) == [b"a"]


def test_an_unavailable_broker_is_tried_again_until_it_answers(broker: MemoryBroker) -> None:
    stop = threading.Event()
    send(broker, "a", "b")
    broker.fail_commits(2)
    task = CopyTask()
    spec = LoopSpec("copy", "story", SUBSCRIPTION, lambda: task, tick_s=0.0)
    loop = Loop(spec, broker, StoppingClock(stop, lambda: bool(outputs(broker))))
    loop.run(stop)
    assert outputs(broker) == [b"a", b"b"]
    assert (loop.state.aborts, loop.state.state) == (2, "stopped")


def test_a_malformed_message_fails_the_loop_and_says_why(broker: MemoryBroker) -> None:
    send(broker, "a", "bad")
    task = CopyTask()
    loop = Loop(LoopSpec("copy", "story", SUBSCRIPTION, lambda: task), broker, broker.clock)
    loop.run(threading.Event())
    assert (loop.state.state, loop.state.error) == ("failed", "bad: a bad one")
    assert task.story[-1] == "closed"
    assert outputs(broker) == []


def test_our_own_bug_leaves_the_loop(broker: MemoryBroker) -> None:
    class Wrong(CopyTask):
        def handle(self, records: Sequence[Record], now: Moment) -> Decision:
            raise AssertionError("never so")

    send(broker, "a")
    loop = Loop(LoopSpec("copy", "story", SUBSCRIPTION, Wrong), broker, broker.clock)
    with pytest.raises(AssertionError):
        loop.run(threading.Event())
    assert loop.state.state == "crashed"


def test_a_second_member_makes_the_first_begin_anew(broker: MemoryBroker) -> None:
    task = CopyTask()
    loop = a_loop(broker, task)
    loop.drain()
    other = broker.session(
        Subscription("g", [IN], "u"), on_assigned=lambda _: None, on_revoked=lambda _: None
    )
    loop.drain()
    assert task.story == [{(IN, 0): (None, "")}, "fact", "closed", {(IN, 0): (None, "")}, "fact"]
    other.close()


def test_a_loop_without_partitions_stands_by(broker: MemoryBroker) -> None:
    a_loop(broker, CopyTask()).drain()
    task = CopyTask()
    second = a_loop(broker, task, tick_s=0.0)
    second.run_once()
    assert (second.state.state, second.state.partitions, task.story) == ("waiting", 0, [])


def test_a_loop_that_stands_by_with_a_wake_sees_its_stop(broker: MemoryBroker) -> None:
    a_loop(broker, CopyTask()).drain()
    spec = LoopSpec("copy", "story", SUBSCRIPTION, CopyTask, wake=threading.Event())
    stop, second = threading.Event(), Loop(spec, broker, broker.clock)
    thread = threading.Thread(target=second.run, args=(stop,), daemon=True)
    thread.start()
    eventually(lambda: second.state.state == "waiting", within_s=5)
    stop.set()
    thread.join(5.0)
    assert second.state.state == "stopped"


def test_what_comes_after_a_rebalance_in_the_midst_of_a_restore_is_not_lost(
    broker: MemoryBroker,
) -> None:
    task = CopyTask()
    loop = a_loop(broker, task)
    others: list[Session] = []

    def join_once(assigned: Assigned) -> Mapping[Partition, int]:
        if not others:  # a second member joins while the first is being restored
            others.append(
                broker.session(
                    Subscription("g", [IN], "u"),
                    on_assigned=lambda _: None,
                    on_revoked=lambda _: None,
                )
            )
        return {}

    task.restore = join_once  # type: ignore[method-assign]
    loop.run_once()
    send(broker, "a", "b")
    loop.drain()
    assert outputs(broker) == [b"a", b"b"]


def test_a_wake_ticks_at_once_and_commits_what_waits(broker: MemoryBroker) -> None:
    wake = threading.Event()
    loop = a_loop(broker, CopyTask(), tick_s=60.0, wake=wake)
    loop.drain()
    send(broker, "quiet")
    wake.set()
    loop.run_once()
    assert committed(broker) == Position(1, "after quiet")
    assert not wake.is_set()


def test_the_counters_say_what_went_through(broker: MemoryBroker) -> None:
    send(broker, "a", "quiet")
    loop = a_loop(broker, CopyTask())
    loop.drain()
    state = loop.state
    assert (state.records, state.rows_in, state.rows_out, state.commits) == (2, 2, 1, 1)
    assert (state.watermark_us, state.lag, state.counts) == (7, 0, {"copied": 1})
    assert [n for n, count in enumerate(state.latency) if count] == [0, 2, 16]


class StoppingClock(FakeClock):
    """Sets `stop` when `done`, looked at at each sleep."""

    def __init__(self, stop: threading.Event, done: Any) -> None:
        super().__init__()
        self._stop, self._done = stop, done

    def sleep(self, seconds: float, stop: threading.Event | None = None) -> None:
        super().sleep(seconds, stop)
        if self._done():
            self._stop.set()


class Holder(CopyTask):
    """Tells how much it holds."""

    def sizes(self) -> Sizes:
        self.asked = getattr(self, "asked", 0) + 1
        return Sizes({"waiting": 3}, rows=self.asked)


def test_a_task_is_asked_what_it_holds_twice_a_second_and_holds_nothing_when_it_is_gone(
    broker: MemoryBroker,
) -> None:
    loop = a_loop(broker, Holder(), tick_s=0.0)
    for _ in range(10):
        loop.run_once()
        broker.clock.sleep(0.1)
    assert loop.state.sizes == Sizes({"waiting": 3}, rows=2)
    loop.close()
    assert loop.state.sizes == Sizes({"waiting": 0}, rows=0)


def test_a_task_without_sizes_is_not_asked(broker: MemoryBroker) -> None:
    loop = a_loop(broker, CopyTask(), tick_s=0.0)
    loop.run_once()
    assert loop.state.sizes == Sizes()


def test_partitions_that_have_gone_are_no_lag_of_ours(broker: MemoryBroker) -> None:
    loop = a_loop(broker, CopyTask(), tick_s=0.0)
    loop.run_once()
    loop.state.lag = 7
    loop._on_revoked([(IN, 0)])
    assert loop.state.lag == 0
