"""The kill matrix without Docker: each of the seven services and Kafka itself killed under load,
Kafka standing still, every process restarted in turn; the loop closes without a hand, nothing is
lost, nothing is doubled, and no call fails where a second replica serves.

The long form kills every process several times, in pairs too, and lets Kafka stand for 30 s.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import grpc
import pytest

from driftloop import spec
from driftloop.client.calls import QUESTIONS, infer_request
from driftloop.contracts.inference_pb2_grpc import GRPCInferenceServiceStub
from driftloop.kit import rpc
from infra.local.stack import Stack
from infra.tools import sea
from tests.e2e.conftest import DRIFT, ROWS
from tests.support.eventually import eventually
from tests.support.kills import KAFKA, SERVICES, exact, flow, kill, pause, roll, through, whole
from tests.support.loop import PIPELINES, World, last_us

ROUNDS = 3
PAIRS = (
    ("ingestion", "features"), ("features", "serving"), ("serving", "registry"),
    ("training", "registry"), ("monitor", "evaluation"), ("ingestion", KAFKA), ("training", KAFKA),
)  # fmt: skip


@pytest.mark.timeout(300, func_only=True)
def test_every_process_killed_and_kafka_paused_once_loses_and_doubles_nothing(
    world: World,
) -> None:
    stream = "sea-kills"
    world.declare(stream)
    events = list(sea.events(ROWS, DRIFT))
    faults = [*(kill(name) for name in SERVICES), kill(KAFKA), pause(KAFKA, 7.0)]
    through(world, stream, events, faults)
    whole(world, stream, events)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A stack with two replicas of those that answer what is asked in passing."""
    folder, twice = tmp_path_factory.mktemp("pair"), {"features": 2, "serving": 2}
    with Stack(folder, replicas=twice) as stack, World.of(stack) as world:
        yield world


@pytest.mark.soak  # two minutes, most of them the start of nine processes
@pytest.mark.timeout(300, func_only=True)
def test_a_rolling_restart_of_all_services_fails_no_call_and_loses_nothing(pair: World) -> None:
    stream, before = "sea-rolling", 4_000
    pair.declare(stream)
    events = list(sea.events(ROWS // 2, ROWS))  # without a drift
    pair.produce(stream, events[:before])
    eventually(lambda: pair.released(stream), within_s=60, every_s=0.3)
    with asking(pair, stream) as told:
        eventually(lambda: told["answered"] > 20, within_s=30)
        told.clear()  # each of the two took the model up at its own time
        flow(pair, stream, events[before:], [roll(name) for name in pair.stack.layout.grpc])
    assert set(told) == {"answered"}
    pair.end(stream, last_us(events))
    exact(pair, stream, events)


@contextmanager
def asking(world: World, stream: str) -> Iterator[Counter[str]]:
    """Somebody who asks the model without a pause, and what came of it."""
    told, stop = Counter[str](), threading.Event()
    width = len(spec.parse((PIPELINES / "sea.yaml").read_text()).feature_names())
    request = infer_request(stream, [[1.0] * width])

    def ask(channel: grpc.Channel) -> None:
        stub = GRPCInferenceServiceStub(channel)
        while not stop.wait(0.01):
            try:
                stub.ModelInfer(request, timeout=10)
                told["answered"] += 1
            except grpc.RpcError as error:
                told[error.code().name] += 1

    with rpc.channel(world.stack.environ["DRIFTLOOP_SERVING"], questions=QUESTIONS) as channel:
        asker = threading.Thread(target=ask, args=(channel,))
        asker.start()
        try:
            yield told
        finally:
            stop.set()
            asker.join()


@pytest.mark.soak
@pytest.mark.timeout(1_200, func_only=True)
def test_many_kills_pairs_of_kills_and_a_long_pause_lose_and_double_nothing(world: World) -> None:
    stream = "sea-many-kills"
    world.declare(stream)
    events = list(sea.events(6 * ROWS, 3 * ROWS))
    once = [kill(name) for name in (*SERVICES, KAFKA)]
    faults = [*(once * ROUNDS), *(kill(*pair) for pair in PAIRS), pause(KAFKA, 30.0)]
    through(world, stream, events, faults)
    whole(world, stream, events)
