"""The registry's doors over a real gRPC server, its loop running beside them on MemoryBroker."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest

from driftloop.contracts import topics
from driftloop.contracts.registry_pb2 import (
    ApplyRequest,
    ArtifactChunk,
    ArtifactRequest,
    ModelRequest,
    ModelsRequest,
    PipelinesRequest,
    PromoteRequest,
    RollbackRequest,
    RunsRequest,
    WhoServedRequest,
)
from driftloop.contracts.registry_pb2_grpc import RegistryStub, add_RegistryServicer_to_server
from driftloop.kit import rpc
from driftloop.kit.broker import Subscription, TopicSpec
from driftloop.kit.clock import SystemClock
from driftloop.kit.inbox import Inbox
from driftloop.kit.loop import Loop, LoopSpec
from driftloop.kit.memory import MemoryBroker
from driftloop.kit.objects import Objects
from services.registry import topology
from services.registry.domain import terms
from services.registry.handlers import INPUTS, RegistryTask, Shown
from services.registry.rpc import Doors
from services.registry.store import Store
from services.registry.tracing import Command
from tests.support.eventually import eventually
from tests.unit.registry.stories import evaluated, resolved, trained

YAML = """
name: flights
partitions: 3
sources:
  - topic: rows
    role: predict
    schema: {id: string, at: time, x: float, y: float}
    id: [id]
    time: at
  - topic: truth
    role: label
    schema: {id: string, at: time, ok: bool}
    id: [id]
    time: at
    joins: [id]
features:
  - {name: x, field: x}
  - {name: y, field: y}
target: {name: ok, from: truth, positive: ok, horizon: 1h, kind: binary}
learners:
  - {name: gbm, kind: lightgbm, window: all}
monitor: {bucket: 1h, slack: 1h}
retrain: {first: 1d, rows_min: 100, on: [manual], cooldown: 1h, deadline: 5m}
"""


@dataclass
class House:
    """The registry as its callers see it."""

    broker: MemoryBroker
    stub: RegistryStub
    shown: Shown
    folder: Path
    stop: threading.Event
    loop: threading.Thread

    def upload(self, data: bytes, digest: str = "") -> str:
        return uploaded(self.stub, data, digest)

    def run(self, name: str, winner: str, champion: int) -> None:
        """Uploads a model named `winner` and says that it won."""
        self.upload(winner.encode())
        self.broker.append(
            [resolved(name), trained(name, winner), evaluated(name, winner, champion)]
        )
        eventually(
            lambda: any(r.finished.run_id == name for r in self.stub.Runs(RunsRequest()).runs), 5
        )


def uploaded(stub: RegistryStub, data: bytes, digest: str = "") -> str:
    """Two chunks; gives back the digest."""
    digest = digest or hashlib.sha256(data).hexdigest()
    head = ArtifactChunk(digest=digest, pipeline="flights", run_id="r", data=data[:3])
    stub.Upload(iter([head, ArtifactChunk(data=data[3:])]), timeout=5)
    return digest


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    broker, inbox, shown, clock = MemoryBroker(), Inbox[Command](), Shown(), SystemClock()
    broker.create([*topology.control(), TopicSpec("rows", 1)])
    start = dict.fromkeys(INPUTS, "earliest")
    loop = Loop(
        LoopSpec(
            "registry",
            "",
            Subscription("registry", INPUTS, "registry-0", start=start),
            lambda: RegistryTask(terms, inbox, shown, deadline_default_ms=60_000),
            interval_s=0.0,
            tick_s=0.02,
            wake=inbox.wake,
        ),
        broker,
        clock,
    )
    store = Store(Objects(str(tmp_path)), tmp_path, artifact_bytes_max=1_000)
    doors = Doors(broker, store, inbox, shown, clock, answer_seconds_max=5.0)
    server = rpc.serve([lambda s: add_RegistryServicer_to_server(doors, s)], "127.0.0.1", 0)
    stop = threading.Event()
    thread = threading.Thread(target=loop.run, args=(stop,))
    thread.start()
    with rpc.channel(f"127.0.0.1:{server.port}") as channel:
        stub = RegistryStub(channel)
        eventually(lambda: _answers(stub), 5)
        yield House(broker, stub, shown, tmp_path, stop, thread)
    stop.set()
    thread.join()
    server.stop(0)


def test_apply_makes_the_topics_before_it_declares_and_warns_of_missing_sources(
    house: House,
) -> None:
    reply = house.stub.Apply(ApplyRequest(yaml=YAML, by="ann"))

    declared = reply.pipeline
    assert reply.changed
    assert (declared.name, declared.version, declared.generation) == ("flights", 1, 1)
    made = {name: house.broker.partitions(name) for name in reply.created_topics}
    assert len(made) == len(topics.PIPELINE) + len(topics.GENERATION)
    assert (made["flights.g1.features"], made["flights.g1.records"], made["flights.scores"]) == (
        3,
        1,
        3,
    )
    assert dict(house.broker.specs["flights.dead"].config) == {
        "cleanup.policy": "delete",
        "retention.ms": str(60 * 86_400_000),
        "max.message.bytes": str(10 * 1024 * 1024),
        "message.timestamp.type": "LogAppendTime",
    }
    assert list(reply.warnings) == [
        "source topic truth does not exist yet; ingestion starts once it does"
    ]
    assert house.stub.Pipelines(PipelinesRequest()).pipelines[0].yaml == YAML


def test_the_same_file_changes_nothing_and_a_change_within_the_generation_is_a_new_version(
    house: House,
) -> None:
    house.stub.Apply(ApplyRequest(yaml=YAML))

    same = house.stub.Apply(ApplyRequest(yaml=YAML + "# a comment\n"))
    other = house.stub.Apply(ApplyRequest(yaml=YAML.replace("rows_min: 100", "rows_min: 200")))

    assert (same.changed, same.pipeline.version, list(same.created_topics)) == (False, 1, [])
    assert (other.changed, other.pipeline.version, other.pipeline.generation) == (True, 2, 1)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (("partitions: 3", "partitions: 4"), "partitions"),
        (("{name: y, field: y}", '{name: both, expr: "x + y"}'), "features"),
        (("horizon: 1h", "horizon: 2h"), "target"),
    ],
)
def test_a_change_that_needs_a_generation_is_refused_with_the_part_that_changed(
    house: House, change: tuple[str, str], part: str
) -> None:
    house.stub.Apply(ApplyRequest(yaml=YAML))

    error = _refused(lambda: house.stub.Apply(ApplyRequest(yaml=YAML.replace(*change))))

    assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert error.details().startswith(f"flights: {part} can't change within generation 1")
    assert len(house.stub.Pipelines(PipelinesRequest()).pipelines) == 1


def test_all_mistakes_of_a_file_are_named_at_once_and_nothing_is_made(house: House) -> None:
    wrong = YAML.replace("role: label", "role: lable").replace("kind: binary", "kind: binery")

    error = _refused(lambda: house.stub.Apply(ApplyRequest(yaml=wrong)))

    lines = error.details().splitlines()
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert len(lines) >= 2 and all("found" in line and "wanted" in line for line in lines)
    assert house.broker.partitions("flights.g1.records") is None


def test_artifacts_travel_by_digest_and_a_damaged_one_is_refused(house: House) -> None:
    digest = house.upload(b"0123456789")

    chunks = list(house.stub.Download(ArtifactRequest(digest=digest)))
    (house.folder / digest[:2] / digest).write_bytes(b"rot")
    error = _refused(lambda: list(house.stub.Download(ArtifactRequest(digest=digest))))

    assert b"".join(chunk.data for chunk in chunks) == b"0123456789"
    assert (chunks[0].digest, chunks[0].bytes) == (digest, 10)
    assert error.code() is grpc.StatusCode.DATA_LOSS


@pytest.mark.parametrize(
    ("data", "digest", "text"),
    [
        (b"abcdef", "0" * 64, "hashes to"),
        (b"abc", "nonsense", "no digest"),
        (b"x" * 1001, "", "larger than 1000"),
    ],
)
def test_a_wrong_upload_is_an_invalid_argument(
    house: House, data: bytes, digest: str, text: str
) -> None:
    error = _refused(lambda: house.upload(data, digest))

    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT and text in error.details()


def test_a_model_is_shown_by_version_alias_and_digest_with_all_that_is_known_of_it(
    house: House,
) -> None:
    house.stub.Apply(ApplyRequest(yaml=YAML))
    house.run("r1", "a", 0)
    house.run("r2", "b", 1)

    models = house.stub.Models(ModelsRequest(pipeline="flights")).models
    asked = [
        house.stub.Model(ModelRequest(pipeline="flights")),
        house.stub.Model(ModelRequest(pipeline="flights", alias="previous")),
        house.stub.Model(ModelRequest(pipeline="flights", version=1)),
        house.stub.Model(ModelRequest(pipeline="flights", digest=models[1].digest)),
    ]

    assert [list(m.aliases) for m in models] == [["baseline", "previous"], ["champion"]]
    assert [m.version for m in asked] == [2, 1, 1, 2]
    assert (list(asked[0].inputs), list(asked[0].classes), asked[0].metrics.auc) == (
        ["x", "y"],
        ["0", "1"],
        0.8,
    )
    assert (asked[0].candidate.name, asked[0].verdict.gain, asked[0].released_by) == (
        "b",
        0.01,
        "gate",
    )


def test_promote_rollback_who_served_and_runs_tell_one_story(house: House) -> None:
    house.stub.Apply(ApplyRequest(yaml=YAML))
    house.run("r1", "a", 0)
    house.run("r2", "b", 1)

    back = house.stub.Rollback(RollbackRequest(pipeline="flights", by="ann", reason="worse"))
    forth = house.stub.Promote(PromoteRequest(pipeline="flights", version=2, by="bob"))

    assert (back.version, back.cause, forth.version, forth.cause) == (1, "rollback", 2, "promote")
    served = house.stub.WhoServed(WhoServedRequest(pipeline="flights"))
    assert (served.released.by, served.model.version) == ("bob", 2)
    runs = house.stub.Runs(RunsRequest(pipeline="flights", newest=1)).runs
    assert [(r.opened.run_id, r.finished.outcome, r.released.version) for r in runs] == [
        ("r2", "released", 2)
    ]
    assert set(runs[0].at_ms) == {"opened", "trained", "evaluated", "released", "finished"}


def test_a_version_that_waited_for_approval_names_who_gave_it(house: House) -> None:
    house.stub.Apply(ApplyRequest(yaml=YAML + "release: {mode: approve}\n"))
    house.run("r1", "a", 0)

    def released_by() -> str:
        return str(house.stub.Model(ModelRequest(pipeline="flights", version=1)).released_by)

    assert released_by() == ""
    house.stub.Promote(PromoteRequest(pipeline="flights", version=1, by="ann"))
    assert released_by() == "ann"


@pytest.mark.parametrize(
    ("method", "request_", "status", "text"),
    [
        ("Models", ModelsRequest(pipeline="fligths"), "NOT_FOUND", "there is: flights"),
        (
            "Model",
            ModelRequest(pipeline="flights", version=9),
            "NOT_FOUND",
            "there is: 1, champion = 1",
        ),
        ("Runs", RunsRequest(pipeline="nope"), "NOT_FOUND", "not declared"),
        (
            "WhoServed",
            WhoServedRequest(pipeline="flights", at_ms=1),
            "NOT_FOUND",
            "served no model at 1",
        ),
        ("Promote", PromoteRequest(pipeline="flights", version=9), "NOT_FOUND", "there is: 1"),
        (
            "Promote",
            PromoteRequest(pipeline="flights", version=1),
            "FAILED_PRECONDITION",
            "live already",
        ),
        (
            "Rollback",
            RollbackRequest(pipeline="flights"),
            "FAILED_PRECONDITION",
            "no earlier version",
        ),
    ],
)
def test_a_question_that_has_no_answer_says_what_there_is(
    house: House, method: str, request_: object, status: str, text: str
) -> None:
    house.stub.Apply(ApplyRequest(yaml=YAML))
    house.run("r1", "a", 0)

    error = _refused(lambda: getattr(house.stub, method)(request_))

    assert (error.code().name, text in error.details()) == (status, True), error.details()


def test_a_replica_without_the_loop_says_so(house: House) -> None:
    house.stop.set()
    house.loop.join()

    error = _refused(lambda: house.stub.Apply(ApplyRequest(yaml=YAML)))

    assert error.code() is grpc.StatusCode.UNAVAILABLE and "does not own" in error.details()


def _answers(stub: RegistryStub) -> bool:
    try:
        stub.Pipelines(PipelinesRequest(), timeout=1)
    except grpc.RpcError:
        return False
    return True


def _refused(call: Callable[[], Any]) -> Any:
    """The RpcError of a call, which is a grpc.Call too."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value
