"""Follows the control topics and counts the turns of the loop on /metrics.

Each replica of the monitor reads all of it, and tells the same. What ended before this process
began is history: it is known, and not counted.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from threading import Lock
from typing import Any, TypeVar

from driftloop.contracts import topics
from driftloop.contracts.model_pb2 import ModelEvaluated, ModelReleased, ModelTrained, RunFinished
from driftloop.contracts.retrain_pb2 import (
    DriftDetected,
    RetrainRequested,
    RetrainResolved,
    ServingAcknowledged,
)
from driftloop.kit.broker import Record
from driftloop.kit.events import event_id
from driftloop.kit.metrics.cells import OTHER
from driftloop.kit.metrics.figures import ANSWERS, ENDS, STAGES, TRIGGERS, Figures
from driftloop.kit.run import Kit
from driftloop.kit.topic import Topic
from services.monitor.domain.turns import Runs, Turn, Turns

M = TypeVar("M")


class Watch:
    """What is told by the followers' threads, one at a time."""

    def __init__(self, metrics: Figures, began_ms: int) -> None:
        self._metrics, self._began_ms = metrics, began_ms
        self._partitions: dict[str, int] = {}
        self._turns, self._runs = Turns(self._partitions.get), Runs()
        self._one = Lock()

    def follow(self, kit: Kit) -> None:
        """Begin; what is heard is counted from now on."""
        kit.metrics.before_scrape(self._show)
        self._hear(kit, topics.DRIFT_DETECTED.topic(), self._drifted)
        self._hear(kit, topics.RETRAIN_REQUESTED.topic(), self._requested)
        self._hear(kit, topics.RETRAIN_RESOLVED.topic(), self._resolved)
        self._hear(kit, topics.MODEL_TRAINED.topic(), self._trained)
        self._hear(kit, topics.MODEL_EVALUATED.topic(), self._evaluated)
        self._hear(kit, topics.MODEL_RELEASED.topic(), self._released)
        self._hear(kit, topics.SERVING_ACKNOWLEDGED.topic(), self._acknowledged)
        self._hear(kit, topics.RUN_FINISHED.topic(), self._finished)

    def declared(self, pipeline: str, partitions: int) -> None:
        """A pipeline that there is. Its counters begin at 0: what rises from nowhere is no rise to
        Prometheus, and a turn is a rare thing."""
        metrics = self._metrics
        with self._one:
            self._partitions[pipeline] = partitions
            for outcome in ENDS:
                metrics.runs_total.labels(pipeline, outcome)
            for trigger, answer in product(TRIGGERS, ANSWERS):
                metrics.retrains_total.labels(pipeline, trigger, answer)
            for stage in STAGES:
                metrics.stage_seconds.labels(pipeline, stage)
            metrics.redeploy_seconds.labels(pipeline)

    def removed(self, pipeline: str) -> None:
        with self._one:
            self._partitions.pop(pipeline, None)
            self._runs.forget(pipeline)

    def _hear(self, kit: Kit, topic: Topic[Any], told: Callable[[Any, Record], list[Turn]]) -> None:
        def heard(_key: str | None, message: Any, record: Record) -> None:
            if message is not None:
                with self._one:
                    self._count(told(message, record))

        kit.follow(topic, heard)

    def _count(self, turns: list[Turn]) -> None:
        for turn in turns:
            if turn.ended_ms < self._began_ms:
                continue
            for stage, seconds in turn.seconds.items():
                self._metrics.stage_seconds.labels(turn.pipeline, stage).observe(seconds)
            if turn.redeploy_s is not None:
                self._metrics.redeploy_seconds.labels(turn.pipeline).observe(turn.redeploy_s)

    def _drifted(self, message: DriftDetected, record: Record) -> list[Turn]:
        newest_row_ms = message.evidence.newest_row_ms
        return self._turns.drifted(event_id(record), newest_row_ms, record.timestamp_ms)

    def _requested(self, message: RetrainRequested, record: Record) -> list[Turn]:
        return self._turns.requested(event_id(record), message.drift_id, record.timestamp_ms)

    def _resolved(self, message: RetrainResolved, record: Record) -> list[Turn]:
        if record.timestamp_ms >= self._began_ms:
            of = self._shown(message.pipeline), message.trigger, message.outcome
            self._metrics.retrains_total.labels(*of).inc()
        if message.outcome != "accepted":
            return []
        self._runs.accepted(message.run_id, message.pipeline)
        return self._turns.accepted(message.run_id, message.request_id)

    def _trained(self, message: ModelTrained, record: Record) -> list[Turn]:
        return self._turns.trained(message.run_id, record.timestamp_ms)

    def _evaluated(self, message: ModelEvaluated, record: Record) -> list[Turn]:
        return self._turns.evaluated(message.run_id, record.timestamp_ms)

    def _released(self, message: ModelReleased, record: Record) -> list[Turn]:
        if message.cause != "release":  # a person's promotion ends no run
            return []
        model = message.pipeline, message.generation or 1, message.version
        return self._turns.released(message.run_id, model, record.timestamp_ms)

    def _acknowledged(self, message: ServingAcknowledged, record: Record) -> list[Turn]:
        model = message.pipeline, message.generation, message.version
        held = frozenset(message.partitions)
        return self._turns.acknowledged(model, held, record.timestamp_ms)

    def _finished(self, message: RunFinished, record: Record) -> list[Turn]:
        if record.timestamp_ms >= self._began_ms:
            of = self._shown(message.pipeline), message.outcome
            self._metrics.runs_total.labels(*of).inc()
        self._runs.ended(message.run_id, message.pipeline, message.outcome)
        return []

    def _shown(self, pipeline: str) -> str:
        """Anyone may write to a control topic: what is not declared takes no name's place."""
        return pipeline if pipeline in self._partitions else OTHER

    def _show(self) -> None:
        with self._one:
            for pipeline in self._partitions:
                self._metrics.runs_open.labels(pipeline).set(self._runs.open(pipeline))
                rejected = self._runs.rejected_in_a_row(pipeline)
                self._metrics.runs_rejected_in_a_row.labels(pipeline).set(rejected)
