"""Evaluation's door: any model on any window, answered by a child, so that a long replay can be
limited and stops nothing else.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

import grpc

from driftloop.contracts.evaluation_pb2 import (
    BacktestReply,
    BacktestRequest,
    Contender,
    ReplayReply,
    ReplayRequest,
)
from driftloop.contracts.evaluation_pb2_grpc import EvaluationServicer
from driftloop.contracts.model_pb2 import ModelVersion
from driftloop.contracts.registry_pb2 import ModelRequest
from driftloop.contracts.registry_pb2_grpc import RegistryStub
from driftloop.kit.clock import Clock
from driftloop.kit.errors import Refused
from driftloop.kit.rpc import answers
from driftloop.kit.task import Work
from driftloop.spec import Pipeline
from services.evaluation.plan import HistoryPlan, ReplayPlan, Rival

ASK_SECONDS_MAX = 10.0
POLL_S = 0.02


class Known(Protocol):
    """A pipeline as it is declared now: see driftloop.service.Declared."""

    @property
    def generation(self) -> int: ...
    @property
    def pipeline(self) -> Pipeline: ...


class Doors(EvaluationServicer):
    """Every call of proto/evaluation.proto."""

    def __init__(
        self,
        registry: RegistryStub,
        declared: Callable[[str], Known | None],
        start: Callable[[ReplayPlan | HistoryPlan], Work],
        clock: Clock,
    ) -> None:
        self._registry, self._declared = registry, declared
        self._start, self._clock = start, clock
        self._one = threading.Lock()  # replays go one after the other: each takes a core

    @answers
    def Replay(self, request: ReplayRequest, context: grpc.ServicerContext) -> ReplayReply:
        target = self._known(request.pipeline).pipeline.target
        if not request.window.ranges:
            raise Refused("window: no offsets; wanted ranges of the pipeline's examples")
        window = request.window.SerializeToString()
        plan = ReplayPlan(window, self._digest(request), target.threshold, target.class_count)
        with self._one:
            return ReplayReply.FromString(self._answer(plan, context))

    @answers
    def Backtest(self, request: BacktestRequest, context: grpc.ServicerContext) -> BacktestReply:
        plan = self._history(request, self._known(request.pipeline))
        with self._one:
            return BacktestReply.FromString(self._answer(plan, context))

    def _known(self, pipeline: str) -> Known:
        declared = self._declared(pipeline)
        if declared is None:
            raise Refused(f"pipeline {pipeline!r} is not declared", status="NOT_FOUND")
        return declared

    def _history(self, request: BacktestRequest, declared: Known) -> HistoryPlan:
        pipeline = declared.pipeline
        names = tuple(pipeline.feature_names())
        slices = tuple(dict.fromkeys([*pipeline.evaluation.slices, *request.slices]))
        if unknown := [name for name in slices if name not in names]:
            raise Refused(f"slices: no feature {unknown[0]!r}; there are {', '.join(names)}")
        if not request.contenders:
            raise Refused("contenders: none, wanted at least one")
        rivals = tuple(self._rival(request.pipeline, each) for each in request.contenders)
        if len({each.name for each in rivals}) < len(rivals):
            raise Refused("contenders: two of one name; give each its own")
        window = b""
        if request.window_of:
            model = self._model(request.pipeline, request.window_of)
            window = model.candidate.window.SerializeToString()
        target = pipeline.target
        return HistoryPlan(
            request.pipeline, declared.generation, pipeline.partitions, names, target.class_count,
            pipeline.evaluation.metric, target.threshold, rivals, slices,
            request.from_us, request.to_us, window,
        )  # fmt: skip

    def _rival(self, pipeline: str, asked: Contender) -> Rival:
        if asked.model:
            return Rival(asked.name or "model", model=asked.model)
        if not asked.version:
            return Rival(asked.name or "live", live=True)
        known = self._model(pipeline, asked.version)
        name = asked.name or f"{pipeline}@{asked.version}"
        window = known.candidate.window.SerializeToString()
        return Rival(name, known.digest, window=window)

    def _model(self, pipeline: str, version: int) -> ModelVersion:
        asked = ModelRequest(pipeline=pipeline, version=version)
        return self._registry.Model(asked, timeout=ASK_SECONDS_MAX)

    def _digest(self, request: ReplayRequest) -> str:
        """As asked; else of the version, else of what is live."""
        if request.digest:
            return request.digest
        asked = ModelRequest(pipeline=request.pipeline, version=request.version)
        return self._registry.Model(asked, timeout=ASK_SECONDS_MAX).digest

    def _answer(self, plan: ReplayPlan | HistoryPlan, context: grpc.ServicerContext) -> bytes:
        child = self._start(plan)
        while (ended := child.poll()) is None:
            if not context.is_active():
                child.cancel()
            self._clock.sleep(POLL_S)
        result = ended.result or {"refused": ended.error}
        if "refused" in result:
            raise Refused(result["refused"], status="FAILED_PRECONDITION")
        return bytes(result["reply"])
