"""gRPC on loopback: errors as status, health, limits, a port in use."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from driftloop.contracts import registry_pb2, registry_pb2_grpc
from driftloop.contracts.model_pb2 import ModelVersion
from driftloop.kit import rpc
from driftloop.kit.clock import FakeClock
from driftloop.kit.errors import Malformed, Refused, Unavailable
from driftloop.kit.health import WATCHERS_MAX, WHOLE, Health
from tests.support.eventually import eventually

NOT_FOUND = Refused("no flights@9: there are 1 to 7", status="NOT_FOUND")


class Servicer(registry_pb2_grpc.RegistryServicer):
    """Raises what it was given."""

    error: Exception = Refused("no")

    @rpc.answers
    def Model(self, request: Any, context: grpc.ServicerContext) -> ModelVersion:
        if request.version:
            return ModelVersion(pipeline=request.pipeline, version=request.version)
        raise self.error

    @rpc.answers
    def Rollback(self, request: Any, context: grpc.ServicerContext) -> Any:
        context.abort(grpc.StatusCode.DATA_LOSS, "own words")

    @rpc.answers
    def Download(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        yield registry_pb2.ArtifactChunk(data=bytes(2**20))
        raise self.error


@pytest.fixture
def servicer() -> Servicer:
    return Servicer()


@pytest.fixture
def health() -> Health:
    return Health()


@pytest.fixture
def server(servicer: Servicer, health: Health) -> Iterator[rpc.Server]:
    def add(to: grpc.Server) -> None:
        registry_pb2_grpc.add_RegistryServicer_to_server(servicer, to)

    server = rpc.serve([add, health.add], "127.0.0.1", 0)
    yield server
    server.stop(0)


@pytest.fixture
def channel(server: rpc.Server) -> Iterator[grpc.Channel]:
    with rpc.channel(f"127.0.0.1:{server.port}") as channel:
        yield channel


def test_an_answer_comes_through(channel: grpc.Channel) -> None:
    stub = registry_pb2_grpc.RegistryStub(channel)
    assert stub.Model(registry_pb2.ModelRequest(pipeline="flights", version=7)).version == 7


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (Refused("no such thing"), grpc.StatusCode.INVALID_ARGUMENT, "no such thing"),
        (NOT_FOUND, grpc.StatusCode.NOT_FOUND, "no flights@9: there are 1 to 7"),
        (Malformed("not a window"), grpc.StatusCode.INVALID_ARGUMENT, "not a window"),
        (Unavailable("no broker"), grpc.StatusCode.UNAVAILABLE, "no broker"),
        (KeyError("x"), grpc.StatusCode.INTERNAL, "KeyError: 'x'"),
    ],
)
def test_an_error_has_the_status_that_says_what_to_do(
    servicer: Servicer,
    channel: grpc.Channel,
    error: Exception,
    status: grpc.StatusCode,
    text: str,
) -> None:
    servicer.error = error
    stub = registry_pb2_grpc.RegistryStub(channel)
    with pytest.raises(grpc.RpcError) as failed:
        stub.Model(registry_pb2.ModelRequest())
    assert (failed.value.code(), failed.value.details()) == (status, text)
    with pytest.raises(grpc.RpcError) as broken:
        list(stub.Download(registry_pb2.ArtifactRequest()))
    assert (broken.value.code(), broken.value.details()) == (status, text)


def test_a_servicer_may_use_its_own_words(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as failed:
        registry_pb2_grpc.RegistryStub(channel).Rollback(registry_pb2.RollbackRequest())
    assert failed.value.code() == grpc.StatusCode.DATA_LOSS


def test_health_says_what_runs(health: Health, channel: grpc.Channel) -> None:
    stub = health_pb2_grpc.HealthStub(channel)

    def status(service: str) -> int:
        return int(stub.Check(health_pb2.HealthCheckRequest(service=service)).status)

    answer = health_pb2.HealthCheckResponse
    assert status(WHOLE) == answer.NOT_SERVING
    health.set(WHOLE, serving=True)
    health.set_all({"windows-flights": True, "join-flights": False})
    assert status(WHOLE) == status("windows-flights") == answer.SERVING
    assert status("join-flights") == answer.NOT_SERVING
    health.end()
    assert status(WHOLE) == answer.NOT_SERVING


def test_those_who_watch_never_take_the_places_of_calls(
    server: rpc.Server, channel: grpc.Channel, health: Health
) -> None:
    health.set(WHOLE, serving=True)
    stub = health_pb2_grpc.HealthStub(channel)
    request = health_pb2.HealthCheckRequest()
    watching = [stub.Watch(request) for _ in range(WATCHERS_MAX)]
    for one in watching:
        next(one)

    with pytest.raises(grpc.RpcError) as refused:
        next(stub.Watch(request))
    assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED

    # a client that would watch us calls all the same
    questions = ["driftloop.v1.Registry"]
    with rpc.channel(f"127.0.0.1:{server.port}", questions=questions) as spread:
        asked = registry_pb2.ModelRequest(pipeline="flights", version=7)
        assert registry_pb2_grpc.RegistryStub(spread).Model(asked, timeout=10).version == 7

    for one in watching:
        one.cancel()
    eventually(lambda: next(stub.Watch(request)))


def test_a_port_in_use_is_refused_by_its_number(server: rpc.Server) -> None:
    with pytest.raises(Refused, match=f"127.0.0.1:{server.port} .*GRPC_PORT"):
        rpc.serve([], "127.0.0.1", server.port)


def test_missing_tls_files_are_refused_by_name(tmp_path: Any) -> None:
    from driftloop.kit.config import Tls

    with pytest.raises(Refused, match=r"cert\.pem"):
        rpc.serve([], "127.0.0.1", 0, Tls(tmp_path / "cert.pem", tmp_path / "cert.pem"))


def test_each_call_that_ends_is_told_of_with_its_status(servicer: Servicer) -> None:
    told: list[tuple[str, str]] = []

    def add(to: grpc.Server) -> None:
        registry_pb2_grpc.add_RegistryServicer_to_server(servicer, to)

    timed = rpc.Timed(lambda name, code, seconds: told.append((name, code)), FakeClock())
    server = rpc.serve([add], "127.0.0.1", 0, interceptors=[timed])
    with rpc.channel(f"127.0.0.1:{server.port}") as channel:
        stub = registry_pb2_grpc.RegistryStub(channel)
        stub.Model(registry_pb2.ModelRequest(version=7))
        with pytest.raises(grpc.RpcError):
            stub.Model(registry_pb2.ModelRequest())
        with pytest.raises(grpc.RpcError):
            stub.Rollback(registry_pb2.RollbackRequest())
        with pytest.raises(grpc.RpcError):
            stub.Apply(registry_pb2.ApplyRequest())
        servicer.error = NOT_FOUND
        with pytest.raises(grpc.RpcError):
            list(stub.Download(registry_pb2.ArtifactRequest()))
    server.stop(0)
    eventually(lambda: len(told) == 5, 5)
    assert told == [
        ("Registry/Model", "OK"),
        ("Registry/Model", "INVALID_ARGUMENT"),
        ("Registry/Rollback", "DATA_LOSS"),
        ("Registry/Apply", "UNIMPLEMENTED"),
        ("Registry/Download", "NOT_FOUND"),
    ]
