"""Features wired up: when it is ready to be asked, and its channels to the other replicas."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from driftloop.contracts import topics
from driftloop.contracts.pulse_pb2 import LoopPulse, Pulse
from driftloop.contracts.transform_pb2 import TransformRequest
from driftloop.contracts.transform_pb2_grpc import FeatureStoreStub
from driftloop.kit.broker import TopicSpec
from driftloop.kit.clock import FakeClock
from driftloop.kit.config import Common
from driftloop.kit.loops import Loops
from driftloop.kit.memory import MemoryBroker
from driftloop.kit.metrics import Metrics
from driftloop.kit.rpc import channel, serve
from driftloop.kit.run import Kit
from services.features.app import Elsewhere, build
from services.features.config import Config
from tests.support import eventually


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Kit]:
    broker, clock, metrics = MemoryBroker(), FakeClock(), Metrics()
    loops, stopping = Loops(broker, clock, metrics), threading.Event()
    kit = Kit(
        "features", "features-0", "0", broker, clock, metrics, Common(), loops, tmp_path, stopping
    )
    yield kit
    stopping.set()
    kit.close()


def test_it_is_ready_once_it_has_read_what_is_declared_and_says_until_then_ask_again(
    kit: Kit,
) -> None:
    app = build(Config(), kit)
    server = serve(app.servicers, "127.0.0.1", 0)
    with channel(f"127.0.0.1:{server.port}") as to:
        assert app.start is not None and app.stop is not None
        app.start()
        assert (app.ready(), code(to)) == (False, grpc.StatusCode.UNAVAILABLE)
        kit.broker.create([TopicSpec(topics.PIPELINES.topic().name, 1)])
        eventually(app.ready)
        assert code(to) == grpc.StatusCode.NOT_FOUND
        app.stop()
    server.stop(0.0)


def test_a_channel_to_another_replica_is_kept_while_it_pulses_and_then_closed(kit: Kit) -> None:
    elsewhere, clock = Elsewhere(kit), kit.clock
    assert isinstance(clock, FakeClock)
    elsewhere.heard(a_pulse("127.0.0.1:1"))
    stub = elsewhere.of("sea")
    assert stub is not None
    clock.advance(60.0)
    elsewhere.heard(a_pulse("127.0.0.1:2"))
    assert refused(stub) == grpc.StatusCode.UNAVAILABLE  # nobody there, and asked all the same
    clock.advance(1.0)
    elsewhere.heard(a_pulse("127.0.0.1:2"))
    with pytest.raises(ValueError, match="closed channel"):
        refused(stub)


def a_pulse(address: str) -> Pulse:
    loop = LoopPulse(loop="windows-sea", pipeline="sea", state="running")
    return Pulse(service="features", address=address, loops=[loop])


def code(to: grpc.Channel) -> grpc.StatusCode:
    return refused(FeatureStoreStub(to))


def refused(stub: FeatureStoreStub) -> grpc.StatusCode:
    with pytest.raises(grpc.RpcError) as error:
        stub.Transform(TransformRequest(pipeline="sea", rows=["{}"]), timeout=5)
    found: grpc.StatusCode = error.value.code()
    return found
