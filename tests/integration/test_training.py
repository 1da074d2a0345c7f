"""From a request to a released model: registry, training and evaluation as processes on a real
Kafka.

Training is killed in the middle of a run; the run still ends once.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import psutil
import pytest

from driftloop.contracts import topics
from driftloop.contracts.evaluation_pb2 import ReplayRequest
from driftloop.contracts.evaluation_pb2_grpc import EvaluationStub
from driftloop.contracts.model_pb2 import ModelEvaluated, ModelReleased, ModelTrained, RunFinished
from driftloop.contracts.registry_pb2 import ApplyRequest
from driftloop.contracts.registry_pb2_grpc import RegistryStub
from driftloop.contracts.retrain_pb2 import RetrainRequested, RetrainResolved, TrainingProgress
from driftloop.contracts.training_pb2 import TrainRequest
from driftloop.contracts.training_pb2_grpc import TrainingStub
from driftloop.kit.events import event, read_event
from driftloop.kit.kafka import KafkaBroker
from driftloop.kit.topic import Emit
from infra.local.ports import free
from tests.support.eventually import eventually
from tests.support.kafka import SharedKafka
from tests.unit.training.examples import emits

ROOT = Path(__file__).parents[2]
ROWS = 3_000
WIDTH = 8  # features of sea.yaml
KINDS = {
    topics.RETRAIN_RESOLVED.topic().name: RetrainResolved,
    topics.TRAINING_PROGRESS.topic().name: TrainingProgress,
    topics.MODEL_TRAINED.topic().name: ModelTrained,
    topics.MODEL_EVALUATED.topic().name: ModelEvaluated,
    topics.MODEL_RELEASED.topic().name: ModelReleased,
    topics.RUN_FINISHED.topic().name: RunFinished,
}


@dataclass
class House:
    """The three services of one test, by name, and its own corner of the broker."""

    kafka: SharedKafka
    namespace: str
    folder: Path
    broker: KafkaBroker
    ports: dict[str, int]
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)

    def start(self, name: str) -> None:
        """Start, or start again after a kill."""
        others = {
            f"DRIFTLOOP_{other.upper()}": f"127.0.0.1:{port}" for other, port in self.ports.items()
        }
        kafka = {
            f"KAFKA_{key.upper().replace('.', '_')}": value
            for key, value in self.kafka.properties.items()
        }
        environ = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("KAFKA_", "DRIFTLOOP_"))},
            **others, **kafka, **self.settings,
            "KAFKA_BOOTSTRAP": self.kafka.bootstrap, "DRIFTLOOP_NAMESPACE": self.namespace,
            "DRIFTLOOP_DATA": str(self.folder / name), "DRIFTLOOP_SLOT": "0",
            "DRIFTLOOP_PARENT": str(os.getpid()), "GRPC_PORT": str(self.ports[name]),
            "METRICS_PORT": "0", "REGISTRY_ARTIFACTS": str(self.folder / "artifacts"),
        }  # fmt: skip
        if name != "registry":
            del environ["REGISTRY_ARTIFACTS"]
        with (self.folder / f"{name}.log").open("ab") as log:
            command = [sys.executable, "-m", f"services.{name}"]
            self.running[name] = subprocess.Popen(
                command, cwd=ROOT, env=environ, stdout=log, stderr=log
            )

    def kill(self, name: str) -> None:
        self.running[name].kill()
        self.running[name].wait()

    def stop(self) -> None:
        for process in self.running.values():
            process.send_signal(signal.SIGTERM)
        for process in self.running.values():
            process.wait(timeout=20)

    def channel(self, name: str) -> grpc.Channel:
        return grpc.insecure_channel(f"127.0.0.1:{self.ports[name]}")

    def log(self, topic: Any) -> list[Any]:
        """All events of a control topic."""
        name = topic.topic().name
        if self.broker.partitions(name) is None:
            return []
        records = self.broker.read(name, 0, *self.broker.bounds(name, 0))
        return [read_event(record, KINDS[name]).message for record in records]

    def trouble(self) -> str:
        """The ends of all logs, for a test that fails."""
        return "\n".join(
            f"--- {path.name}\n{path.read_text()[-2_000:]}" for path in self.folder.glob("*.log")
        )


@contextmanager
def a_house(
    kafka: SharedKafka, namespace: str, folder: Path, settings: Mapping[str, str] | None = None
) -> Iterator[House]:
    services = ("registry", "training", "evaluation")
    ports = dict(zip(services, free(3), strict=True))
    with ExitStack() as ends:
        broker = KafkaBroker(kafka.properties, namespace)
        ends.callback(broker.close)
        house = House(kafka, namespace, folder, broker, ports, settings=settings or {})
        ends.callback(house.stop)
        for name in ports:
            house.start(name)
        yield house


def applied(house: House) -> bool:
    """The pipeline `sea` is declared, and its topics are made."""
    yaml = (ROOT / "infra/pipelines/sea.yaml").read_text()
    with house.channel("registry") as channel:
        try:
            RegistryStub(channel).Apply(ApplyRequest(yaml=yaml, by="test"), timeout=20)
        except grpc.RpcError as error:
            raise AssertionError(f"{error.details()}\n{house.trouble()}") from error
    return True


def labelled(rows: int = ROWS, *, seed: int = 1, first: int = 0) -> list[Emit]:
    """Examples of which the first column tells."""
    chance = np.random.default_rng(seed)
    vectors = chance.standard_normal((rows, WIDTH)).astype(np.float32)
    target = (vectors[:, 0] + chance.standard_normal(rows) * 0.5 > 0).astype(np.float64)
    return emits(vectors, target, "sea", size=20, first=first)


def request(name: str) -> Emit:
    message = RetrainRequested(pipeline="sea", trigger="first", reason="enough rows")
    return event(
        topics.RETRAIN_REQUESTED.topic(), message, id=name, source="/test", time_ms=1, key="sea"
    )


def ended(house: House, count: int) -> Callable[[], list[Any]]:
    def fact() -> list[Any]:
        ends = house.log(topics.RUN_FINISHED)
        assert len(ends) >= count, f"{len(ends)} of {count} runs have ended\n{house.trouble()}"
        return ends

    return fact


@pytest.mark.timeout(180)
def test_a_request_becomes_a_released_model_and_a_killed_run_or_fit_ends_once(
    kafka: SharedKafka, prefix: str, tmp_path: Path
) -> None:
    with a_house(kafka, prefix, tmp_path) as house:
        eventually(lambda: applied(house), within_s=60)
        house.broker.append(labelled())

        house.broker.append([request("r1")])
        (first,) = eventually(ended(house, 1), within_s=60)
        assert (first.outcome, first.version) == ("released", 1), first.reason
        (trained,), (judged,) = house.log(topics.MODEL_TRAINED), house.log(topics.MODEL_EVALUATED)
        assert [one.error for one in trained.candidates] == ["", "", ""]
        assert 0.8 < max(one.metrics.auc for one in judged.verdicts) < 1.0
        (released,) = house.log(topics.MODEL_RELEASED)
        assert released.digest == judged.winner_digest
        replayed(house, trained, judged)

        house.broker.append(labelled(seed=2, first=ROWS))
        killed_in_the_middle(house)
        second = eventually(ended(house, 2), within_s=60)[1]
        assert second.outcome in ("released", "rejected"), second.reason
        runs = [one.run_id for one in house.log(topics.MODEL_TRAINED)]
        assert runs == [first.run_id, second.run_id]

        house.broker.append([request("r3")])
        killed_for_memory(house)
        third = eventually(ended(house, 3), within_s=60)[2]
        assert third.outcome == "failed"
        assert "where memory runs out" in third.reason
        house.broker.append([request("r4")])
        fourth = eventually(ended(house, 4), within_s=60)[3]
        assert fourth.outcome in ("released", "rejected"), fourth.reason
        answers = [one.outcome for one in house.log(topics.RETRAIN_RESOLVED)]
        assert answers == ["accepted"] * 4


def killed_in_the_middle(house: House) -> None:
    """A person asks; training is killed once the fit has begun, and started again."""
    with house.channel("training") as channel:
        asked = TrainRequest(pipeline="sea", reason="to see", by="test")
        reply = TrainingStub(channel).Train(asked, wait_for_ready=True, timeout=20)
    assert reply.request_id.startswith("manual-sea-")
    eventually(lambda: len(house.log(topics.RETRAIN_RESOLVED)) == 2, within_s=20)
    house.kill("training")
    house.start("training")


def killed_for_memory(house: House) -> None:
    """The fit's process alone is killed, as the kernel chooses it; the service goes on."""
    service = psutil.Process(house.running["training"].pid)

    def fitting() -> list[psutil.Process]:
        return [fit for server in service.children() for fit in server.children()]

    eventually(fitting, within_s=20)[0].kill()
    assert service.is_running()


def replayed(house: House, trained: ModelTrained, judged: ModelEvaluated) -> None:
    """Any model on any window, by call: the same figures again."""
    verdict = next(one for one in judged.verdicts if one.name == judged.winner)
    with house.channel("evaluation") as channel:
        asked = ReplayRequest(pipeline="sea", version=1, window=trained.holdout)
        reply = EvaluationStub(channel).Replay(asked, timeout=60)
    assert reply.metrics == verdict.metrics
