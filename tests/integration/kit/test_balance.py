"""A client of several replicas: calls go round those that serve, and none fails while one of them
starts or drains."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from driftloop.contracts import registry_pb2, registry_pb2_grpc
from driftloop.contracts.model_pb2 import ModelVersion
from driftloop.kit import balance, rpc
from driftloop.kit.health import WHOLE, Health
from tests.support.eventually import eventually

QUESTIONS = ("driftloop.v1.Registry",)


class Replica(registry_pb2_grpc.RegistryServicer):
    """Counts what it is asked; as a service's process, with health."""

    def __init__(self, port: int = 0, *, serving: bool = True) -> None:
        self.asked, self.health = 0, Health()
        self.health.set(WHOLE, serving=serving)
        add = registry_pb2_grpc.add_RegistryServicer_to_server
        added = [lambda server: add(self, server), self.health.add]
        self.server = rpc.serve(added, "127.0.0.1", port)

    def Model(self, request: Any, context: grpc.ServicerContext) -> ModelVersion:
        self.asked += 1
        return ModelVersion(pipeline=request.pipeline, version=1)

    def drain(self) -> None:
        """As kit.run does."""
        self.health.end()
        threading.Event().wait(0.3)
        self.server.stop()


@pytest.fixture
def replicas() -> Iterator[list[Replica]]:
    made = [Replica(), Replica()]
    yield made
    for replica in made:
        replica.server.stop(0.0)


def a_channel(replicas: list[Replica]) -> grpc.Channel:
    addresses = [f"127.0.0.1:{replica.server.port}" for replica in replicas]
    return rpc.channel(",".join(addresses), questions=QUESTIONS)


def ask(channel: grpc.Channel) -> ModelVersion:
    stub = registry_pb2_grpc.RegistryStub(channel)
    return stub.Model(registry_pb2.ModelRequest(pipeline="p", version=1), timeout=5)


def test_calls_go_round_the_replicas(replicas: list[Replica]) -> None:
    with a_channel(replicas) as channel:
        eventually(lambda: (ask(channel), all(replica.asked for replica in replicas))[1])
        before = [replica.asked for replica in replicas]
        for _ in range(20):
            ask(channel)
        assert [r.asked - b for r, b in zip(replicas, before, strict=True)] == [10, 10]


def test_a_replica_that_does_not_serve_yet_is_asked_nothing(replicas: list[Replica]) -> None:
    starting = Replica(serving=False)
    replicas.append(starting)
    with a_channel([replicas[0], starting]) as channel:
        for _ in range(20):
            ask(channel)
        assert (replicas[0].asked, starting.asked) == (20, 0)
        starting.health.set(WHOLE, serving=True)
        eventually(lambda: (ask(channel), starting.asked)[1])


def test_no_call_fails_while_a_replica_drains_and_comes_back(replicas: list[Replica]) -> None:
    stop, told = threading.Event(), Counter[str]()

    def keep_asking(channel: grpc.Channel) -> None:
        while not stop.is_set():
            try:
                ask(channel)
                told["answered"] += 1
            except grpc.RpcError as error:
                told[f"{error.code().name} {error.details()}"] += 1

    with a_channel(replicas) as channel:
        askers = [threading.Thread(target=keep_asking, args=(channel,)) for _ in range(4)]
        for asker in askers:
            asker.start()
        eventually(lambda: all(replica.asked > 20 for replica in replicas))
        gone = replicas[0]
        gone.drain()
        replicas.append(Replica(gone.server.port))
        eventually(lambda: replicas[-1].asked > 20)
        stop.set()
        for asker in askers:
            asker.join()
    assert set(told) == {"answered"}


def test_hosts_are_looked_up_and_one_that_is_unknown_left_out() -> None:
    assert balance.target("registry:17101") == "registry:17101"
    assert balance.target("localhost:1, 127.0.0.1:2") == "ipv4:127.0.0.1:1,127.0.0.1:2"
    assert balance.target("[::1]:1,[::1]:2") == "ipv6:[::1]:1,[::1]:2"
    assert balance.target("127.0.0.1:1,no-such-host.invalid:2") == "ipv4:127.0.0.1:1"


def test_where_no_host_is_known_yet_a_channel_is_made_and_its_calls_say_so() -> None:
    unknown = "no-such-host.invalid:1,nor-this.invalid:2"
    with (
        rpc.channel(unknown, questions=QUESTIONS) as channel,
        pytest.raises(grpc.RpcError) as error,
    ):
        ask(channel)
    assert error.value.code() == grpc.StatusCode.UNAVAILABLE
