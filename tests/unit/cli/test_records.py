"""What `windows`, `rebuild` and `quarantine` print, and the status that they end with; the services
answer over real gRPC.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import grpc
import pytest
from typer.testing import CliRunner, Result

from driftloop.cli.app import app
from driftloop.contracts.model_pb2 import ModelVersion, Quarantined, Span, Window
from driftloop.contracts.registry_pb2 import (
    ListModelsReply,
    ListModelsRequest,
    ModelRequest,
    QuarantineReply,
    QuarantineRequest,
)
from driftloop.contracts.registry_pb2_grpc import (
    RegistryServicer,
    add_RegistryServicer_to_server,
)
from driftloop.contracts.training_pb2 import (
    Cause,
    ModelWindow,
    RebuildReply,
    RebuildRequest,
    WindowsReply,
    WindowsRequest,
)
from driftloop.contracts.training_pb2_grpc import (
    TrainingServicer,
    add_TrainingServicer_to_server,
)
from driftloop.kit import rpc
from driftloop.kit.errors import Refused
from driftloop.kit.rpc import answers
from tests.unit.client.world import a_client, a_log

Run = Callable[..., Result]
GOOD, OTHER = "a" * 64, "b" * 64


@dataclass
class Registry(RegistryServicer):
    """Three versions, the third is live."""

    asked: list[QuarantineRequest] = field(default_factory=list)

    def ListModels(
        self, request: ListModelsRequest, context: grpc.ServicerContext
    ) -> ListModelsReply:
        return ListModelsReply(models=[ModelVersion(version=number) for number in (1, 2, 3)])

    def Model(self, request: ModelRequest, context: grpc.ServicerContext) -> ModelVersion:
        return ModelVersion(version=3)

    def Quarantine(
        self, request: QuarantineRequest, context: grpc.ServicerContext
    ) -> QuarantineReply:
        self.asked.append(request)
        told = Quarantined(span=request.span, reason=request.reason, by="me")
        return QuarantineReply(quarantined=[] if request.lift else [told])


class Training(TrainingServicer):
    """Version 1 promises nothing, 2 differs, 3 is equal."""

    @answers
    def Rebuild(self, request: RebuildRequest, context: grpc.ServicerContext) -> RebuildReply:
        if request.version == 1:
            raise Refused(
                "small@1 can't be made again to the byte: chance", status="FAILED_PRECONDITION"
            )
        reply = RebuildReply(pipeline="small", version=request.version, recorded=GOOD, rows=1_234)
        if request.version == 3:
            reply.equal, reply.rebuilt, reply.source = True, GOOD, "archive"
            return reply
        reply.rebuilt, reply.same_graph = OTHER, True
        reply.causes.append(Cause(what="libraries", recorded="numpy 2.0", found="numpy 2.1"))
        return reply

    def Windows(self, request: WindowsRequest, context: grpc.ServicerContext) -> WindowsReply:
        window = Window(rows=10, rows_sha256=GOOD, start_us=1_356_998_400_000_000)
        kept = ModelWindow(version=1, window=window, state="archived", place="/kept/a.parquet")
        return WindowsReply(windows=[kept, ModelWindow(version=2, window=window, state="expired")])


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture
def run(registry: Registry) -> Iterator[Run]:
    add = [
        lambda server: add_RegistryServicer_to_server(registry, server),
        lambda server: add_TrainingServicer_to_server(Training(), server),
    ]
    server = rpc.serve(add, "127.0.0.1", 0)
    here = {f"DRIFTLOOP_{name}": f"127.0.0.1:{server.port}" for name in ("REGISTRY", "TRAINING")}
    broker = a_log()
    yield lambda *words: CliRunner().invoke(app, words, obj=lambda: a_client(broker, here))
    server.stop(0)


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["small@3"], 0, ["small@3: equal, sha256 " + GOOD, "1,234 rows from the archive"]),
        (["small"], 0, ["small@3: equal"]),
        (["small@2"], 1, ["differs", OTHER, "the model itself is equal", "here numpy 2.1"]),
        (["small@1"], 2, ["small@1 can't be made again to the byte: chance"]),
        (["small", "--all"], 1, ["small@3: equal", "1 of 2 equal; 1 promise nothing"]),
    ],
)
def test_a_rebuild_says_equal_or_the_cause_and_ends_accordingly(
    run: Run, words: Sequence[str], status: int, said: Sequence[str]
) -> None:
    result = run("rebuild", *words)
    assert result.exit_code == status, result.output
    for part in said:
        assert part in result.output


def test_a_program_gets_the_causes_as_json(run: Run) -> None:
    result = run("rebuild", "small@2", "--json")
    found = json.loads(result.output)
    assert (found["equal"], found["causes"][0]["what"]) == (False, "libraries")
    assert len(json.loads(run("rebuild", "small", "--all", "--json").output)) == 3


def test_windows_say_where_their_rows_are(run: Run) -> None:
    lines = run("windows", "small").output.splitlines()
    assert "archived" in lines[2] and "/kept/a.parquet" in lines[2]
    assert "expired" in lines[3] and "2013-01-01" in lines[3]


def test_a_quarantine_goes_to_the_registry_in_event_time(run: Run, registry: Registry) -> None:
    of = ("quarantine", "small", "--from", "2013-01-01", "--to", "2013-01-02T06:00:00Z")
    said = run(*of, "--reason", "a broken sensor").output
    assert "2013-01-02T06:00:00Z" in said and "a broken sensor" in said
    first = 1_356_998_400_000_000
    assert registry.asked[0].span == Span(from_us=first, to_us=first + 30 * 3_600_000_000)
    assert "none" in run(*of, "--lift").output
    assert registry.asked[1].lift
