"""Serving as a process on a real Kafka: a model swapped in, kill -9, the registry dark, a call."""

from __future__ import annotations

import json
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import grpc
import numpy as np

from driftloop.contracts import inference_pb2 as v2
from driftloop.contracts import topics
from driftloop.contracts.inference_pb2_grpc import GRPCInferenceServiceStub
from driftloop.contracts.model_pb2 import ModelReleased
from driftloop.contracts.registry_pb2 import ApplyRequest
from driftloop.contracts.registry_pb2_grpc import RegistryStub
from driftloop.kit.events import event
from driftloop.kit.kafka import KafkaBroker
from driftloop.kit.topic import Emit
from tests.integration.running import Service, running
from tests.support.eventually import eventually
from tests.support.kafka import SharedKafka
from tests.unit.registry.test_rpc import YAML, uploaded
from tests.unit.serving.nets import a_model
from tests.unit.serving.stories import an_envelope

PARTITIONS, ROWS = 3, 40
NAMES = ("x", "y")


def test_rows_are_answered_once_through_a_kill_and_with_the_registry_dark(
    kafka: SharedKafka, prefix: str, tmp_path: Path
) -> None:
    registry = Service("registry", kafka, prefix, tmp_path / "registry")
    settings = {"DRIFTLOOP_REGISTRY": registry.address}
    serving = Service("serving", kafka, prefix, tmp_path / "serving", settings)
    broker = KafkaBroker(kafka.properties, prefix)
    with running(registry, serving), registry.channel() as channel, serving.channel() as calls:
        stub = RegistryStub(channel)
        eventually(lambda: _applied(stub), 60)
        broker.append(envelopes("early"))
        eventually(lambda: len(scores(broker)) == PARTITIONS * ROWS, 60)
        broker.append([released(1, uploaded(stub, a_model(1.0, -1.0)))])
        eventually(lambda: {a["version"] for a in acknowledged(broker)} == {1}, 20)
        broker.append(envelopes("live"))
        eventually(lambda: len(scores(broker)) == 2 * PARTITIONS * ROWS, 20)

        serving.end(signal.SIGKILL)
        registry.end()
        broker.append(envelopes("dark"))
        serving.start()
        eventually(lambda: len(scores(broker)) >= 3 * PARTITIONS * ROWS, 60)
        reply = eventually(lambda: called(calls), 20)

        assert set(Counter(score["event_id"] for score in scores(broker)).values()) == {1}
        models = Counter((s["event_id"].split("-")[0], s.get("model")) for s in scores(broker))
        every = PARTITIONS * ROWS
        assert models == {
            ("early", None): every,
            ("live", "flights@1"): every,
            ("dark", "flights@1"): every,
        }
        assert acknowledged(broker)[0]["partitions"] == [0, 1, 2]
        assert reply.model_version == "1"
        assert serving.end() == 0
    broker.close()


def envelopes(name: str) -> list[Emit]:
    vectors = np.random.default_rng(1).normal(size=(ROWS, len(NAMES)))
    return [
        an_envelope(partition, [f"{name}-{partition}-{n}" for n in range(ROWS)], vectors)
        for partition in range(PARTITIONS)
    ]


def released(version: int, digest: str) -> Emit:
    message = ModelReleased(
        pipeline="flights",
        generation=1,
        version=version,
        digest=digest,
        run_id="r",
        inputs=NAMES,
        classes=("0", "1"),
        cause="release",
    )
    topic = topics.MODEL_RELEASED.topic()
    return event(topic, message, id="release", source="test", time_ms=1, key="flights.g1")


def called(channel: grpc.Channel) -> Any:
    request = v2.ModelInferRequest(model_name="flights")
    request.inputs.add(name="features", datatype="FP32", shape=[1, 2])
    request.raw_input_contents.append(np.zeros(2, "<f4").tobytes())
    try:
        return GRPCInferenceServiceStub(channel).ModelInfer(request, timeout=2)
    except grpc.RpcError:
        return None


def scores(broker: KafkaBroker) -> list[dict[str, Any]]:
    return _read(broker, topics.SCORES.topic("flights").name, PARTITIONS)


def acknowledged(broker: KafkaBroker) -> list[dict[str, Any]]:
    return _read(broker, topics.SERVING_ACKNOWLEDGED.topic().name, 1)


def _read(broker: KafkaBroker, topic: str, partitions: int) -> list[dict[str, Any]]:
    return [
        json.loads(record.value or b"")
        for number in range(partitions)
        for record in broker.read(topic, number, *broker.bounds(topic, number))
    ]


def _applied(stub: RegistryStub) -> bool:
    try:
        stub.Apply(ApplyRequest(yaml=YAML), timeout=10)
    except grpc.RpcError:
        return False
    return True
