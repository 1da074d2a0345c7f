"""Training's doors: a wish becomes an event in the log, a cancel ends a child; both answer once it
is committed.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as Expired
from typing import Any

import grpc

from driftloop.contracts.retrain_pb2 import RetrainRequested
from driftloop.contracts.training_pb2 import CancelReply, CancelRequest, TrainReply, TrainRequest
from driftloop.contracts.training_pb2_grpc import TrainingServicer
from driftloop.kit.errors import Refused, Unavailable
from driftloop.kit.inbox import Inbox
from driftloop.kit.rpc import answers
from driftloop.kit.trace import here
from services.training.jobs import Cancel, Command, Train


class Doors(TrainingServicer):
    """Every call of proto/training.proto."""

    def __init__(
        self, inbox: Inbox[Command], declared: Callable[[str], bool], *, answer_seconds_max: float
    ) -> None:
        self._inbox, self._declared, self._seconds = inbox, declared, answer_seconds_max

    @answers
    def Train(self, request: TrainRequest, context: grpc.ServicerContext) -> TrainReply:
        if not self._declared(request.pipeline):
            raise Refused(f"pipeline {request.pipeline!r} is not declared", status="NOT_FOUND")
        message = RetrainRequested(
            pipeline=request.pipeline,
            trigger="manual",
            reason=request.reason,
            by=request.by or "unknown",
        )
        # each call is a wish of its own, so its name is made here, by chance
        name = f"manual-{request.pipeline}-{secrets.token_hex(6)}"
        return TrainReply(request_id=self._ask(Train(name, message, here())))

    @answers
    def Cancel(self, request: CancelRequest, context: grpc.ServicerContext) -> CancelReply:
        cancelled, reason = self._ask(Cancel(request.run_id, request.by))
        return CancelReply(cancelled=cancelled, reason=reason)

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
