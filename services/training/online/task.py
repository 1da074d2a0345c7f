"""The loop that lines learn in: one task a pipeline, exact over crashes.

    lease (nothing in it) + examples  ->  snapshots, state.training

All partitions are merged into the one order that every replay sees, and each line learns row by
row. A checkpoint holds each line's state with what it reflects, in one transaction; after a crash
the rows behind it are learnt again. What a line is after n rows is a function of the log alone.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from driftloop.contracts import topics
from driftloop.contracts.feature_pb2 import Examples
from driftloop.contracts.model_pb2 import Snapshot
from driftloop.kit.broker import Partition, Record
from driftloop.kit.child import told
from driftloop.kit.clock import Clock
from driftloop.kit.envelope import batch_schema, decode, matrix
from driftloop.kit.errors import Malformed
from driftloop.kit.log import logger
from driftloop.kit.message import parse
from driftloop.kit.state import latest
from driftloop.kit.task import NOTHING, Assigned, Decision, Moment, Sizes
from driftloop.kit.topic import Emit, emit
from services.training.online import codec, snapshots
from services.training.online.line import Floats, Line, Vectors
from services.training.online.merge import At, Merge
from services.training.online.plan import LinePlan
from services.training.online.refit import Ints, Refit

CHECKPOINT_S = 30.0
CHECKPOINT_BYTES_S = 100_000  # a large state goes out less often: that many bytes a second of log
EXPORT_SHARE = 20  # an export takes at most this part of a core, so a dear one waits longer
PLAIN = (ValueError,)  # whose texts are meant for people
_SCHEMA = batch_schema(topics.EXAMPLES.declaration.columns)
log = logger(__name__)


@dataclass(frozen=True, slots=True)
class Batch:
    """The rows of one envelope."""

    partition: int
    offset: int
    times: Ints
    vectors: Vectors
    target: Floats


@dataclass(slots=True)
class Learning:
    """A line at work. `at`: by partition, what it has learnt: everything before."""

    line: Line | Refit
    at: dict[int, At]
    told_rows: int = 0  # of the newest snapshot
    told_s: float = 0.0
    export_s: float = 0.0
    newest_us: int = 0
    failed: str = ""

    def take(self, sequence: int, batch: Batch) -> int:
        """Learn what it has not learnt yet; gives back how many rows that were."""
        if self.failed or batch.offset < self.at.get(batch.partition, At()).next:
            return 0
        self.failed = told(lambda: self.line.learn(batch.times, batch.vectors, batch.target))
        if self.failed:
            return 0
        self.at[batch.partition] = At(batch.offset + 1, sequence)
        self.newest_us = max(self.newest_us, int(batch.times.max()))
        return len(batch.vectors)

    def due(self, now_s: float) -> bool:
        since_s = now_s - self.told_s
        if self.failed or since_s < self.export_s * EXPORT_SHARE:
            return False
        return self.line.due(self.told_rows, since_s)


class LinesTask:
    """See `driftloop.kit.task.Task` for who calls what."""

    def __init__(
        self, pipeline: str, generation: int, partitions: int, plans: Sequence[LinePlan],
        clock: Clock,
    ) -> None:  # fmt: skip
        self._pipeline, self._generation, self._partitions = pipeline, generation, partitions
        self._plans, self._clock = plans, clock
        self._examples = topics.EXAMPLES.topic(pipeline, generation).name
        self._snapshots = topics.SNAPSHOTS.topic(pipeline, generation)
        self._state = topics.STATE_TRAINING.topic(pipeline, generation)
        self._merge: Merge[Batch] = Merge(partitions)
        self._lines: list[Learning] = []
        self._counts: Counter[str] = Counter()
        self._round = 0
        self._checkpoint_s = clock.seconds()
        self._checkpointed: dict[str, int] = {}  # line → rows that its newest checkpoint reflects
        self._bytes = 0  # of the newest checkpoint

    def restore(self, assigned: Assigned) -> Mapping[Partition, int]:
        kept = codec.states(latest(assigned, self._state.name, 0).values())
        told = snapshots.of(latest(assigned, self._snapshots.name, 0).values())
        self._round = max((one.round for one in kept.values()), default=0)
        for plan in self._plans:
            learning = self._begun(plan, kept.get(plan.name))
            newest = told.get(plan.name)
            if newest is not None and newest.recipe == plan.recipe():
                learning.told_rows = newest.rows
            self._lines.append(learning)
        begin = codec.least([learning.at for learning in self._lines], self._partitions)
        self._merge = Merge(self._partitions, begin)
        return {
            (self._examples, number): max(at.next, assigned.bounds(self._examples, number)[0])
            for number, at in begin.items()
        }

    def handle(self, records: Sequence[Record], now: Moment) -> Decision:
        for record in records:
            if record.topic == self._examples:
                self._add(record)
        rows = 0
        for sequence, batch in self._merge.ready():
            for learning in self._lines:
                known = learning.failed
                rows += learning.take(sequence, batch)
                if learning.failed != known:
                    self._gave_up(learning)
        return self._decision(now, rows)

    def tick(self, now: Moment) -> Decision:
        return self._decision(now, 0)

    def committed(self, now: Moment) -> None:
        """Nothing waits for it."""

    def close(self) -> None:
        """Nothing is held but memory."""

    def sizes(self) -> Sizes:
        """Envelopes that wait for other partitions."""
        return Sizes({"envelopes": self._merge.waiting()})

    def _decision(self, now: Moment, rows: int) -> Decision:
        emits = [*self._exported(now), *self._checkpoint()]
        counts, self._counts = self._counts, Counter()
        if not (emits or rows or counts):
            return NOTHING
        return Decision(emits, rows_in=rows, rows_out=len(emits), counts=counts)

    def _begun(self, plan: LinePlan, kept: codec.Kept | None) -> Learning:
        """A line as its checkpoint says, or from the first row that the log still has."""
        if kept is not None and kept.recipe == plan.recipe():
            try:
                line = _of(plan).of_state(plan, kept.state, kept.rows)
            except ValueError as error:
                log.error("line %s begins anew: %s", plan.name, error)
            else:
                self._checkpointed[plan.name] = kept.rows
                return Learning(line, dict(kept.standing))
        return Learning(_of(plan)(plan), {})

    def _add(self, record: Record) -> None:
        message = parse(Examples, record)
        batch = _batch(message, record) if message.rows else None
        self._merge.add(record.partition, message.envelope.sequence, batch)

    def _exported(self, now: Moment) -> list[Emit]:
        emits = []
        for learning in self._lines:
            began_s = self._clock.seconds()
            if not learning.due(began_s):
                continue
            made = self._model(learning)
            learning.told_s = self._clock.seconds()
            learning.export_s = learning.told_s - began_s
            if made is None:
                continue
            model, learning.told_rows = made
            if not model:
                continue
            self._counts["snapshots"] += 1
            emits.append(self._said(learning, model, now))
        return emits

    def _model(self, learning: Learning) -> tuple[bytes, int] | None:
        """None: it can't be served, and is given up."""
        plan, made = learning.line.plan, []
        about = {"line": plan.name, "recipe": plan.recipe()}
        learning.failed = told(lambda: made.append(learning.line.exported(about)), PLAIN)
        if learning.failed:
            self._gave_up(learning)
        return made[0] if made else None

    def _gave_up(self, learning: Learning) -> None:
        """Its last good snapshot stays; the other lines go on."""
        self._counts["lines_failed"] += 1
        name, rows = learning.line.plan.name, learning.line.rows
        log.error("line %s has ended after %d rows: %s", name, rows, learning.failed)

    def _said(self, learning: Learning, model: bytes, now: Moment) -> Emit:
        line = learning.line
        message = Snapshot(
            pipeline=self._pipeline,
            generation=self._generation,
            line=line.plan.name,
            digest=hashlib.sha256(model).hexdigest(),
            model=model,
            rows=learning.told_rows,
            newest_us=learning.newest_us,
            standing=codec.standing(learning.at),
            at_ms=now.ms,
            recipe=line.plan.recipe(),
        )
        return emit(self._snapshots, message, key=line.plan.name.encode(), partition=0)

    def _checkpoint(self) -> list[Emit]:
        """The states of lines that have learnt since, once it is time."""
        now_s = self._clock.seconds()
        wait_s = max(CHECKPOINT_S, self._bytes / CHECKPOINT_BYTES_S)
        if self._checkpointed and now_s - self._checkpoint_s < wait_s:
            return []
        moved = [
            learning
            for learning in self._lines
            if not learning.failed
            and learning.line.rows > self._checkpointed.get(learning.line.plan.name, 0)
        ]
        if not moved:
            return []
        self._round, self._checkpoint_s, self._bytes = self._round + 1, now_s, 0
        emits: list[Emit] = []
        for learning in moved:
            line, state = learning.line, learning.line.state()
            self._bytes += len(state)
            self._checkpointed[line.plan.name] = line.rows
            for piece in codec.pieces(line.plan, line.rows, state, self._round, learning.at):
                key = f"{line.plan.name}/{piece.piece}".encode()
                emits.append(emit(self._state, piece, key=key, partition=0))
        return emits


def _of(plan: LinePlan) -> type[Line] | type[Refit]:
    return Refit if plan.window else Line


def _batch(message: Examples, record: Record) -> Batch:
    columns = decode(message.columns, _SCHEMA)
    if columns.num_rows != message.rows:
        raise Malformed(f"Examples.rows is {message.rows}, its columns have {columns.num_rows}")
    return Batch(
        record.partition,
        record.offset,
        columns.column("time_us").to_numpy(zero_copy_only=False),
        matrix(message.vectors, message.rows, message.width),
        columns.column("target").to_numpy(zero_copy_only=False),
    )
