"""Kafka comes late: the services are up first, say so once, and start when it is there."""

from __future__ import annotations

import json
from pathlib import Path

import grpc
import pytest

from driftloop.contracts.registry_pb2 import ApplyRequest
from driftloop.contracts.registry_pb2_grpc import RegistryStub
from infra.local.kafka import Kafka
from infra.local.ready import serving
from tests.integration.running import Service, a_free_port, running
from tests.support.eventually import eventually
from tests.support.kafka import SharedKafka
from tests.support.loop import PIPELINES


def lines(service: Service) -> list[dict[str, str]]:
    text = (service.folder / f"{service.name}.log").read_text()
    return [json.loads(line) for line in text.splitlines()]


def warnings(service: Service) -> list[str]:
    return [line["message"] for line in lines(service) if line["level"] not in ("info", "debug")]


def applied(registry: Service) -> bool:
    """The pipeline is declared; the registry takes its loop up a little after it serves."""
    asked = ApplyRequest(yaml=(PIPELINES / "sea.yaml").read_text(), by="test")
    with registry.channel() as channel:
        try:
            RegistryStub(channel).Apply(asked, timeout=30)
        except grpc.RpcError as error:
            assert error.code() is grpc.StatusCode.UNAVAILABLE, error.details()
            return False
    return True


@pytest.mark.timeout(180)
def test_services_wait_for_a_broker_that_comes_late_and_say_so_once(tmp_path: Path) -> None:
    port = a_free_port()
    late = SharedKafka(f"127.0.0.1:{port}", {"bootstrap.servers": f"127.0.0.1:{port}"})
    registry = Service("registry", late, "", tmp_path / "registry")
    settings = {"DRIFTLOOP_REGISTRY": registry.address}
    answers = Service("serving", late, "", tmp_path / "serving", settings)
    monitor = Service("monitor", late, "", tmp_path / "monitor", settings)  # nobody calls it
    others = (answers, monitor)
    with running(registry, *others):
        for service in (registry, *others):
            eventually(lambda: warnings(service), within_s=60)  # noqa: B023  # asked in this turn
            assert service is monitor or not serving(service.address)

        with Kafka(tmp_path / "kafka", port=port, heap_mb=256, brief=True):
            for service in (registry, *others):
                eventually(lambda: serving(service.address), within_s=60, every_s=0.1)  # noqa: B023
            eventually(lambda: applied(registry), within_s=30, every_s=0.1)
            loop = "scores-sea"
            eventually(lambda: serving(answers.address, loop), within_s=30, every_s=0.1)

            for service in (registry, *others):
                (said,) = [line for line in warnings(service) if "begins anew" not in line]
                assert said.startswith(f"no Kafka broker answers at {late.bootstrap}: `make run`")
                assert any(line["message"] == "the broker answers" for line in lines(service))
