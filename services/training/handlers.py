"""The one control loop of training: each request gets its answer, each accepted run one
`model.trained`.

    retrain.requested, run.finished -> retrain.resolved, training.progress, model.trained

A run's fit is a child, started once its acceptance is committed. What a run was accepted with
stands in the log: the request, the answer, and beside the request's offset a note with the window.
So after a crash, or on another replica, an unfinished run starts again as the same one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from driftloop.contracts import topics
from driftloop.contracts.model_pb2 import ModelTrained, RunFinished
from driftloop.contracts.retrain_pb2 import RetrainRequested, RetrainResolved
from driftloop.dataset import Range, times_of
from driftloop.kit.broker import Partition, Record
from driftloop.kit.errors import Malformed, Unavailable
from driftloop.kit.events import Event, event, event_id, read_event
from driftloop.kit.inbox import Inbox
from driftloop.kit.log import bound, logger
from driftloop.kit.task import Assigned, Decision, Ended, Moment, Sizes
from driftloop.kit.topic import Emit, M, Topic
from driftloop.kit.trace import NoTracer, Span, Tracer, passed_on
from driftloop.kit.trace import bound as within_trace
from services.training import codec, tracing
from services.training.domain import Known, Resolution, Run, Runs
from services.training.jobs import Cancel, Command, Dataset, Foundry, Job

SOURCE = "/driftloop/training"
REQUESTED, FINISHED = topics.RETRAIN_REQUESTED.topic(), topics.RUN_FINISHED.topic()
RESOLVED, TRAINED = topics.RETRAIN_RESOLVED.topic(), topics.MODEL_TRAINED.topic()
PROGRESS = topics.TRAINING_PROGRESS.topic()
INPUTS = (REQUESTED.name, FINISHED.name)
NOTE_AT: Partition = (REQUESTED.name, 0)
log = logger(__name__)


class TrainingTask:
    """See `driftloop.kit.task.Task` for who calls what."""

    def __init__(
        self,
        foundry: Foundry,
        inbox: Inbox[Command],
        told: Callable[[ModelTrained], None] = lambda _: None,
        *,
        children_max: int,
        tracer: Tracer | None = None,
    ) -> None:
        """`told`: of what came of each run, for the figures on /metrics."""
        self._foundry, self._inbox, self._children_max = foundry, inbox, children_max
        self._told, self._tracer = told, tracer or NoTracer()
        self._spans: list[Span] = []  # of what is being decided
        self._runs = Runs(self._known)
        self._jobs: dict[str, Job] = {}
        self._answers: list[tuple[Future[Any], Any]] = []
        self._assigned: Assigned | None = None

    def restore(self, assigned: Assigned) -> Mapping[Partition, int]:
        if not self._foundry.ready():
            raise Unavailable("the pipelines are still being read")
        self._assigned = assigned
        for resolved in _all(assigned, RESOLVED.name, RetrainResolved):
            self._learn(resolved.message)
        for trained in _all(assigned, TRAINED.name, ModelTrained):
            self._runs.trained(trained.message.run_id)
        for finished in _all(assigned, FINISHED.name, RunFinished):
            self._runs.finish(finished.message.run_id)
        self._resume(assigned)
        return {}

    def handle(self, records: Sequence[Record], now: Moment) -> Decision:
        counts: Counter[str] = Counter()
        emits: list[Emit] = []
        for record in records:
            with bound(traceparent=passed_on(record.headers)):
                if record.topic == FINISHED.name:
                    self._finished(record, counts)
                else:
                    emits += self._requested(record, now, counts)
        return Decision(
            emits,
            notes=self._notes(),
            rows_in=len(records),
            rows_out=len(emits),
            counts=counts,
            spans=self._taken_spans(),
        )

    def tick(self, now: Moment) -> Decision:
        emits = [
            emit
            for command, future in self._inbox.take()
            for emit in self._obey(command, future, now)
        ]
        for job in list(self._jobs.values()):
            of = {"run_id": job.run.run_id, "pipeline": job.run.pipeline}
            with bound(**of, traceparent=job.turn):
                emits += self._look_at(job, now)
        notes = self._notes() if emits else {}
        return Decision(emits, notes=notes, rows_out=len(emits), spans=self._taken_spans())

    def committed(self, now: Moment) -> None:
        for future, answer in self._answers:
            future.set_result(answer)
        self._answers = []
        working = sum(job.work is not None for job in self._jobs.values())
        for job in [job for job in self._jobs.values() if job.work is None][
            : self._children_max - working
        ]:
            seconds = max(1.0, (job.run.deadline_ms - now.ms) / 1_000)
            work = tracing.work_of(job.turn, job.run)
            with (
                bound(run_id=job.run.run_id, pipeline=job.run.pipeline, traceparent=job.turn),
                within_trace(work),
            ):
                job.work = self._foundry.start(job.run, job.window, job.change_us, seconds)

    def close(self) -> None:
        for job in self._jobs.values():
            if job.work is not None:
                job.work.cancel()
        self._inbox.give_up("training's loop begins anew, here or on another replica; ask again")
        self._jobs, self._answers = {}, []

    def sizes(self) -> Sizes:
        """Runs that wait for a child."""
        return Sizes({"runs": sum(job.work is None for job in self._jobs.values())})

    def _learn(self, message: RetrainResolved) -> None:
        """An answer that was given before; anyone may write there, what is none is passed over."""
        try:
            self._runs.learn(codec.resolution(message))
        except Malformed as error:
            log.warning("control event passed over: %s", error)

    def _requested(self, record: Record, now: Moment, counts: Counter[str]) -> list[Emit]:
        """The one answer to one request."""
        try:
            request = read_event(record, RetrainRequested)
            wish = codec.wish(request, self._partitions(request.message.pipeline))
        except Malformed as error:
            request, wish = None, codec.malformed(event_id(record), error)
        answer = self._runs.resolve(wish, now.ms)
        if answer is None:
            counts["duplicate"] += 1
            return []
        turn = ""
        if request is not None:
            turn, begun = tracing.turn_of(self._tracer, request)
            self._spans += begun
        if answer.outcome == "accepted" and request is not None:
            answer = self._accept(answer, request, turn)
        self._runs.learn(answer)
        counts[answer.outcome] += 1
        log.info(
            "request %s: %s %s",
            answer.request_id,
            answer.outcome,
            answer.reason or answer.run_id,
            extra={"fields": {"pipeline": answer.pipeline, "run_id": answer.run_id}},
        )
        return [
            event(
                RESOLVED,
                codec.resolved(answer),
                id=answer.request_id,
                source=SOURCE,
                time_ms=now.ms,
                key=answer.pipeline,
                traceparent=turn,
            )
        ]

    def _accept(
        self, answer: Resolution, request: Event[RetrainRequested], turn: str
    ) -> Resolution:
        """The window's ends are fixed here: as the request says, else where `examples` ends now."""
        run = Run(
            answer.run_id,
            answer.request_id,
            answer.pipeline,
            answer.generation,
            answer.trigger,
            answer.deadline_ms,
        )
        named = codec.window_of(request.message)
        times, given = times_of(request.message.window), codec.given(request.message)
        window = Dataset(named or self._bounds(run), times, given, request.message.line)
        change_us = _change_us(request.message)
        job = Job(run, window, change_us, not named, turn, request.time_ms)
        if len(self._note({**self._jobs, run.run_id: job})) > codec.NOTE_BYTES_MAX:
            return Resolution(
                answer.request_id,
                answer.pipeline,
                answer.generation,
                answer.trigger,
                "refused",
                f"{len(self._jobs)} runs are waiting already; ask again when one has ended",
            )
        self._jobs[run.run_id] = job
        return answer

    def _finished(self, record: Record, counts: Counter[str]) -> None:
        """The registry has closed a run: what still works on it works for nothing."""
        try:
            run_id = read_event(record, RunFinished).message.run_id
        except Malformed as error:
            counts[error.rule] += 1
            log.warning("control event passed over: %s", error)
            return
        self._runs.finish(run_id)
        job = self._jobs.pop(run_id, None)
        if job is not None and job.work is not None:
            job.work.cancel()

    def _look_at(self, job: Job, now: Moment) -> list[Emit]:
        """A child's news: how far it is, or what came of it."""
        if job.work is None:
            removed = self._foundry.order(job.run.pipeline) is None
            return [self._ended(job, None, now)] if job.cancelled_by or removed else []
        ended = job.work.poll()
        emits = [self._progress(job, report, now) for report in job.work.progress()]
        return emits if ended is None else [*emits, self._ended(job, ended, now)]

    def _progress(self, job: Job, report: Mapping[str, Any], now: Moment) -> Emit:
        message = codec.progress(job.run, report)
        name = f"{message.run_id}-{message.stage}-{message.candidate}-{message.rows}"
        name += codec.of_trial(message.trial) if message.HasField("trial") else ""
        return said(PROGRESS, message, name, job, now)

    def _ended(self, job: Job, ended: Ended | None, now: Moment) -> Emit:
        run, order = job.run, self._foundry.order(job.run.pipeline)
        if job.cancelled_by:
            message = codec.failed(
                run, order.declaration if order else 0, "cancelled", f"by {job.cancelled_by}"
            )
        elif ended is not None and ended.result is not None:
            message = codec.trained(ended.result)
        else:
            error = ended.error if ended is not None else "its pipeline is no longer declared"
            message = codec.failed(run, order.declaration if order else 0, "failed", error)
        del self._jobs[run.run_id]
        self._runs.trained(run.run_id)
        log.info("run %s: %s %s", run.run_id, message.outcome, message.reason)
        self._told(message)
        steps = ended.result.get("spans", ()) if ended is not None and ended.result else ()
        self._spans += tracing.spans(job.turn, run, job.requested_ms, message, steps)
        return said(TRAINED, message, f"{run.run_id}-trained", job, now)

    def _taken_spans(self) -> list[Span]:
        spans, self._spans = self._spans, []
        return spans if self._tracer.on else []

    def _obey(self, command: Command, future: Future[Any], now: Moment) -> list[Emit]:
        if not future.set_running_or_notify_cancel():
            return []  # who asked has gone; from here on its answer can't be refused
        if isinstance(command, Cancel):
            self._answers.append((future, self._cancel(command)))
            return []
        self._answers.append((future, command.request_id))
        return [
            event(
                REQUESTED,
                command.message,
                id=command.request_id,
                source=SOURCE,
                time_ms=now.ms,
                key=command.message.pipeline,
                traceparent=command.traceparent,
            )
        ]

    def _cancel(self, command: Cancel) -> tuple[bool, str]:
        job = self._jobs.get(command.run_id)
        if job is None:
            known = self._runs.is_open(command.run_id)
            return (
                False,
                "it is trained and waits for its judgement"
                if known
                else "there is no such open run",
            )
        job.cancelled_by = command.by or "unknown"
        if job.work is not None:
            job.work.cancel()
        return True, ""

    def _resume(self, assigned: Assigned) -> None:
        """Unfinished runs again, from what the log says of them."""
        runs = {run.request_id: run for run in self._runs.unfinished()}
        if not runs:
            return
        position = assigned.positions[NOTE_AT]
        noted = codec.windows(position.note)
        start, _ = assigned.bounds(*NOTE_AT)
        for record in assigned.read(REQUESTED.name, 0, start, position.offset or start):
            run = runs.get(event_id(record))
            if run is None or run.run_id in self._jobs:
                continue
            request = read_event(record, RetrainRequested)
            message = request.message
            ranges = noted.get(run.run_id) or codec.window_of(message) or self._bounds(run)
            given = codec.given(message)
            window = Dataset(ranges, times_of(message.window), given, message.line)
            turn, _ = tracing.turn_of(self._tracer, request)
            noted_here = run.run_id in noted
            job = Job(run, window, _change_us(message), noted_here, turn, request.time_ms)
            self._jobs[run.run_id] = job

    def _known(self, pipeline: str) -> Known | None:
        order = self._foundry.order(pipeline)
        return order.known if order else None

    def _partitions(self, pipeline: str) -> Mapping[str, int]:
        order = self._foundry.order(pipeline)
        return {pipeline: order.partitions} if order else {}

    def _bounds(self, run: Run) -> list[Range]:
        order = self._foundry.order(run.pipeline)
        assert self._assigned is not None
        topic = topics.EXAMPLES.topic(run.pipeline, run.generation).name
        numbers = range(order.partitions if order else 0)
        return [Range(topic, number, *self._assigned.bounds(topic, number)) for number in numbers]

    def _notes(self) -> Mapping[Partition, str]:
        return {NOTE_AT: self._note(self._jobs)}

    def _note(self, jobs: Mapping[str, Job]) -> str:
        return codec.note({run_id: job.window.ranges for run_id, job in jobs.items() if job.noted})


def _all(assigned: Assigned, topic: str, kind: type[Any]) -> list[Event[Any]]:
    """Every event of a control topic; what anyone else wrote there and can't be read is passed
    over, as when it came.
    """
    events = []
    for record in assigned.read(topic, 0, *assigned.bounds(topic, 0)):
        try:
            events.append(read_event(record, kind))
        except Malformed as error:
            log.warning("control event passed over: %s", error)
    return events


def said(topic: Topic[M], message: M, name: str, job: Job, now: Moment) -> Emit:
    return event(
        topic,
        message,
        id=name,
        source=SOURCE,
        time_ms=now.ms,
        key=job.run.pipeline,
        traceparent=job.turn,
    )


def _change_us(message: RetrainRequested) -> int | None:
    """Since when drift was seen; None where no detector spoke."""
    return (
        message.evidence.from_us
        if message.trigger == "drift" and message.evidence.from_us
        else None
    )
