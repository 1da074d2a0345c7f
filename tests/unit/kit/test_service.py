"""The pulse of a process, and how it learns of pipelines, over MemoryBroker."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from driftloop.contracts import topics
from driftloop.contracts.model_pb2 import PipelineDeclared
from driftloop.contracts.pulse_pb2 import Pulse
from driftloop.kit.broker import Record, TopicSpec
from driftloop.kit.clock import FakeClock
from driftloop.kit.config import Common
from driftloop.kit.errors import Unavailable
from driftloop.kit.events import event, read_event
from driftloop.kit.loops import Loops
from driftloop.kit.memory import MemoryBroker
from driftloop.kit.metrics import Metrics
from driftloop.kit.run import Kit
from driftloop.kit.topic import Emit
from driftloop.service import (
    Declared,
    follow_pipelines,
    pulse_emit,
    send_good_bye,
    send_pulses,
)
from tests.support import eventually

SEA = Path("infra/pipelines/sea.yaml")


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    broker, clock, metrics = MemoryBroker(), FakeClock(), Metrics()
    loops = Loops(broker, clock, metrics)
    stopping = threading.Event()
    return Kit(
        "serving", "serving-0", "0", broker, clock, metrics, Common(), loops, tmp_path, stopping
    )


def create(kit: Kit, name: str) -> None:
    kit.broker.create([TopicSpec(name, 1)])


def declare(kit: Kit, name: str, yaml: str | None, version: int = 1) -> None:
    topic = topics.PIPELINES.topic()
    message = PipelineDeclared(name=name, version=version, generation=1, yaml=yaml or "")
    emit = event(topic, message, id="x", source="/test", time_ms=0, key=name)
    kit.broker.append([emit if yaml is not None else Emit(topic.name, None, name.encode())])


def test_a_transactional_id_names_service_loop_and_pipeline(kit: Kit) -> None:
    assert kit.transactional_id("score", "flights.g1") == "serving-score-flights.g1"


def test_a_pulse_says_how_the_process_is(kit: Kit) -> None:
    emit = pulse_emit(replace(kit, started_ms=5))
    record = Record(emit.topic, 0, 0, emit.key, emit.value, emit.headers, 0)
    pulse = read_event(record, Pulse).message
    assert (pulse.service, pulse.replica, pulse.started_ms) == ("serving", "serving-0", 5)
    assert pulse.at_ms == kit.clock.ms()
    assert pulse.rss_mb > 1 and pulse.cpu_s > 0


def test_pulses_that_are_lost_are_counted(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(emits: object) -> None:
        kit.stopping.set()
        raise Unavailable("no broker")

    monkeypatch.setattr(kit.broker, "append", away)
    send_pulses(kit, kit.stopping)
    assert kit.metrics.pulses_lost_total.labels().value == 1


def test_the_last_pulse_of_a_process_that_ends_in_good_order_says_so(kit: Kit) -> None:
    create(kit, topics.PULSE.topic().name)
    send_good_bye(kit)
    (record,) = kit.broker.read(topics.PULSE.topic().name, 0, 0, 1)
    assert read_event(record, Pulse).message.ended


def test_pipelines_are_told_of_even_if_their_topic_comes_later(kit: Kit) -> None:
    heard, removed = follow(kit)
    create(kit, topics.PIPELINES.topic().name)
    declare(kit, "sea", SEA.read_text(), version=3)
    eventually(lambda: heard)
    assert (heard[0].name, heard[0].version, heard[0].generation) == ("sea", 3, 1)
    assert heard[0].pipeline.name == "sea"
    declare(kit, "sea", None)
    eventually(lambda: removed == ["sea"])


def test_a_declaration_that_cant_be_read_is_logged_and_passed_over(
    kit: Kit, caplog: pytest.LogCaptureFixture
) -> None:
    create(kit, topics.PIPELINES.topic().name)
    declare(kit, "new", "name: new\nmagic: yes\n")
    declare(kit, "sea", SEA.read_text())
    heard, _ = follow(kit)
    eventually(lambda: heard)
    assert [one.name for one in heard] == ["sea"]
    assert "pipeline new version 1 can't be read" in caplog.text


@pytest.fixture(autouse=True)
def closed(kit: Kit) -> object:
    yield
    kit.close()


def follow(kit: Kit) -> tuple[list[Declared], list[str]]:
    heard: list[Declared] = []
    removed: list[str] = []
    on_pipeline: Callable[[Declared], None] = heard.append
    follow_pipelines(kit, on_pipeline, removed.append)
    return heard, removed
