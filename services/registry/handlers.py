"""The registry's one loop: runs, releases and people's wishes become facts in the log of record.

Every fact of a batch goes out in one transaction with the offsets that caused it. What the doors
answer from is a second ledger that holds committed facts only, so that nobody ever reads what a
later abort takes back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from driftloop.contracts import topics
from driftloop.contracts.model_pb2 import ModelEvaluated, ModelTrained, RegistryEvent
from driftloop.contracts.retrain_pb2 import RetrainResolved
from driftloop.kit.broker import Partition, Record
from driftloop.kit.errors import Malformed, Unavailable
from driftloop.kit.events import event, read_event
from driftloop.kit.inbox import Inbox
from driftloop.kit.log import bound, logger
from driftloop.kit.task import NOTHING, Assigned, Decision, Moment
from driftloop.kit.topic import Emit, M, Topic
from driftloop.kit.trace import NoTracer, Span, Tracer, passed_on
from services.registry import codec, domain
from services.registry.tracing import Called, Command, Turns

SOURCE = "registry"
INPUTS = (
    topics.RETRAIN_RESOLVED.topic().name,
    topics.MODEL_TRAINED.topic().name,
    topics.MODEL_EVALUATED.topic().name,
)
# After a stop the ends of runs may stand unread in the log while their deadlines have passed: read
# first, then judge.
DEADLINE_GRACE_MS = 5_000

log = logger(__name__)


class Shown:
    """The committed ledger, for the doors. None while another replica owns the loop, or no one does
    yet.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._ledger: domain.Ledger | None = None

    def show(self, ledger: domain.Ledger | None) -> None:
        with self._lock:
            self._ledger = ledger

    def add(self, facts: Sequence[domain.Fact]) -> None:
        with self._lock:
            assert self._ledger is not None
            for fact in facts:
                self._ledger.apply(fact)

    @contextmanager
    def reading(self) -> Iterator[domain.Ledger]:
        """The ledger, still while it is read. Unavailable where this replica has none."""
        with self._lock:
            if self._ledger is None:
                raise Unavailable(
                    "this replica does not own the registry's loop: it stands by, or is starting"
                )
            yield self._ledger


@dataclass(slots=True)
class New:
    """What is being decided: facts, each with the traceparent that its events carry, and spans."""

    facts: list[tuple[domain.Fact, str]] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)

    def add(self, facts: Sequence[tuple[domain.Fact, str]], spans: Sequence[Span]) -> None:
        self.facts += facts
        self.spans += spans


class RegistryTask:
    """The loop's decisions; see `driftloop.kit.task.Task` for who calls what."""

    def __init__(
        self,
        terms: domain.TermsOf,
        inbox: Inbox[Command],
        shown: Shown,
        *,
        deadline_default_ms: int,
        tracer: Tracer | None = None,
    ) -> None:
        self._terms = terms
        self._inbox = inbox
        self._shown = shown
        self._deadline_default_ms = deadline_default_ms
        self._turns = Turns(tracer or NoTracer())
        self._book = domain.Book(domain.Ledger(), terms)
        self._facts: list[domain.Fact] = []  # wanted, not yet committed
        self._answers: list[tuple[Future[Any], Any]] = []  # given once the facts are committed
        self._deadlines_from_ms = -1

    def restore(self, assigned: Assigned) -> Mapping[Partition, int]:
        log_of_record = topics.REGISTRY_EVENTS.topic()
        start, end = assigned.bounds(log_of_record.name, 0)
        working, shown = domain.Ledger(), domain.Ledger()
        for record in assigned.read(log_of_record.name, 0, start, end):
            fact = _fact(record)
            if fact is not None:
                working.apply(fact)
                shown.apply(fact)
                self._turns.recall(record, fact)
        self._book = domain.Book(working, self._terms)
        self._shown.show(shown)
        return {}

    def handle(self, records: Sequence[Record], now: Moment) -> Decision:
        counts: Counter[str] = Counter()
        new = New()
        for record in records:
            traceparent = passed_on(record.headers)
            with bound(traceparent=traceparent):
                facts = self._heard(record, now, counts)
            new.add(*self._turns.told(facts, traceparent, record.timestamp_ms))
        return self._decision(new, len(records), counts)

    def _heard(self, record: Record, now: Moment, counts: Counter[str]) -> Sequence[domain.Fact]:
        try:
            return self._learned(record, now, counts)
        except Malformed as error:
            counts[error.rule] += 1
            log.warning("control event passed over: %s", error)
            return []

    def tick(self, now: Moment) -> Decision:
        if self._deadlines_from_ms < 0:
            self._deadlines_from_ms = now.ms + DEADLINE_GRACE_MS
        new = New()
        if now.ms >= self._deadlines_from_ms:
            new.add(*self._turns.told(self._book.overdue(now.ms)))
        for command, future in self._inbox.take():
            facts = self._obeyed(command, future, now)
            given = command.traceparent if isinstance(command, Called) else ""
            new.add(*self._turns.told(facts, given))
        return self._decision(new, 0, {})

    def committed(self, now: Moment) -> None:
        self._shown.add(self._facts)
        for fact in self._facts:
            _say(fact)
        for future, answer in self._answers:
            future.set_result(answer)
        self._facts, self._answers = [], []

    def close(self) -> None:
        self._shown.show(None)
        self._inbox.give_up("the registry's loop began anew or moved to another replica; ask again")
        self._facts, self._answers = [], []

    def _learned(self, record: Record, now: Moment, counts: Counter[str]) -> list[domain.Fact]:
        fact = self._event(record)
        if fact is None:
            return []
        facts = self._book.learn(fact, now.ms)
        counts["learned" if facts else "ignored"] += 1
        return facts

    def _event(self, record: Record) -> domain.Opened | domain.Trained | domain.Evaluated | None:
        match record.topic:
            case topic if topic == INPUTS[0]:
                resolved = read_event(record, RetrainResolved)
                return codec.opened(
                    resolved.message,
                    resolved.time_ms,
                    deadline_default_ms=self._deadline_default_ms,
                )
            case topic if topic == INPUTS[1]:
                trained = read_event(record, ModelTrained)
                return codec.trained(trained.message, trained.time_ms)
            case _:
                evaluated = read_event(record, ModelEvaluated)
                return codec.evaluated(evaluated.message, evaluated.time_ms)

    def _obeyed(self, command: Command, future: Future[Any], now: Moment) -> list[domain.Fact]:
        if not future.set_running_or_notify_cancel():
            return []  # who asked has gone
        try:
            answer, facts = command(self._book, now.ms)
        except domain.Unwanted as error:
            future.set_exception(error)
            return []
        self._answers.append((future, answer))
        return facts

    def _decision(self, new: New, rows_in: int, counts: Mapping[str, int]) -> Decision:
        self._facts += [fact for fact, _ in new.facts]
        if not new.facts and not rows_in:
            return NOTHING
        ledger = self._book.ledger
        emits = [
            emit for fact, traceparent in new.facts for emit in _emits(fact, traceparent, ledger)
        ]
        return Decision(
            emits=emits,
            rows_in=rows_in,
            rows_out=len(new.facts),
            counts=dict(counts),
            spans=new.spans,
        )


def _say(fact: domain.Fact) -> None:
    """What people look for in a log: what went live, and how a run ended."""
    match fact:
        case domain.Released():
            with bound(run_id=fact.run_id, pipeline=fact.pipeline):
                fields = {"version": fact.version, "cause": fact.cause, "by": fact.by}
                log.info("version %d is live", fact.version, extra={"fields": fields})
        case domain.Finished():
            with bound(run_id=fact.run_id, pipeline=fact.pipeline):
                log.info("run ended: %s %s", fact.outcome, fact.reason)


def _fact(record: Record) -> domain.Fact | None:
    try:
        return codec.fact(read_event(record, RegistryEvent).message)
    except (
        Malformed
    ) as error:  # not ours: only this loop writes here, and it writes what it can read
        log.error("passed over in the log of record: %s", error)
        return None


def _emits(fact: domain.Fact, traceparent: str, ledger: domain.Ledger) -> list[Emit]:
    """The fact for the log of record, and for those that wait for its kind."""
    name, at_ms, pipeline = _identity(fact)

    def said(topic: Topic[M], message: M, key: str = pipeline) -> Emit:
        return event(
            topic,
            message,
            id=name,
            source=SOURCE,
            time_ms=at_ms,
            key=key,
            traceparent=traceparent,
        )

    emits = [said(topics.REGISTRY_EVENTS.topic(), codec.event(fact))]
    match fact:
        case domain.Declared():
            holds = ledger.quarantined.get(pipeline, [])
            emits.append(said(topics.PIPELINES.topic(), codec.declaration(fact, holds)))
        case domain.Quarantined():
            holds, declared = ledger.quarantined[pipeline], ledger.declared(pipeline)
            assert declared is not None, pipeline  # the door has seen to it
            emits.append(said(topics.PIPELINES.topic(), codec.declaration(declared, holds)))
        case domain.Released():
            key = f"{pipeline}.g{fact.generation}"
            emits.append(said(topics.MODEL_RELEASED.topic(), codec.released(fact), key))
        case domain.Finished():
            emits.append(said(topics.RUN_FINISHED.topic(), codec.finished(fact)))
    return emits


def _identity(fact: domain.Fact) -> tuple[str, int, str]:
    """Event id (made from what caused the fact), wall milliseconds, pipeline."""
    kind = type(fact).__name__.lower()
    match fact:
        case domain.Declared():
            return f"{kind}-{fact.name}-{fact.version}", fact.at_ms, fact.name
        case domain.Quarantined():
            of = f"{fact.pipeline}-{fact.from_us}-{fact.to_us}-{fact.at_ms}"
            return f"{kind}-{of}", fact.at_ms, fact.pipeline
        case domain.Marked():
            of = f"{fact.pipeline}-{fact.version}-{fact.at_ms}"
            return f"{kind}-{of}", fact.at_ms, fact.pipeline
        case domain.Collected():
            return f"{kind}-{fact.digests[0]}-{fact.at_ms}", fact.at_ms, "artifacts"
        case domain.Stored():
            return f"{kind}-{fact.digest}", fact.at_ms, fact.pipeline
        case domain.Versioned():
            return f"{kind}-{fact.pipeline}-{fact.version}", fact.created_ms, fact.pipeline
        case domain.Released():
            cause = fact.run_id if fact.cause == "release" else f"{fact.cause}-{fact.at_ms}"
            return f"{kind}-{fact.pipeline}-{fact.version}-{cause}", fact.at_ms, fact.pipeline
        case _:
            return f"{kind}-{fact.run_id}", fact.at_ms, fact.pipeline
