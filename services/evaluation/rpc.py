"""Evaluation's door: any model on any window, answered by a child, so that a long replay can be
limited and stops nothing else.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import grpc

from driftloop.contracts.evaluation_pb2 import ReplayReply, ReplayRequest
from driftloop.contracts.evaluation_pb2_grpc import EvaluationServicer
from driftloop.contracts.registry_pb2 import ModelRequest
from driftloop.contracts.registry_pb2_grpc import RegistryStub
from driftloop.kit.clock import Clock
from driftloop.kit.errors import Refused
from driftloop.kit.rpc import answers
from driftloop.kit.task import Work
from driftloop.spec import Target
from services.evaluation.plan import ReplayPlan

ASK_SECONDS_MAX = 10.0
POLL_S = 0.02


class Doors(EvaluationServicer):
    """Every call of proto/evaluation.proto."""

    def __init__(
        self,
        registry: RegistryStub,
        target: Callable[[str], Target | None],
        start: Callable[[ReplayPlan], Work],
        clock: Clock,
    ) -> None:
        self._registry, self._target = registry, target
        self._start, self._clock = start, clock
        self._one = threading.Lock()  # replays go one after the other: each takes a core

    @answers
    def Replay(self, request: ReplayRequest, context: grpc.ServicerContext) -> ReplayReply:
        target = self._target(request.pipeline)
        if target is None:
            raise Refused(f"pipeline {request.pipeline!r} is not declared", status="NOT_FOUND")
        if not request.window.ranges:
            raise Refused("window: no offsets; wanted ranges of the pipeline's examples")
        window = request.window.SerializeToString()
        plan = ReplayPlan(window, self._digest(request), target.threshold, target.class_count)
        with self._one:
            return self._answer(plan, context)

    def _digest(self, request: ReplayRequest) -> str:
        """As asked; else of the version, else of what is live."""
        if request.digest:
            return request.digest
        asked = ModelRequest(pipeline=request.pipeline, version=request.version)
        return self._registry.Model(asked, timeout=ASK_SECONDS_MAX).digest

    def _answer(self, plan: ReplayPlan, context: grpc.ServicerContext) -> ReplayReply:
        child = self._start(plan)
        while (ended := child.poll()) is None:
            if not context.is_active():
                child.cancel()
            self._clock.sleep(POLL_S)
        if ended.result is None:
            raise Refused(ended.error, status="FAILED_PRECONDITION")
        return ReplayReply.FromString(ended.result["reply"])
