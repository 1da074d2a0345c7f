"""The live view as a process against a real Kafka: pulses in, `driftloop.live` and a page out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from driftloop.contracts import topics
from driftloop.contracts.pulse_pb2 import LoopPulse, Pulse
from driftloop.kit import probe
from driftloop.kit.broker import TopicSpec
from driftloop.kit.clock import SystemClock
from driftloop.kit.events import event, read_event
from driftloop.kit.kafka import KafkaBroker
from infra.local import ports
from tests.support import eventually
from tests.support.kafka import SharedKafka


@pytest.fixture
def broker(kafka: SharedKafka, prefix: str) -> Iterator[KafkaBroker]:
    broker = KafkaBroker(kafka.properties, prefix)
    yield broker
    broker.close()


def test_pulses_become_rates_by_service_and_a_page(
    kafka: SharedKafka, broker: KafkaBroker, prefix: str, tmp_path: Path
) -> None:
    port = ports.free(1)[0]
    settings = {
        "KAFKA_BOOTSTRAP": kafka.bootstrap,
        "DRIFTLOOP_NAMESPACE": prefix,
        "DRIFTLOOP_DATA": str(tmp_path),
        "DRIFTLOOP_LOG": "json",
        "LIVE_PORT": str(port),
    }
    log = tmp_path / "log"
    with log.open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.monitor.live"],
            env={**os.environ, **settings},
            stderr=stderr,
        )
    try:
        eventually(lambda: "the registry makes them" in log.read_text(), within_s=20)
        create(broker)
        address = f"http://127.0.0.1:{port}/healthz"
        eventually(lambda: "503" in probe.by_http(address), within_s=30, every_s=0.1)
        rates = eventually(lambda: told(broker), within_s=60, every_s=1.0)
        assert 50 < rates < 200
        assert probe.by_http(address) == ""
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/live") as page:
            assert json.loads(page.read())[0]["replicas"] == {"serving": "1"}
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as page:
            assert b"<h2>flights@7</h2>" in page.read()
        process.terminate()
        assert process.wait(20) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()


def create(broker: KafkaBroker) -> None:
    for topic in (topics.PULSE, topics.LIVE, topics.LIVE_STATE):
        broker.create([TopicSpec(topic.topic().name, 1)])


def told(broker: KafkaBroker) -> float:
    """One more pulse, of a process that takes 100 rows a second; the newest rate that was told."""
    now_ms = SystemClock().ms()
    loop = LoopPulse(
        loop="score-flights", pipeline="flights", rows_in=now_ms // 10, model_version=7
    )
    pulse = Pulse(service="serving", replica="serving-0", at_ms=now_ms, started_ms=1, loops=[loop])
    emit = event(
        topics.PULSE.topic(), pulse, id="x", source="/test", time_ms=now_ms, key="serving-0"
    )
    broker.append([emit])
    name = topics.LIVE.topic().name
    _, end = broker.bounds(name, 0)
    newest = list(broker.read(name, 0, max(0, end - 1), end))
    message = topics.LIVE.topic().message
    assert message is not None
    return read_event(newest[-1], message).message.rows_per_s["serving"] if newest else 0.0
