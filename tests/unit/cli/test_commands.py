"""The commands: what they print, what they answer to programs, and one line with the mend where
something is wrong.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from driftloop.cli.app import app
from driftloop.cli.models import parse_model
from driftloop.client import Client, Refused, Unavailable
from driftloop.client.addresses import Place
from driftloop.client.calls import Calls
from driftloop.contracts import topics
from driftloop.contracts.pulse_pb2 import LoopPulse, Pulse
from driftloop.kit.clock import FakeClock
from driftloop.kit.config import read_common
from driftloop.kit.memory import MemoryBroker
from driftloop.kit.rpc import channel
from driftloop.kit.topic import Emit
from tests.unit.client.world import (
    SMALL,
    a_client,
    a_dead_letter,
    a_log,
    a_story,
    said,
    score,
    unreachable,
)

Run = Callable[..., Result]


@pytest.fixture
def broker() -> MemoryBroker:
    return a_log()


@pytest.fixture
def run(broker: MemoryBroker) -> Run:
    # gRPC goes to a port where nobody listens: what needs a service says so.
    nobody = {
        f"DRIFTLOOP_{name}": "127.0.0.1:1"
        for name in ("REGISTRY", "FEATURES", "SERVING", "TRAINING")
    }
    return lambda *words: CliRunner().invoke(app, words, obj=lambda: a_client(broker, nobody))


def test_a_good_file_is_said_to_be_good(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "small.yaml"
    file.write_text(SMALL)

    assert "good; small has 1 sources, 2 features, 1 learners" in run("check", str(file)).output
    assert json.loads(run("check", str(file), "--json").output)["ok"] is True


def test_all_mistakes_of_a_file_are_named_with_their_lines(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "small.yaml"
    file.write_text(
        SMALL.replace("kind: binary", "kind: binray").replace("partitions: 2", "partitions: none")
    )

    said_ = run("check", str(file))
    program = run("check", str(file), "--json")

    assert said_.exit_code == 2
    assert f"{file}:3: partitions: found" in said_.output
    assert "binray" in said_.output
    assert program.exit_code == 2
    assert len(json.loads(program.output)["mistakes"]) == 2


def test_a_wrong_file_is_not_sent_to_the_registry(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "small.yaml"
    file.write_text("name: small\n")

    assert run("apply", str(file)).exit_code == 2


@pytest.mark.parametrize(
    "words",
    [
        ["check", "nowhere.yaml"],
        ["apply", "nowhere.yaml"],
        ["produce", "nowhere.jsonl", "small.rows"],
        ["tail", "nowhere"],
        ["init", "nowhere"],
        ["show", "@7"],
        ["promote", "small"],
        ["dead", "show", "small", "9"],
        ["dead", "redrive", "small"],
        ["predict", "small", "{]"],
        ["predict", "small", "[1]"],
        ["who-served", "small", "--at", "yesterday"],
        ["quarantine", "small", "--from", "yesterday", "--to", "2013-01-01"],
        ["watch", "smal"],
        ["explain", "smal"],
    ],
)
def test_bad_input_is_one_line_and_exit_2(run: Run, words: list[str]) -> None:
    result = run(*words)

    assert result.exit_code == 2
    assert len(result.output.strip().splitlines()) == 1, result.output


@pytest.mark.parametrize("word", ["check", "apply"])
def test_a_file_that_is_no_text_is_one_line_and_exit_2(run: Run, tmp_path: Path, word: str) -> None:
    file = tmp_path / "small.yaml"
    file.write_bytes(SMALL.encode("utf-16"))

    result = run(word, str(file))

    assert result.exit_code == 2
    assert result.output.strip() == f"{file}: not UTF-8 at byte 0; save it as UTF-8"


@pytest.mark.parametrize(
    ("words", "service"),
    [
        (["models", "small"], "registry"),
        (["runs", "small"], "registry"),
        (["show", "small@1"], "registry"),
        (["retrain", "small"], "training"),
        (["retrain", "small", "--from", "2013-01-01", "--to", "2013-02-01"], "training"),
        (["windows", "small"], "training"),
        (["rebuild", "small@1"], "training"),
        (["rebuild", "small", "--all"], "registry"),
        (["quarantine", "small", "--from", "2013-01-01", "--to", "2013-01-02"], "registry"),
        (["rollback", "small"], "registry"),
        (["predict", "small", "{}"], "features"),
    ],
)
def test_a_service_that_is_away_is_one_line_and_exit_1(
    run: Run, words: list[str], service: str
) -> None:
    result = run(*words)

    assert result.exit_code == 1
    assert result.output.strip().startswith(
        f"{service} does not answer at 127.0.0.1:1: start the stack with `make run`"
    )
    assert len(result.output.strip().splitlines()) == 1


def test_no_broker_is_one_line_and_exit_1() -> None:
    common = read_common({})
    away = Client(
        Place(common, "a test", None),
        unreachable("no broker answers"),
        Calls(common, channel),
        FakeClock(),
    )

    result = CliRunner().invoke(app, ["pipelines"], obj=lambda: away)

    assert (result.exit_code, result.output) == (1, "no broker answers\n")


def test_the_schema_is_json(run: Run) -> None:
    assert json.loads(run("schema").output)["properties"]["sources"]


def test_the_environment_can_be_sourced(run: Run) -> None:
    assert "export KAFKA_BOOTSTRAP=127.0.0.1:19092" in run("env").output
    told = json.loads(run("env", "--json").output)
    assert told["addresses"]["DRIFTLOOP_REGISTRY"] == "127.0.0.1:1"
    assert told["web"] is None  # nobody says where it is


def test_pipelines_are_listed(run: Run) -> None:
    assert "small" in run("pipelines").output
    assert json.loads(run("pipelines", "--json").output)[0]["generation"] == 1


def test_status_shows_processes_and_what_is_wrong(run: Run, broker: MemoryBroker) -> None:
    loop = LoopPulse(
        loop="score", pipeline="small", state="failed", error="features is no Features"
    )
    pulse = Pulse(
        service="serving",
        replica="1",
        at_ms=1_700_000_000_000,
        started_ms=1_699_999_990_000,
        loops=[loop],
    )
    broker.append([said(topics.PULSE, pulse, "pulse-1", key="serving")])

    result = run("status", "--json")
    found = json.loads(result.output)

    assert (result.exit_code, found["whole"]) == (1, False)
    assert found["processes"][0]["state"] == "running"
    assert found["pipelines"][0]["trouble"] == ["serving: features is no Features"]
    text = run("status", "small").output
    assert "serving's loop score failed: features is no Features" in text
    assert "→ mend what it names, then restart serving" in text
    assert "registry: no replica runs: none was seen" in text
    assert run("status", "nobody").exit_code == 2


LOOPS = {
    "ingestion": ["order"],
    "features": ["windows", "join"],
    "serving": ["scores"],
    "monitor": ["buckets", "decide"],
    "registry": ["registry"],
    "training": ["control"],
    "evaluation": ["control"],
}


def test_status_ends_with_0_where_all_is_whole_and_with_2_where_a_topic_can_not_be_read(
    run: Run, broker: MemoryBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    for service, names in LOOPS.items():
        loops = [LoopPulse(loop=name, pipeline="small", state="running") for name in names]
        pulse = Pulse(
            service=service, replica=service, at_ms=1_700_000_000_000, started_ms=1, loops=loops
        )
        broker.append([said(topics.PULSE, pulse, service, key=service)])
    whole = run("status")
    assert (whole.exit_code, whole.output.splitlines()[0]) == (0, "the loop is whole")

    closed, bounds = topics.MODEL_RELEASED.topic().name, broker.bounds

    def closed_bounds(topic: str, partition: int) -> tuple[int, int]:
        if topic == closed:
            raise Unavailable("not authorised")
        return bounds(topic, partition)

    monkeypatch.setattr(broker, "bounds", closed_bounds)
    untold = run("status")
    assert untold.exit_code == 2
    assert untold.output.startswith("cannot tell whether the loop is whole\n")
    assert f"unknown broker: unknown: {closed} can't be read: not authorised" in untold.output
    assert run("status", "--json").exit_code == 2


def test_without_a_broker_status_and_doctor_cannot_tell_and_say_so_in_a_line() -> None:
    common = read_common({"KAFKA_SASL_PASSWORD": "hunter22"})
    away = Client(
        Place(common, "a test", None),
        unreachable("no broker answers"),
        Calls(common, channel),
        FakeClock(),
    )
    for words in (["status"], ["doctor"]):
        result = CliRunner().invoke(app, words, obj=lambda: away)
        assert (result.exit_code, result.output) == (2, "cannot tell: no broker answers\n")
    told = CliRunner().invoke(app, ["status", "--json"], obj=lambda: away)
    assert (told.exit_code, json.loads(told.output)["whole"]) == (2, None)


def test_explain_tells_the_story(run: Run, broker: MemoryBroker) -> None:
    broker.append(a_story())

    text = run("explain", "small").output

    assert text.index("realised log_loss 0.560") < text.index("version 2 released by gate")
    assert [
        step["kind"]
        for step in json.loads(run("explain", "small", "--json", "--newest", "2").output)
    ] == ["released", "finished"]


def test_explain_of_a_quiet_pipeline_says_so(run: Run) -> None:
    assert "nothing has asked for a retrain yet" in run("explain", "small").output


def test_a_file_is_produced_and_tailed(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"id": "a"}\n{"id": "b"}\n')

    assert (
        "2 rows sent to small.rows" in run("produce", str(file), "small.rows", "--key", "id").output
    )
    rows = [json.loads(line) for line in run("tail", "small.rows", "--json").output.splitlines()]
    assert sorted(row["value"]["id"] for row in rows) == ["a", "b"]


def test_scores_are_tailed_as_rows(run: Run, broker: MemoryBroker) -> None:
    broker.append([score(0)])

    assert '"probability": 0.75' in run("tail", "small.scores").output


def test_dead_letters_are_listed_shown_and_sent_back(run: Run, broker: MemoryBroker) -> None:
    broker.append([a_dead_letter()])

    assert "not_json" in run("dead", "list", "small").output
    assert json.loads(run("dead", "list", "small", "--json", "--rule", "late").output) == []
    assert run("dead", "show", "small", "0").output.strip().endswith("oops")
    assert "1 sent back to small.rows" in run("dead", "redrive", "small", "--all").output


def test_a_pipeline_is_begun_from_a_topic(run: Run, broker: MemoryBroker, tmp_path: Path) -> None:
    broker.append(
        [
            Emit(
                "small.rows",
                b'{"id": "a", "at": "2026-01-01T00:00:00Z", "amount": 1.5, "label": true}',
            )
        ]
    )
    file = tmp_path / "begun.yaml"

    assert "look at each GUESS" in run("init", "small.rows", "--out", str(file)).output
    assert run("init", "small.rows", "--out", str(file)).exit_code == 2
    nowhere = run("init", "small.rows", "--out", str(tmp_path / "no" / "begun.yaml"))
    assert nowhere.exit_code == 2
    assert nowhere.output.strip().endswith("can't be written: No such file or directory")
    assert run("check", str(file)).exit_code == 0


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("flights@7", ("flights", 7, "")),
        ("flights@previous", ("flights", 0, "previous")),
        ("flights", ("flights", 0, "champion")),
    ],
)
def test_models_are_named_as_everywhere(text: str, wanted: tuple[str, int, str]) -> None:
    assert parse_model(text) == wanted
    with pytest.raises(Refused):
        parse_model("@7")
