"""A process's life, with real processes: it starts, says where, drains on a signal, and its status
says why it ended."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.support import eventually


class Process:
    """The probe, and the lines of its log."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.log = folder / "log"
        common = {"DRIFTLOOP_DATA": str(folder / "data"), "DRIFTLOOP_LOG": "json"}
        with self.log.open("w") as log:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", "tests.integration.kit.probe"],
                env={**os.environ, **common, **settings},
                stderr=log,
            )

    def lines(self) -> list[dict[str, Any]]:
        text = self.log.read_text()
        return [json.loads(line) for line in text.splitlines() if line.startswith("{")]

    def said(self, message: str) -> dict[str, Any]:
        lines = self.lines()
        found = [line for line in lines if message in line["message"]]
        assert found, [line["message"] for line in lines] or self.log.read_text()
        return found[-1]

    def status(self) -> int:
        return self.popen.wait(20)


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[list[Process]]:
    started: list[Process] = []
    yield started
    for process in started:
        if process.popen.poll() is None:
            process.popen.kill()
            process.popen.wait()


def a_process(processes: list[Process], folder: Path, **settings: str) -> Process:
    processes.append(Process(folder, **settings))
    return processes[-1]


def health(address: str, service: str = "") -> int:
    with grpc.insecure_channel(address) as channel:
        request = health_pb2.HealthCheckRequest(service=service)
        return int(health_pb2_grpc.HealthStub(channel).Check(request, timeout=5).status)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_and_drains_on_a_signal(
    processes: list[Process], tmp_path: Path, number: signal.Signals
) -> None:
    process = a_process(processes, tmp_path)
    started = eventually(lambda: process.said("started"))
    address = started["grpc"]
    serving = health_pb2.HealthCheckResponse.SERVING
    eventually(lambda: process.said("loop started"))
    assert eventually(lambda: health(address)) == serving
    eventually(lambda: health(address, "probe-p") == serving)
    process.popen.send_signal(number)
    assert process.status() == 0
    assert process.said("draining")["why"] == number.name
    assert [line["message"].split()[0] for line in process.lines()[-2:]] == ["good-bye", "ended"]


def test_a_crash_in_a_loop_ends_the_process_with_70(
    processes: list[Process], tmp_path: Path
) -> None:
    process = a_process(processes, tmp_path, PROBE_STORY="loop")
    assert process.status() == 70
    assert "AssertionError: a bug in a task" in process.said("loop-probe-p crashed")["error"]


def test_a_crash_in_any_thread_ends_the_process_with_70(
    processes: list[Process], tmp_path: Path
) -> None:
    process = a_process(processes, tmp_path, PROBE_STORY="crash")
    assert process.status() == 70
    assert process.said("bug crashed")["level"] == "critical"
    assert not [line for line in process.lines() if "good-bye" in line["message"]]


def test_start_is_tried_again_while_something_is_away(
    processes: list[Process], tmp_path: Path
) -> None:
    process = a_process(processes, tmp_path, PROBE_STORY="away")
    eventually(lambda: process.said("started"))
    assert process.said("start waits: not yet")


def test_what_hangs_in_the_drain_is_cut_off(processes: list[Process], tmp_path: Path) -> None:
    process = a_process(processes, tmp_path, PROBE_STORY="hang")
    eventually(lambda: process.said("started"))
    process.popen.terminate()
    assert process.status() == 0
    assert process.said("not drained in 5 s")


def test_mistakes_in_settings_are_one_line_each_and_2(
    processes: list[Process], tmp_path: Path
) -> None:
    process = a_process(processes, tmp_path, PROBE_SIZE="0", METRICS_PORT="x")
    assert process.status() == 2
    assert process.log.read_text().splitlines() == [
        "probe: METRICS_PORT: found 'x', wanted a whole number",
        "probe: PROBE_SIZE: found '0', wanted at least 1",
    ]


@pytest.mark.parametrize("setting", ["GRPC_PORT", "METRICS_PORT"])
def test_a_port_in_use_is_one_line_and_2(
    processes: list[Process], tmp_path: Path, setting: str
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = a_process(processes, tmp_path, **{setting: str(port)})
        assert process.status() == 2
    line = process.log.read_text().splitlines()[-1]
    assert line.startswith(f"probe: port 127.0.0.1:{port}") and setting in line


def test_without_a_broker_it_says_so_once_and_goes_on(
    processes: list[Process], tmp_path: Path
) -> None:
    process = a_process(processes, tmp_path, REAL_BROKER="1", KAFKA_BOOTSTRAP="127.0.0.1:1")
    said = eventually(lambda: process.said("no Kafka broker answers at 127.0.0.1:1"), within_s=20)
    assert "`make run` starts one" in said["message"]
    assert process.popen.poll() is None
    assert len([one for one in process.lines() if "no Kafka" in one["message"]]) == 1
    process.popen.terminate()
    assert process.status() == 0


def test_it_ends_with_its_parent(processes: list[Process], tmp_path: Path) -> None:
    process = a_process(processes, tmp_path, DRIFTLOOP_PARENT="1")
    assert process.status() == 0
    assert process.said("draining")["why"] == "the end of the parent"
