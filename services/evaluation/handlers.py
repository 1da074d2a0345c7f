"""The one control loop of evaluation: each trained run gets one judgement.

    model.trained, run.finished -> model.evaluated

A judgement is a child; on restart what has none yet is judged again, by the same draws.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from driftloop.contracts import topics
from driftloop.contracts.model_pb2 import ModelEvaluated, ModelTrained, RunFinished
from driftloop.kit.broker import Partition, Record
from driftloop.kit.errors import Malformed, Unavailable
from driftloop.kit.events import Event, event, from_json, read_event
from driftloop.kit.log import bound, logger
from driftloop.kit.task import Assigned, Decision, Ended, Moment, Sizes, Work
from driftloop.kit.topic import Emit
from driftloop.kit.trace import (
    NoTracer,
    Span,
    Tracer,
    Value,
    passed_on,
    step_of,
    step_span,
    told_spans,
)
from driftloop.kit.trace import bound as within_trace
from services.evaluation import codec
from services.evaluation.plan import Champion

SOURCE = "/driftloop/evaluation"
TRAINED, FINISHED = topics.MODEL_TRAINED.topic(), topics.RUN_FINISHED.topic()
EVALUATED = topics.MODEL_EVALUATED.topic()
INPUTS = (TRAINED.name, FINISHED.name)
log = logger(__name__)


class Bench(Protocol):
    """Knows what is live and starts judgements; app.py makes it."""

    def ready(self) -> bool:
        """All pipelines and releases that there were have been heard of."""

    def champion(self, pipeline: str, generation: int) -> Champion: ...

    def start(self, trained: ModelTrained, champion: Champion) -> Work | None:
        """None: the pipeline is not declared (any more)."""


@dataclass(slots=True)
class Case:
    """A run that waits for its judgement."""

    trained: ModelTrained
    traceparent: str = ""
    trained_ms: int = 0
    champion: Champion = field(default_factory=Champion)
    work: Work | None = None
    undeclared: bool = False
    began_ms: int = 0  # of its child


class EvaluationTask:
    """See `driftloop.kit.task.Task` for who calls what."""

    def __init__(
        self,
        bench: Bench,
        hurry: Callable[[], None],
        told: Callable[[ModelTrained, float], None] = lambda *_: None,
        *,
        children_max: int,
        tracer: Tracer | None = None,
    ) -> None:
        """`hurry`: commit now; a case has no output yet, and offsets alone may wait .5 s. `told`:
        how many seconds a judgement took, for the figures on /metrics."""
        self._bench, self._hurry, self._children_max = bench, hurry, children_max
        self._told, self._tracer = told, tracer or NoTracer()
        self._spans: list[Span] = []  # of what is being decided
        self._done: set[str] = set()  # judged, or closed by the registry
        self._cases: dict[str, Case] = {}

    def restore(self, assigned: Assigned) -> Mapping[Partition, int]:
        if not self._bench.ready():
            raise Unavailable("the pipelines and releases are still being read")
        for topic, kind in ((EVALUATED.name, ModelEvaluated), (FINISHED.name, RunFinished)):
            first, end = assigned.bounds(topic, 0)
            for done in _events(assigned.read(topic, 0, first, end), kind):
                self._done.add(done.message.run_id)
        first, _ = assigned.bounds(TRAINED.name, 0)
        committed = assigned.positions[TRAINED.name, 0].offset
        for trained in _events(
            assigned.read(TRAINED.name, 0, first, committed or first), ModelTrained
        ):
            self._open(trained)
        return {}

    def handle(self, records: Sequence[Record], now: Moment) -> Decision:
        counts: Counter[str] = Counter()
        for record in records:
            with bound(traceparent=passed_on(record.headers)):
                self._heard(record, counts)
        return Decision(rows_in=len(records), counts=counts)

    def _heard(self, record: Record, counts: Counter[str]) -> None:
        try:
            if record.topic == FINISHED.name:
                self._close(read_event(record, RunFinished).message.run_id)
            else:
                self._open(read_event(record, ModelTrained))
        except Malformed as error:
            counts[error.rule] += 1
            log.warning("control event passed over: %s", error)

    def tick(self, now: Moment) -> Decision:
        emits: list[Emit] = []
        for case in list(self._cases.values()):
            with _about(case):
                emits += self._look_at(case, now)
        spans, self._spans = self._spans, []
        return Decision(emits, rows_out=len(emits), spans=spans if self._tracer.on else ())

    def committed(self, now: Moment) -> None:
        working = sum(case.work is not None for case in self._cases.values())
        waiting = [case for case in self._cases.values() if case.work is None]
        for case in waiting[: self._children_max - working]:
            case.champion = self._bench.champion(case.trained.pipeline, case.trained.generation)
            work = step_of(case.traceparent, "evaluate", case.trained.run_id)
            with _about(case), within_trace(work):
                case.work = self._bench.start(case.trained, case.champion)
            case.undeclared, case.began_ms = case.work is None, now.ms

    def close(self) -> None:
        for case in self._cases.values():
            if case.work is not None:
                case.work.cancel()
        self._cases = {}

    def sizes(self) -> Sizes:
        """Runs that wait for a child."""
        return Sizes({"runs": sum(case.work is None for case in self._cases.values())})

    def _open(self, trained: Event[ModelTrained]) -> None:
        """What failed or was cancelled is the registry's to close; there is nothing to judge."""
        message = trained.message
        if message.outcome == "trained" and message.run_id not in self._done | set(self._cases):
            self._cases[message.run_id] = Case(message, trained.traceparent, trained.time_ms)
            self._hurry()

    def _close(self, run_id: str) -> None:
        self._done.add(run_id)
        case = self._cases.pop(run_id, None)
        if case is not None and case.work is not None:
            case.work.cancel()

    def _look_at(self, case: Case, now: Moment) -> list[Emit]:
        """The judgement, if it has been made."""
        steps: Sequence[Mapping[str, Any]] = ()
        if case.undeclared:
            message = codec.failed(case.trained, case.champion, "the pipeline is not declared")
        else:
            ended = case.work.poll() if case.work is not None else None
            if ended is None:
                return []
            message = self._judged(case, ended)
            steps = ended.result.get("spans", ()) if ended.result else ()
            self._told(case.trained, (now.ms - case.began_ms) / 1_000)
        del self._cases[message.run_id]
        self._done.add(message.run_id)
        log.info("run %s: %s %s", message.run_id, message.outcome, message.reason)
        self._spans += _spans(case, message, steps)
        name = f"{message.run_id}-evaluated"
        return [event(EVALUATED, message, id=name, source=SOURCE, time_ms=now.ms,
                      key=message.pipeline, traceparent=case.traceparent)]  # fmt: skip

    def _judged(self, case: Case, ended: Ended) -> ModelEvaluated:
        if ended.result is None:
            return codec.failed(case.trained, case.champion, ended.error)
        message = from_json(ended.result["evaluated"], ModelEvaluated, "the child's result")
        live = self._bench.champion(message.pipeline, message.generation)
        return message if live == case.champion else codec.stale(message, live)


def _about(case: Case) -> AbstractContextManager[None]:
    """What the log says inside, and what the child's log says, is of this run."""
    run = case.trained
    return bound(run_id=run.run_id, pipeline=run.pipeline, traceparent=case.traceparent)


def _spans(case: Case, message: ModelEvaluated, steps: Sequence[Mapping[str, Any]]) -> list[Span]:
    """`evaluate` from the model.trained to the commit of what is said of it, and the child's
    steps in it."""
    attributes: dict[str, Value] = {
        "driftloop.pipeline": message.pipeline,
        "driftloop.run_id": message.run_id,
        "driftloop.outcome": message.outcome,
        "driftloop.winner": message.winner,
        "driftloop.reason": message.reason,
    }
    start_ns, whole = case.trained_ms * 1_000_000, ("evaluate", message.run_id)
    return [
        *step_span(case.traceparent, *whole, start_ns=start_ns, attributes=attributes),
        *told_spans(step_of(case.traceparent, *whole), steps),
    ]


def _events(records: Iterator[Record], kind: type[Any]) -> Iterator[Event[Any]]:
    """What can be read; what anyone else wrote there is passed over, as it was when it came."""
    for record in records:
        try:
            yield read_event(record, kind)
        except Malformed as error:
            log.warning("control event passed over: %s", error)
