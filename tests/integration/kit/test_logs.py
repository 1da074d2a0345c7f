"""What comes out of real processes when things fail: JSON lines, and never a secret."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.integration.running import Service, running
from tests.support.eventually import eventually
from tests.support.kafka import SharedKafka

SECRET, KEY_SECRET = "hunter-2-of-sasl", "hunter-2-of-the-key"
HEAD = ("time", "level", "service", "replica", "logger", "message")


def test_a_service_whose_login_fails_says_so_in_json_and_shows_no_secret(
    kafka: SharedKafka, prefix: str, tmp_path: Path
) -> None:
    """Its broker knows no SASL; librdkafka tells all that it does."""
    settings = {
        "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "KAFKA_SASL_MECHANISMS": "PLAIN",
        "KAFKA_SASL_USERNAME": "ann",
        "KAFKA_SASL_PASSWORD": SECRET,
        "KAFKA_SSL_KEY_PASSWORD": KEY_SECRET,
        "KAFKA_DEBUG": "security,broker,conf,protocol",
        "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer {SECRET}-otlp",
        "DRIFTLOOP_LOG_LEVEL": "debug",
    }
    service = Service("evaluation", kafka, prefix, tmp_path, settings)
    log = tmp_path / "evaluation.log"
    with running(service):
        eventually(lambda: "no Kafka broker answers" in log.read_text(), 60)
        eventually(lambda: '"logger": "driftloop.kafka"' in log.read_text(), 20)
        told = _driftloop(service, settings)

    lines = _lines(log.read_text())
    assert {line["service"] for line in lines} == {"evaluation"}
    for secret in (SECRET, KEY_SECRET):
        assert secret not in log.read_text()
        assert secret not in told
    assert "cannot tell" in told


def test_a_wrong_setting_is_named_without_its_secret(
    kafka: SharedKafka, prefix: str, tmp_path: Path
) -> None:
    settings = {"GRPC_PORT": f"https://ann:{SECRET}@host", "KAFKA_SASL_PASSWORD": SECRET}
    service = Service("evaluation", kafka, prefix, tmp_path, settings)
    with running(service):
        assert service.process is not None
        assert service.process.wait(60) == 2

    said = (tmp_path / "evaluation.log").read_text()
    assert "GRPC_PORT" in said
    assert SECRET not in said


def test_other_libraries_warnings_children_and_a_crash_come_out_as_lines() -> None:
    command = [sys.executable, "-m", "tests.integration.kit.chatter", SECRET]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)

    lines = _lines(done.stderr)
    by_logger = {line["logger"]: line for line in lines}
    assert {"uvicorn.error", "faust", "py.warnings", "driftloop.chatter"} <= set(by_logger)
    fitted = by_logger["services.training.fit"]
    assert (fitted["run_id"], fitted["pipeline"], fitted["service"]) == ("run-7", "sea", "chatter")
    assert (lines[-1]["level"], done.returncode) == ("critical", 1)
    assert "RuntimeError" in lines[-1]["error"]
    assert SECRET not in done.stderr
    assert done.stdout == ""


def _lines(text: str) -> list[dict[str, Any]]:
    """Each line of the log as JSON, with the head that all have."""
    lines = [json.loads(line) for line in text.splitlines()]
    for line in lines:
        assert tuple(line)[: len(HEAD)] == HEAD, line
    return lines


def _driftloop(service: Service, settings: dict[str, str]) -> str:
    """What a person with the same settings is told."""
    environ = {**os.environ, **settings, "KAFKA_BOOTSTRAP": service.kafka.bootstrap}
    command = [sys.executable, "-m", "driftloop.cli", "status"]
    done = subprocess.run(
        command, env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2, done.stderr
    return done.stdout + done.stderr
