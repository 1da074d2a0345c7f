"""The registry as a process on a real Kafka: topics, runs, kill -9 and what is known afterwards."""

from __future__ import annotations

import signal
from pathlib import Path

import grpc

from driftloop.contracts.registry_pb2 import (
    ApplyRequest,
    ModelRequest,
    RollbackRequest,
    RunsReply,
    RunsRequest,
    WhoServedRequest,
)
from driftloop.contracts.registry_pb2_grpc import RegistryStub
from driftloop.kit.kafka import KafkaBroker
from services.registry import topology
from tests.integration.running import Service, running
from tests.support.eventually import eventually
from tests.support.kafka import SharedKafka
from tests.unit.registry.stories import evaluated, resolved, trained
from tests.unit.registry.test_rpc import YAML, uploaded


def test_a_run_goes_through_a_kill_of_the_registry_and_all_of_it_is_known_afterwards(
    kafka: SharedKafka, prefix: str, tmp_path: Path
) -> None:
    registry = Service("registry", kafka, prefix, tmp_path)
    broker = KafkaBroker(kafka.properties, prefix)
    with running(registry), registry.channel() as channel:
        stub = RegistryStub(channel)
        applied = eventually(lambda: _applied(stub), 60)
        assert broker.differences(topology.pipeline("flights", 1, 3)) == []
        assert broker.differences(topology.control()) == []
        uploaded(stub, b"a")
        uploaded(stub, b"b")
        broker.append([resolved("r1"), trained("r1", "a"), evaluated("r1", "a")])
        eventually(lambda: _outcomes(stub) == ["released"], 20)

        registry.end(signal.SIGKILL)
        broker.append([resolved("r2"), trained("r2", "b"), evaluated("r2", "b", champion=1)])
        registry.start()

        eventually(lambda: _outcomes(stub) == ["released", "released"], 60)
        assert stub.Model(ModelRequest(pipeline="flights")).version == 2
        assert stub.Apply(ApplyRequest(yaml=YAML)).pipeline.digest == applied
        assert stub.Rollback(RollbackRequest(pipeline="flights", by="ann")).version == 1
        assert stub.WhoServed(WhoServedRequest(pipeline="flights")).released.by == "ann"
        assert registry.end() == 0
    broker.close()


def _applied(stub: RegistryStub) -> str:
    try:
        return stub.Apply(ApplyRequest(yaml=YAML), timeout=10).pipeline.digest
    except grpc.RpcError:
        return ""


def _outcomes(stub: RegistryStub) -> list[str]:
    try:
        reply: RunsReply = stub.Runs(RunsRequest(pipeline="flights"), timeout=2)
    except grpc.RpcError:
        return []
    return [run.finished.outcome for run in reply.runs]
