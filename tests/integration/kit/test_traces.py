"""Spans at a real OTLP receiver, calls that carry their trace, and that tracing that is off, or has
no one to send to, costs nothing.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from driftloop.contracts import model_pb2, registry_pb2, registry_pb2_grpc
from driftloop.kit import rpc, rpc_trace
from driftloop.kit.clock import SystemClock
from driftloop.kit.errors import Refused
from driftloop.kit.health import Health
from driftloop.kit.trace import CONSUMER, Span, Tracer, bound, here, render, root, tracer_of
from tests.integration.kit.test_run import Process, a_process, processes
from tests.integration.running import a_free_port
from tests.support import eventually
from tests.support.otlp import Receiver
from tests.support.traced import Kept

__all__ = ["processes"]
TRACE, SPAN, PARENT, LINK = bytes([1]) * 16, bytes([2]) * 8, bytes([3]) * 8, bytes([4]) * 8
SERVICES = ("ingestion", "serving", "monitor", "registry")
OFF = """
import importlib, sys, threading
from driftloop.kit import run
from driftloop.kit.trace import tracer_of
for name in sys.argv[1:]:
    importlib.import_module(f"services.{name}.app")
assert not tracer_of("serving", "serving-0", 1.0, {}, print).on
assert [t.name for t in threading.enumerate()] == ["MainThread"], threading.enumerate()
found = [name for name in sys.modules if name.startswith("opentelemetry")]
assert found == [], found
"""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def a_tracer(monkeypatch: pytest.MonkeyPatch, told: Counter[str], **environ: str) -> Tracer:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    def count(outcome: str, spans: int) -> None:
        told[outcome] += spans

    return tracer_of("serving", "serving-0", 1.0, os.environ, count)


def a_span(span_id: bytes = SPAN, **more: Any) -> Span:
    return Span("score", TRACE, span_id, PARENT, 10, 20, CONSUMER, **more)


def test_a_span_arrives_whole_and_the_exporters_own_settings_hold(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: Counter[str] = Counter()
    tracer = a_tracer(
        monkeypatch,
        told,
        **receiver.environ,
        OTEL_SERVICE_NAME="scores",
        OTEL_EXPORTER_OTLP_HEADERS="x-token=abc",
    )
    about = {"messaging.system": "kafka"}
    attributes = {"number": 7, "share": 0.5, "whole": True, "text": "x"}
    tracer.add([a_span(about=about, attributes=attributes, links=[(TRACE, LINK)], error="no")])
    tracer.add([a_span(b"another!", about=about)])
    tracer.close()
    first, second = receiver.spans()
    assert (first.service, first.name, first.kind, first.error) == ("scores", "score", 5, "no")
    assert (first.trace, first.id, first.parent) == (TRACE.hex(), SPAN.hex(), PARENT.hex())
    assert (first.start_ns, first.end_ns) == (10, 20)
    assert first.attributes == {**about, **attributes}
    assert second.attributes == about
    assert list(first.links) == [(TRACE.hex(), LINK.hex())]
    assert receiver.metadata["x-token"] == "abc"
    assert told == {"sent": 2}


def test_a_receiver_that_is_away_slows_nothing_and_what_is_lost_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: Counter[str] = Counter()
    endpoint = f"http://127.0.0.1:{a_free_port()}"
    tracer = a_tracer(monkeypatch, told, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)
    spans = [a_span() for _ in range(1_000)]
    began = time.process_time()
    for _ in range(100):
        tracer.add(spans)
    assert time.process_time() - began < 0.5
    assert told["dropped"] >= 100_000 - 20_000 - 2_000
    began = time.monotonic()
    tracer.close()
    assert time.monotonic() - began < 2.0
    assert told["dropped"] + told["failed"] == 100_000


def test_a_span_that_can_not_be_sent_costs_its_batch_and_no_more(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    told: Counter[str] = Counter()
    tracer = a_tracer(monkeypatch, told, **receiver.environ)
    tracer.add([a_span()._replace(trace_id=None), a_span()])  # type: ignore[arg-type]
    eventually(lambda: told["failed"] == 2)
    tracer.add([a_span()])
    tracer.close()
    assert told == {"failed": 2, "sent": 1}
    assert "2 spans are lost" in caplog.text


def test_a_wrong_setting_of_the_exporter_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "zip")
    with pytest.raises(Refused, match=r"OTEL_EXPORTER_OTLP_.*zip"):
        a_tracer(monkeypatch, Counter(), OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1")


def test_no_endpoint_no_opentelemetry_in_a_service() -> None:
    environ = {name: text for name, text in os.environ.items() if not name.startswith("OTEL_")}
    command = [sys.executable, "-c", OFF, *SERVICES]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    an_endpoint = '{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x:1"}'
    command = [sys.executable, "-c", OFF.replace("{}", an_endpoint)]
    bites = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert "AssertionError" in bites.stderr


def test_a_process_without_an_endpoint_opens_nothing_and_with_a_dead_one_lives_and_ends_well(
    processes: list[Process], tmp_path: Path
) -> None:
    (tmp_path / "off").mkdir()
    (tmp_path / "dead").mkdir()
    off = a_process(processes, tmp_path / "off")
    endpoint = f"http://127.0.0.1:{a_free_port()}"
    dead = a_process(processes, tmp_path / "dead", OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)
    for process in (off, dead):
        eventually(partial(process.said, "loop started"), within_s=30)
    opened = psutil.Process(off.popen.pid).net_connections()
    assert {each.status for each in opened} <= {psutil.CONN_LISTEN}
    for process in (off, dead):
        process.popen.terminate()
        assert process.status() == 0
        assert process.said("ended")["status"] == 0


class Registry(registry_pb2_grpc.RegistryServicer):
    """Answers with the trace that it is asked in."""

    def Model(
        self, request: registry_pb2.ModelRequest, context: grpc.ServicerContext
    ) -> model_pb2.ModelVersion:
        return model_pb2.ModelVersion(run_id=here())

    @rpc.answers
    def Models(
        self, request: registry_pb2.ModelsRequest, context: grpc.ServicerContext
    ) -> registry_pb2.ModelsReply:
        raise Refused("no")

    @rpc.answers
    def Download(
        self, request: registry_pb2.ArtifactRequest, context: grpc.ServicerContext
    ) -> Iterator[registry_pb2.ArtifactChunk]:
        yield registry_pb2.ArtifactChunk(data=b"x")


@pytest.fixture
def asked() -> Iterator[tuple[Kept, registry_pb2_grpc.RegistryStub]]:
    with a_door() as (tracer, channel):
        yield tracer, registry_pb2_grpc.RegistryStub(channel)


@contextmanager
def a_door() -> Iterator[tuple[Kept, grpc.Channel]]:
    """Registry and health behind it, and a channel that passes traces on."""
    tracer = Kept()

    def add(server: grpc.Server) -> None:
        registry_pb2_grpc.add_RegistryServicer_to_server(Registry(), server)

    traced = [rpc_trace.Traced(tracer, SystemClock())]
    server = rpc.serve([add, Health().add], "127.0.0.1", 0, interceptors=traced)
    with rpc.channel(f"127.0.0.1:{server.port}") as channel:
        yield tracer, rpc_trace.passing(channel)
    server.stop(0)


def test_a_call_carries_its_trace_and_what_it_does_is_under_its_span(
    asked: tuple[Kept, registry_pb2_grpc.RegistryStub],
) -> None:
    tracer, stub = asked
    context = root("a call", sampled=True)
    with bound(render(context)):
        answer = stub.Model(registry_pb2.ModelRequest())
        assert [chunk.data for chunk in stub.Download(registry_pb2.ArtifactRequest())] == [b"x"]
        with pytest.raises(grpc.RpcError):
            stub.Models(registry_pb2.ModelsRequest())
    model, download, models = eventually(lambda: len(tracer.spans) == 3 and tracer.spans) or []
    assert answer.run_id == f"00-{context.trace_id}-{model.span_id.hex()}-01"
    assert {span.parent_id.hex() for span in tracer.spans} == {context.span_id}
    assert model.name == "driftloop.v1.Registry/Model"
    assert model.attributes["rpc.method"] == "Model"
    assert (model.error, download.error, models.error) == ("", "", "INVALID_ARGUMENT")
    assert all(span.start_ns < span.end_ns for span in tracer.spans)


def test_a_call_without_a_trace_or_with_one_that_is_not_sampled_makes_no_span(
    asked: tuple[Kept, registry_pb2_grpc.RegistryStub],
) -> None:
    tracer, stub = asked
    assert stub.Model(registry_pb2.ModelRequest()).run_id == ""
    unsampled = render(root("a call", sampled=False))
    with bound(unsampled):
        assert stub.Model(registry_pb2.ModelRequest()).run_id == unsampled
    with bound("not one"):
        assert stub.Model(registry_pb2.ModelRequest()).run_id == ""
    assert tracer.spans == []


def test_who_watches_our_health_makes_no_span() -> None:
    with a_door() as (tracer, channel), bound(render(root("a call", sampled=True))):
        health = health_pb2_grpc.HealthStub(channel)
        watching = health.Watch(health_pb2.HealthCheckRequest())
        next(watching)
        watching.cancel()
        health.Check(health_pb2.HealthCheckRequest())
        eventually(lambda: tracer.spans)
    assert [span.name for span in tracer.spans] == ["grpc.health.v1.Health/Check"]


def test_calls_at_the_same_time_keep_their_own_traces(
    asked: tuple[Kept, registry_pb2_grpc.RegistryStub],
) -> None:
    _, stub = asked

    def ask(number: int) -> bool:
        context = root(f"call {number}", sampled=True)
        with bound(render(context)):
            answer = stub.Model(registry_pb2.ModelRequest())
        return context.trace_id in answer.run_id

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(100)))
