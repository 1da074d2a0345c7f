"""The loop of every service: poll, decide, and outputs, state and offsets in one transaction.

`Loop.run_once` is the heart. It knows no topic, no message and no domain: a Task decides, a Session
sends. What is raised tells what to do: Unavailable (Fenced too) gives everything up and begins anew
from what is committed, Malformed fails this loop alone, anything else is our bug: it leaves `run`
and ends the process (kit.run).
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from driftloop.kit.broker import Broker, Partition, Position, Record, Session, Subscription
from driftloop.kit.clock import Clock
from driftloop.kit.errors import Malformed, Unavailable
from driftloop.kit.log import redacted
from driftloop.kit.task import (
    NO_SIZES,
    NOTHING,
    Assigned,
    Decision,
    Moment,
    Sized,
    Sizes,
    Task,
)
from driftloop.kit.topic import Emit
from driftloop.kit.trace import NoTracer, Span, Tracer, ended

log = logging.getLogger("driftloop.loop")

# offsets without outputs are committed at most so often: a transaction costs the broker 3 ms
LAZY_S = 0.5
WAKE_SLICE_S = 0.02  # how long a wake may go unseen; 50 short polls a second are 0.2 % of a core
BACKOFF_S = (0.1, 2.0)  # first and longest wait after Unavailable
STEADY_S = 10.0  # a loop that ran so long starts its back-off anew
SIZES_S = 0.5  # how often a task is asked how much it holds
LATENCY_BUCKETS = 17  # < 1, 2, 4, ... 32768 ms, more


@dataclass(frozen=True, slots=True)
class LoopSpec:
    """One loop: what it reads and sends as whom, who decides, and how often a transaction may
    begin."""

    name: str
    pipeline: str
    subscription: Subscription
    task: Callable[[], Task]
    records_max: int = 2000
    interval_s: float = 0.02
    tick_s: float = 0.5
    wake: threading.Event | None = None  # set by other threads to be looked at now: calls, children


@dataclass(slots=True)
class LoopState:
    """What the pulse and `status` read, written by the loop's thread alone. Counts are since the
    process started."""

    name: str
    pipeline: str
    state: str = (
        "starting"  # starting, waiting (no partition), restoring, running, failed, crashed, stopped
    )
    error: str = ""
    last_error: str = ""  # stays when the loop runs again, with its wall time
    last_error_ms: int = 0
    partitions: int = 0
    records: int = 0
    rows_in: int = 0
    rows_out: int = 0
    commits: int = 0
    aborts: int = 0
    lag: int = 0
    watermark_us: int = 0
    latency: list[int] = field(default_factory=lambda: [0] * LATENCY_BUCKETS)
    counts: dict[str, int] = field(default_factory=dict)
    sizes: Sizes = NO_SIZES


class Meter(Protocol):
    """Where a loop's durations go; all else stands in its LoopState. kit.metrics has the real
    one."""

    def handled(self, seconds: float) -> None:
        """A batch went through the task in so many seconds."""

    def committed(self, seconds: float) -> None:
        """A transaction was committed, from begin to answer in so many seconds."""


class NoMeter:
    """Counts nothing: for tests and tools."""

    def handled(self, seconds: float) -> None:
        """Not counted."""

    def committed(self, seconds: float) -> None:
        """Not counted."""


@dataclass(slots=True)
class Pending:
    """What was decided and is not yet committed. Emits make it urgent; offsets alone may wait
    LAZY_S."""

    emits: list[Emit] = field(default_factory=list)
    offsets: dict[Partition, int] = field(default_factory=dict)
    notes: dict[Partition, str] = field(default_factory=dict)
    spans: list[Span] = field(default_factory=list)

    def add(self, records: Sequence[Record], decision: Decision) -> None:
        for record in records:
            self.offsets[record.topic, record.partition] = record.offset + 1
        self.offsets.update(decision.offsets)
        self.notes.update(decision.notes)
        self.emits.extend(decision.emits)

    def __bool__(self) -> bool:
        return bool(self.emits or self.offsets or self.notes)


class Loop:
    """Runs one spec in the thread that calls `run`, until stopped or failed."""

    def __init__(
        self,
        spec: LoopSpec,
        broker: Broker,
        clock: Clock,
        meter: Meter | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        self.spec, self.broker, self.clock = spec, broker, clock
        self.meter: Meter = meter or NoMeter()
        self.tracer: Tracer = tracer or NoTracer()
        self.state = LoopState(spec.name, spec.pipeline)
        self._session: Session | None = None
        self._task: Task | None = None
        self._assigned: Sequence[Partition] | None = None  # taken up after the poll that brought it
        self._pending = Pending()
        self._notes: dict[Partition, str] = {}
        self._began_s = self._ticked_s = self._lazy_s = self._sized_s = -1e9

    def run(self, stop: threading.Event) -> None:
        """Until `stop`, or failed by Malformed. Other exceptions pass through, with state
        "crashed"."""
        waits = 0
        while not stop.is_set():
            started_s = self.clock.seconds()
            try:
                self.open()
                while not stop.is_set():
                    self.run_once(stop)
                self._last_commit()
            except Malformed as error:
                self._failed(error)
                return
            except Unavailable as error:
                waits = 0 if self.clock.seconds() - started_s > STEADY_S else waits
                self._gave_up(error)
            except BaseException as error:
                self._went_wrong("crashed", f"{type(error).__name__}: {error}")
                raise
            finally:
                self.close()
            waits = self._back_off(waits, stop)
        self.state.state = "stopped"

    def run_once(self, stop: threading.Event | None = None) -> int:
        """Poll → decide → commit. Gives back how many records came."""
        assert self._session is not None, "open() first"
        self._pace(stop)
        # what a poll gives before the restore is not ours to drop: it would not come again
        records = [] if self._assigned is not None else self._poll(self._session)
        if self._assigned is not None:
            self._restore(self._session, self._assigned)
            records = self._session.poll(self.spec.records_max, 0.0)
        if self._task is None:
            return 0
        woken = self._woken()
        now = Moment(self.clock.ms())
        if records:
            self._decide(self._task, records, now)
        if woken or self.clock.seconds() - self._ticked_s >= self.spec.tick_s:
            self._tick(self._task, self._session, now)
        if self._due(woken):
            self._commit(self._session)
        if not self._pending:
            self._task.committed(now)
        return len(records)

    def drain(self) -> None:
        """All that is there, with ticks between, committed, without waiting: for tests."""
        came = 1
        while came or self._pending:
            self._ticked_s = self._lazy_s = -1e9
            came = self.run_once()

    def open(self) -> None:
        """Join the group. Raises Unavailable."""
        self._session = self.broker.session(
            self.spec.subscription, on_assigned=self._on_assigned, on_revoked=self._on_revoked
        )
        self.state.state = "waiting"

    def close(self) -> None:
        """Leave the group; what is not committed is forgotten and comes again."""
        self._drop_task()
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def _on_assigned(self, partitions: Sequence[Partition]) -> None:
        self._assigned = partitions

    def _on_revoked(self, _partitions: Sequence[Partition]) -> None:
        self._drop_task()
        self.state.state, self.state.lag = "waiting", 0

    def _drop_task(self) -> None:
        task, self._task, self._assigned = self._task, None, None
        self._pending = Pending()
        self.state.partitions, self.state.sizes = 0, self.state.sizes.emptied()
        if task is not None:
            task.close()

    def _pace(self, stop: threading.Event | None) -> None:
        """Transactions begin at most every interval; what arrives meanwhile goes with the next."""
        wait_s = self._began_s + self.spec.interval_s - self.clock.seconds()
        if wait_s > 0:
            self.clock.sleep(wait_s, stop)

    def _poll(self, session: Session) -> list[Record]:
        """Wait until records, a wake, the next tick or the lazy commit, whichever is first."""
        until_s = self._ticked_s + self.spec.tick_s
        if self._pending:
            until_s = min(until_s, self._lazy_s + LAZY_S)
        while True:
            left_s = max(0.0, until_s - self.clock.seconds()) if self._task else self.spec.tick_s
            slice_s = left_s if self.spec.wake is None else min(left_s, WAKE_SLICE_S)
            records = session.poll(self.spec.records_max, slice_s)
            woken = self.spec.wake is not None and self.spec.wake.is_set()
            if records or woken or left_s <= slice_s or self._assigned is not None:
                return records
            if self._task is None:  # stands by: `run` must see its stop
                return records

    def _woken(self) -> bool:
        wake = self.spec.wake
        if wake is None or not wake.is_set():
            return False
        wake.clear()
        return True

    def _restore(self, session: Session, partitions: Sequence[Partition]) -> None:
        """A new task for a new assignment, brought to what is committed; nothing of before is
        kept."""
        self._drop_task()
        self.state.partitions = len(partitions)
        if not partitions:
            return
        self.state.state = "restoring"
        positions = session.positions()
        task = self._task = self.spec.task()
        self._notes = {partition: at.note for partition, at in positions.items() if at.note}
        assigned = Assigned(
            partitions, positions, self.broker.read, self.broker.bounds, session.unread
        )
        for partition, offset in task.restore(assigned).items():
            session.seek(partition, offset)
        self._ticked_s = self._lazy_s = self.clock.seconds()
        self.state.state, self.state.error = "running", ""

    def _decide(self, task: Task, records: Sequence[Record], now: Moment) -> None:
        began_s, began_ns = self.clock.seconds(), self.clock.ns()
        decision = task.handle(records, now)
        self._take(records, decision, began_ns)
        self.meter.handled(self.clock.seconds() - began_s)

    def _tick(self, task: Task, session: Session, now: Moment) -> None:
        began_ns = self.clock.ns()
        self._take((), task.tick(now), began_ns)
        self._ticked_s = self.clock.seconds()
        self.state.lag = session.lag()
        if self._ticked_s - self._sized_s >= SIZES_S and isinstance(task, Sized):
            self._sized_s = self._ticked_s
            self.state.sizes = task.sizes()

    def _take(self, records: Sequence[Record], decision: Decision, began_ns: int) -> None:
        """Into what will be committed, and into the counters."""
        if not self._pending:
            self._lazy_s = self.clock.seconds()
        self._pending.add(records, decision)
        state = self.state
        state.records += len(records)
        if decision is NOTHING:
            return
        state.rows_in += decision.rows_in
        state.rows_out += decision.rows_out
        state.watermark_us = max(state.watermark_us, decision.watermark_us)
        for latency_ms in decision.latency_ms:
            state.latency[min(LATENCY_BUCKETS - 1, max(0, int(latency_ms)).bit_length())] += 1
        for name, count in decision.counts.items():
            state.counts[name] = state.counts.get(name, 0) + count
        for span in decision.spans:
            self._pending.spans.append(span if span.start_ns else span._replace(start_ns=began_ns))

    def _due(self, woken: bool) -> bool:
        if not self._pending:
            return False
        return bool(self._pending.emits) or woken or self.clock.seconds() - self._lazy_s >= LAZY_S

    def _commit(self, session: Session) -> None:
        """Outputs, notes and offsets: one transaction."""
        pending = self._pending
        self._began_s = self.clock.seconds()
        self._notes.update(pending.notes)
        session.commit(pending.emits, self._offsets(session, pending))
        self._pending = Pending()
        if pending.spans:
            self.tracer.add(ended(pending.spans, self.clock.ns()))
        self.state.commits += 1
        self.meter.committed(self.clock.seconds() - self._began_s)

    def _last_commit(self) -> None:
        """Before a wanted end: offsets that waited for company."""
        if self._session is not None and self._task is not None and self._pending:
            self._commit(self._session)

    def _offsets(self, session: Session, pending: Pending) -> Mapping[Partition, Position]:
        """A commit replaces a partition's note, so the last one goes along; a note alone goes at
        the old offset."""
        alone = [partition for partition in pending.notes if partition not in pending.offsets]
        offsets = {**{p: session.standing(p) for p in alone}, **pending.offsets}
        return {p: Position(offset, self._notes.get(p, "")) for p, offset in offsets.items()}

    def _failed(self, error: Malformed) -> None:
        self._went_wrong("failed", f"{error.rule}: {error}")
        log.error("loop %s of %s failed: %s", self.spec.name, self.spec.pipeline, error)

    def _gave_up(self, error: Unavailable) -> None:
        self.state.aborts += 1
        self._went_wrong("waiting", str(error))
        log.warning("loop %s of %s begins anew: %s", self.spec.name, self.spec.pipeline, error)

    def _went_wrong(self, state: str, error: str) -> None:
        """Seen by others through the pulse, so without secrets."""
        said = redacted(error)
        self.state.state, self.state.error = state, said
        self.state.last_error, self.state.last_error_ms = said, self.clock.ms()

    def _back_off(self, waits: int, stop: threading.Event) -> int:
        """Bounded and jittered."""
        if not stop.is_set():
            first_s, longest_s = BACKOFF_S
            self.clock.sleep(min(longest_s, first_s * 2**waits) * random.uniform(0.5, 1.0), stop)
        return waits + 1
