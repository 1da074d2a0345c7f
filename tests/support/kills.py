"""Faults that are done to a stack while a stream runs through it, and what must hold after them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from driftloop.kit.errors import Unavailable
from infra.demo import figures
from infra.local.layout import FIRST, OTHERS
from infra.tools import sea
from tests.support.eventually import eventually
from tests.support.loop import World, ids, last_us

KAFKA = "kafka"
SERVICES = (*OTHERS, FIRST)
BACK_S = 60.0  # a start, and the supervisor's longest wait before it
Events = list[tuple[str, str]]
Fault = Callable[[World], None]


def kill(*names: str) -> Fault:
    """SIGKILL of all of them at once; over when the supervisor has started each again."""

    def done(world: World) -> None:
        before = {name: world.stack.restarts()[name] for name in names}
        for name in names:
            world.stack.kill(name)
        eventually(
            lambda: all(world.stack.restarts()[name] > before[name] for name in names),
            within_s=BACK_S,
        )

    return done


def roll(name: str) -> Fault:
    """SIGTERM; over when its next start is ready."""
    return lambda world: world.stack.restart(name)


def pause(name: str, seconds: float) -> Fault:
    """SIGSTOP for so long."""

    def done(world: World) -> None:
        with world.stack.paused(name):
            threading.Event().wait(seconds)

    return done


def through(world: World, stream: str, events: Events, faults: Sequence[Fault]) -> None:
    """The whole stream, past its drift, in as many parts as there are faults; a part flows during
    each. What the loop must do meanwhile is waited for, not done: a model before the drift's rows,
    another before the last.
    """
    third, step = -(-len(faults) // 3), -(-len(events) // len(faults))
    thirds = [faults[:third], faults[third : 2 * third], faults[2 * third :]]
    cuts = [0, third * step, 2 * third * step, len(events)]
    for number, some in enumerate(thirds):
        flow(world, stream, events[cuts[number] : cuts[number + 1]], some)
        if number < 2:
            more = partial(_more_than, number, world, stream)
            eventually(more, within_s=150, every_s=0.3)
    world.end(stream, last_us(events))


def flow(world: World, stream: str, events: Events, faults: Sequence[Fault]) -> None:
    """The events in as many parts as there are faults; a part flows during each."""
    step = -(-len(events) // len(faults))
    for number, fault in enumerate(faults):
        with _beside(lambda: fault(world)):  # noqa: B023  # it is joined in this very turn
            world.produce(stream, events[number * step : (number + 1) * step])


def whole(world: World, stream: str, events: Events) -> None:
    """Nothing lost, nothing doubled; and the loop has closed by itself."""
    exact(world, stream, events)
    _closed(world, stream)


def exact(world: World, stream: str, events: Events) -> None:
    """Nothing lost, nothing doubled, in any log of the stream."""
    rows = sum(topic == sea.EVENTS for topic, _ in events)
    predictions, examples = world.predictions(stream), world.examples(stream)
    told = figures.records(0, ids(events), predictions, examples, {})
    assert (told["missing"], told["doubled"], told["predicted"]) == (0, 0, rows)
    assert examples["event_id"].n_unique() == len(examples) == rows
    assert world.scores(stream)["event_id"].n_unique() == len(world.scores(stream)) == rows
    statistics = world.statistics(stream)
    assert sum(each.predicted for each in statistics) == rows
    assert sum(each.scored for each in statistics) == told["scored"]


def _more_than(versions: int, world: World, stream: str) -> bool:
    """False too while Kafka is still coming back."""
    try:
        return _versions(world, stream) > versions
    except Unavailable:
        return False


def _versions(world: World, stream: str) -> int:
    """The newest version that is live; 0: none."""
    return max((each.version for each in world.released(stream)), default=0)


def _closed(world: World, stream: str) -> None:
    """Each request has one answer, each run one end, and a drift was answered by a model."""
    assert world.released(stream)[-1].version > 1
    asked = [each.id for each in world.requests(stream)]
    eventually(lambda: len(world.resolved(stream)) >= len(asked), within_s=30, every_s=0.3)
    answered = [each.request_id for each in world.resolved(stream)]
    assert sorted(answered) == sorted(set(answered)) == sorted(asked)
    runs = {each.run_id for each in world.resolved(stream) if each.outcome == "accepted"}
    eventually(lambda: {each.run_id for each in world.finished(stream)} == runs, within_s=60)
    assert len(world.finished(stream)) == len(runs)


@contextmanager
def _beside(work: Callable[[], None]) -> Iterator[None]:
    """`work` in a thread; its end is waited for, and what it raises is raised here."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001  # raised below, in the test's own thread
            failed.append(error)

    thread = threading.Thread(target=run, name="fault")
    thread.start()
    try:
        yield
    finally:
        thread.join()
    if failed:
        raise failed[0]
