"""Training's doors: a wish becomes an event in the log, a cancel ends a child; both answer once it
is committed. And questions about the record: where windows are, whether a model can be made again.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as Expired
from typing import Any

import grpc

from driftloop.contracts.model_pb2 import ModelVersion, Window
from driftloop.contracts.retrain_pb2 import RetrainRequested
from driftloop.contracts.training_pb2 import (
    CancelReply,
    CancelRequest,
    RebuildReply,
    RebuildRequest,
    TrainReply,
    TrainRequest,
    WindowsReply,
    WindowsRequest,
)
from driftloop.contracts.training_pb2_grpc import TrainingServicer
from driftloop.kit.clock import Clock
from driftloop.kit.errors import Refused, Unavailable
from driftloop.kit.inbox import Inbox
from driftloop.kit.rpc import answers
from driftloop.kit.task import Ended, Work
from driftloop.kit.trace import here
from services.training.housekeeping import Housekeeping
from services.training.jobs import Cancel, Command, Train

POLL_S = 0.05


class Doors(TrainingServicer):
    """Every call of proto/training.proto."""

    def __init__(
        self,
        inbox: Inbox[Command],
        declared: Callable[[str], bool],
        keeping: Housekeeping,
        rebuild: Callable[[ModelVersion], Work],
        clock: Clock,
        *,
        answer_seconds_max: float,
    ) -> None:
        self._inbox, self._declared, self._seconds = inbox, declared, answer_seconds_max
        self._keeping, self._rebuild, self._clock = keeping, rebuild, clock
        self._one = threading.Lock()  # of rebuilds: each takes a core

    @answers
    def Train(self, request: TrainRequest, context: grpc.ServicerContext) -> TrainReply:
        if not self._declared(request.pipeline):
            raise Refused(f"pipeline {request.pipeline!r} is not declared", status="NOT_FOUND")
        message = RetrainRequested(
            pipeline=request.pipeline,
            trigger="manual",
            reason=request.reason,
            by=request.by or "unknown",
            window=_window(request),
            given=request.given if request.HasField("given") else None,
        )
        # each call is a wish of its own, so its name is made here, by chance
        name = f"manual-{request.pipeline}-{secrets.token_hex(6)}"
        return TrainReply(request_id=self._ask(Train(name, message, here())))

    @answers
    def Cancel(self, request: CancelRequest, context: grpc.ServicerContext) -> CancelReply:
        cancelled, reason = self._ask(Cancel(request.run_id, request.by))
        return CancelReply(cancelled=cancelled, reason=reason)

    @answers
    def Rebuild(self, request: RebuildRequest, context: grpc.ServicerContext) -> RebuildReply:
        model = self._keeping.models.one(request.pipeline, request.version)
        if not self._one.acquire(blocking=False):  # calls that wait would take all threads
            text = "another model is being made again; ask when it is done"
            raise Refused(text, status="RESOURCE_EXHAUSTED")
        try:
            ended = self._ended(self._rebuild(model), context)
        finally:
            self._one.release()
        result = ended.result or {"refused": ended.error}
        if "refused" in result:
            raise Refused(result["refused"], status="FAILED_PRECONDITION")
        return RebuildReply.FromString(result["reply"])

    def _ended(self, child: Work, context: grpc.ServicerContext) -> Ended:
        while (ended := child.poll()) is None:
            if not context.is_active():  # who asked has gone
                child.cancel()
            self._clock.sleep(POLL_S)
        return ended

    @answers
    def Windows(self, request: WindowsRequest, context: grpc.ServicerContext) -> WindowsReply:
        return WindowsReply(windows=self._keeping.windows(request.pipeline))

    def _ask(self, command: Command) -> Any:
        """The loop's answer."""
        future = self._inbox.submit(command)
        try:
            return future.result(self._seconds)
        except Expired as error:
            future.cancel()
            raise Unavailable(
                f"no answer in {self._seconds:g} s: another replica owns the loop, or it starts"
            ) from error
        except CancelledError as error:
            raise Unavailable("training's loop has ended; ask again") from error


def _window(request: TrainRequest) -> Window | None:
    """The offsets that are asked for; or event times, and which offsets hold them, the run finds
    out."""
    if request.HasField("window"):
        return request.window
    if not request.HasField("span"):
        return None
    span = request.span
    if span.to_us and span.from_us >= span.to_us:
        raise Refused(f"span: found {span.from_us} to {span.to_us} µs, wanted from before to")
    return Window(from_us=span.from_us, to_us=span.to_us)
