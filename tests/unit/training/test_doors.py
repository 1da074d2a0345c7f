"""Training's questions about the record: one rebuild at a time, and a refusal in words."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import grpc
import pytest

from driftloop.contracts.model_pb2 import ModelVersion, Span
from driftloop.contracts.retrain_pb2 import RetrainRequested
from driftloop.contracts.training_pb2 import RebuildReply, RebuildRequest, TrainRequest
from driftloop.contracts.training_pb2_grpc import TrainingStub, add_TrainingServicer_to_server
from driftloop.kit import rpc
from driftloop.kit.child import Finished
from driftloop.kit.clock import SystemClock
from driftloop.kit.inbox import Inbox
from services.training.housekeeping import Housekeeping
from services.training.jobs import Command, Train
from services.training.rpc import Doors
from tests.support.eventually import eventually


@dataclass
class Made:
    """Children that end when they are told to."""

    ends: Finished | None = None
    started: list[int] = field(default_factory=list)

    def start(self, model: ModelVersion) -> Made:
        self.started.append(model.version)
        return self

    def poll(self) -> Finished | None:
        return self.ends

    def progress(self) -> list[dict[str, Any]]:
        return []

    def cancel(self) -> None:
        self.ends = Finished(None, "cancelled")


@dataclass
class House:
    stub: TrainingStub
    made: Made
    inbox: Inbox[Command]


@pytest.fixture
def house() -> Iterator[House]:
    made, inbox = Made(), Inbox[Command]()
    models = SimpleNamespace(one=lambda pipeline, version: ModelVersion(version=version))
    keeping = cast(Housekeeping, SimpleNamespace(models=models))
    doors = Doors(inbox, lambda _: True, keeping, made.start, SystemClock(), answer_seconds_max=5.0)
    server = rpc.serve([partial(add_TrainingServicer_to_server, doors)], "127.0.0.1", 0)
    with rpc.channel(f"127.0.0.1:{server.port}") as channel:
        yield House(TrainingStub(channel), made, inbox)
    server.stop(0)


def test_rebuilds_go_one_at_a_time_and_the_second_is_told_so(house: House) -> None:
    asked = RebuildRequest(pipeline="sea", version=7)
    first = house.stub.Rebuild.future(asked, timeout=20)
    eventually(lambda: house.made.started == [7] or None, within_s=10)
    with pytest.raises(grpc.RpcError) as refused:
        house.stub.Rebuild(asked, timeout=10)
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    told = RebuildReply(version=7, equal=True).SerializeToString()
    house.made.ends = Finished({"reply": told})
    assert first.result().equal
    assert house.stub.Rebuild(asked, timeout=10).equal


@pytest.mark.parametrize(
    "ends", [Finished({"refused": "it says why"}), Finished(None, "it says why", killed=True)]
)
def test_what_cannot_be_made_again_is_refused_with_its_reason(house: House, ends: Finished) -> None:
    house.made.ends = ends
    with pytest.raises(grpc.RpcError) as refused:
        house.stub.Rebuild(RebuildRequest(pipeline="sea", version=7), timeout=10)
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert refused.value.details() == "it says why"


def test_a_retrain_on_event_times_asks_for_them_and_names_no_offsets(house: House) -> None:
    with pytest.raises(grpc.RpcError, match="wanted from before to"):
        house.stub.Train(TrainRequest(pipeline="sea", span=Span(from_us=9, to_us=9)), timeout=10)

    def wish() -> RetrainRequested | None:
        for command, future in house.inbox.take():
            assert isinstance(command, Train)
            future.set_result(command.request_id)
            return command.message
        return None

    with ThreadPoolExecutor(1) as beside:
        asked = TrainRequest(pipeline="sea", span=Span(from_us=5, to_us=9))
        reply = beside.submit(house.stub.Train, asked, timeout=10)
        message = eventually(wish, within_s=10)
        assert reply.result().request_id.startswith("manual-sea-")
    assert message is not None
    assert (message.window.from_us, message.window.to_us) == (5, 9)
    assert not message.window.ranges
