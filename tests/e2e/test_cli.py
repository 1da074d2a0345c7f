"""The command line against the running product, on a stream that has gone round the loop."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from driftloop.cli.app import app
from driftloop.client import connect
from driftloop.contracts.registry_pb2 import ArtifactRequest
from infra.tools import sea
from tests.e2e.conftest import ROWS, Looped
from tests.support.eventually import eventually

pytestmark = pytest.mark.timeout(240)
Run = Callable[..., Result]
ROW = {"id": "x", "at": "2024-01-05T20:50:00Z", "sensor": "s1", "a": 9.0, "b": 9.0, "c": 1.0}


@pytest.fixture
def run(looped: Looped, monkeypatch: pytest.MonkeyPatch) -> Run:
    for name, value in looped.world.stack.environ.items():
        monkeypatch.setenv(name, value)

    def invoke(*words: str) -> Result:
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, result.output
        return result

    return invoke


def live(looped: Looped) -> int:
    """The version that answers now: on a busy machine the drift may have been answered twice."""
    return looped.world.released(looped.stream)[-1].version


def told(result: Result) -> Any:
    return json.loads(result.output)


def test_pipelines_models_and_runs_are_listed(run: Run, looped: Looped) -> None:
    stream = looped.stream
    assert [each["name"] for each in told(run("pipelines", "--json")) if each["name"] == stream]
    versions = told(run("models", stream, "--json"))
    assert [each["version"] for each in versions][:2]
    champion = [each for each in versions if "champion" in each["aliases"]]
    assert [each["version"] for each in champion] == [live(looped)]
    ended = [each["finished"] for each in told(run("runs", stream, "--json"))]
    outcomes = [each["outcome"] for each in ended if each]
    assert "released" in outcomes
    assert "released" in run("runs", stream).output


def test_show_names_the_columns_in_order_the_window_and_who_released(
    run: Run, looped: Looped
) -> None:
    shown = run("show", f"{looped.stream}@{looped.version}").output
    for word in ("sum_ab", "waiting_sensor", "gate", "log_loss"):
        assert word in shown


def test_explain_tells_the_evidence_the_decision_and_the_gates_numbers(
    run: Run, looped: Looped
) -> None:
    text = run("explain", looped.stream).output
    assert "log_loss of version 1 rose" in " ".join(text.split())
    assert f"version {looped.version}" in text or f"@{looped.version}" in text


def test_predict_goes_from_a_raw_row_through_transform_to_the_live_model(
    run: Run, looped: Looped
) -> None:
    answer = told(run("predict", looped.stream, json.dumps(ROW), "--json"))
    assert answer["model"] == f"{looped.stream}@{live(looped)}"
    assert answer["features"]["sum_ab"] == 18.0
    low = told(run("predict", looped.stream, json.dumps({**ROW, "a": 1.0, "b": 1.0}), "--json"))
    assert answer["probability"] > low["probability"]


def test_a_wrong_row_is_told_what_was_found_and_wanted(run: Run, looped: Looped) -> None:
    result = CliRunner().invoke(app, ["predict", looped.stream, '{"id": "x", "a": "high"}'])
    assert result.exit_code == 2
    assert "a" in result.output


def test_status_says_that_the_loop_is_whole(run: Run, looped: Looped) -> None:
    def whole() -> str:
        result = CliRunner().invoke(app, ["status", looped.stream])
        assert (result.exit_code, "the loop is whole" in result.output) == (0, True), result.output
        return result.output

    text = eventually(whole, within_s=30, every_s=0.5)
    for service in ("ingestion", "features", "serving", "monitor", "training", "registry"):
        assert service in text
    assert f"{looped.stream}@" in text


def test_the_doctor_finds_nothing_wrong_with_the_stack(run: Run) -> None:
    def sound() -> bool:
        result = CliRunner().invoke(app, ["doctor", "--json"])
        bad = [one for one in json.loads(result.output)["findings"] if one["severity"] != "ok"]
        # what a busy machine does to a pulse, or a small disk, is not the stack's
        bad = [one for one in bad if "clock" not in one["says"] and "free" not in one["says"]]
        assert bad == [], bad
        return True

    assert eventually(sound, within_s=30, every_s=0.5)


def test_watch_shows_what_the_demo_shows(run: Run, looped: Looped) -> None:
    snapshot = told(run("watch", looped.stream, "--json"))
    assert snapshot["model_version"] == live(looped)
    assert snapshot["loop"]["auc"] > snapshot["frozen"]["auc"]


def test_tail_decodes_envelopes_control_events_and_scores(run: Run, looped: Looped) -> None:
    for topic in ("scores", "g1.predictions", "g1.examples", "g1.records", "statistics"):
        assert run("tail", f"{looped.stream}.{topic}", "-n", "2", "--json").output.strip()
    assert "trigger" in run("tail", "driftloop.retrain.requested", "--json").output


def test_dead_letters_are_listed_shown_and_sent_back(
    run: Run, looped: Looped, tmp_path: Path
) -> None:
    stream, file = looped.stream, tmp_path / "bad.jsonl"
    file.write_text('{"id": "late-1", "at": "yesterday", "sensor": "s1"}\n')
    run("produce", str(file), f"{stream}.events")
    letters = eventually(lambda: told(run("dead", "list", stream, "--json")), within_s=20)
    assert letters[-1]["rule"] in ("missing_field", "wrong_time")
    assert "yesterday" in run("dead", "show", stream, str(letters[-1]["number"])).output
    before = len(letters)
    run("dead", "redrive", stream, str(letters[-1]["number"]))
    eventually(lambda: len(told(run("dead", "list", stream, "--json"))) > before, within_s=20)


def test_history_is_replayed_through_any_models_and_two_are_compared(
    run: Run, looped: Looped, tmp_path: Path
) -> None:
    stream, page = looped.stream, tmp_path / "report.html"
    newest = f"{stream}@{looped.version}"
    words = ["--candidate", "live", "--candidate", newest, "--html", str(page), "--json"]

    replayed = told(run("replay", stream, "--slice", "sensor", *words))

    live, model = replayed["models"]
    assert replayed["rows"] > 6_000
    scored = [each for each in looped.world.statistics(stream) if each.version]
    assert live["rows"] == sum(each.scored for each in scored)
    realised = sum(each.loss_sum for each in scored) / live["rows"]
    assert live["loss"] == pytest.approx(realised, rel=1e-5)
    assert model["seen_rows"] > 500
    assert {each["value"] for each in model["slices"]} == {"0", "1", "2", "3"}
    assert newest in page.read_text("utf-8")
    said = run("compare", f"{stream}@1", newest).output
    assert f"{newest} is better than {stream}@1" in said
    assert "lightgbm" in said


def test_a_model_of_ones_own_goes_through_the_gate_and_what_is_none_fails_alone(
    run: Run, looped: Looped, tmp_path: Path
) -> None:
    stream, registry = looped.stream, looped.world.registry
    digest = told(run("show", stream, "--json"))["digest"]
    chunks = registry.Download(ArtifactRequest(digest=digest), timeout=20)
    mine, none = tmp_path / "mine.onnx", tmp_path / "none.onnx"
    mine.write_bytes(b"".join(chunk.data for chunk in chunks))
    none.write_bytes(b"no model")
    for path, outcome, says in (
        (mine, "rejected", "none is surely better"),
        (none, "failed", "the runtime refuses it"),
    ):
        words = ["models", "add", stream, str(path), "--note", "mine", "--json"]
        request = told(run(*words))["request_id"]

        def ended(request: str = request) -> Any:
            runs = told(run("runs", stream, "--json"))
            mine_ = [each for each in runs if each["opened"]["request_id"] == request]
            return mine_[0]["finished"] if mine_ else None

        finished = eventually(ended, within_s=40, every_s=0.5)
        assert finished["outcome"] == outcome, finished
        assert says in finished["reason"]
    assert CliRunner().invoke(app, ["models", "add", stream]).exit_code == 2


def test_a_retrain_by_hand_is_answered_and_its_run_ends(run: Run, looped: Looped) -> None:
    run("retrain", looped.stream, "--reason", "to see one")

    def ended() -> bool:
        runs = told(run("runs", looped.stream, "--json"))
        return any(each["opened"]["trigger"] == "manual" and each["finished"] for each in runs)

    eventually(ended, within_s=60, every_s=0.5)


def test_a_run_that_is_retried_reuses_what_was_fitted_and_is_shown_as_a_graph(
    run: Run, looped: Looped
) -> None:
    stream = looped.stream

    def all_ended() -> bool:  # else the wish would be coalesced into the open run
        return all(each["finished"] for each in told(run("runs", stream, "--json")))

    eventually(all_ended, within_s=60, every_s=0.5)
    ended = [each for each in told(run("runs", stream, "--json")) if each["trained"]]
    old = next(each["opened"]["run_id"] for each in ended if each["opened"]["trigger"] == "drift")
    request = told(run("runs", "retry", old, "--json"))["request_id"]

    def again() -> Any:
        found = told(run("runs", stream, "--json"))
        mine = [each for each in found if each["opened"]["request_id"] == request]
        return mine[0] if mine and mine[0]["finished"] else None

    new = eventually(again, within_s=60, every_s=0.5)
    before = {each["name"]: each["digest"] for each in told(run("runs", "show", old, "--json"))[
        "run"]["trained"]["candidates"]}  # fmt: skip
    whole = [each for each in new["trained"]["candidates"] if each["cached_from"]]
    assert {each["cached_from"] for each in whole} == {old}
    assert all(each["digest"] == before[each["name"]] for each in whole)
    text = run("runs", "show", new["opened"]["run_id"]).output
    assert "● requested" in text and "● judged" in text and f"cached, fitted in {old}" in text
    assert "can't be cancelled" in CliRunner().invoke(app, ["runs", "cancel", old]).output
    assert "● swapped" in run("runs", "show", old).output


def test_the_sdk_reads_topics_as_frames(looped: Looped, run: Run) -> None:
    client = connect()
    scores = client.read(looped.stream, "scores")
    assert scores.height >= ROWS
    examples = client.read(looped.stream, "examples", start="2024-01-02", end="2024-01-03")
    assert 1_300 < examples.height < 1_500
    assert client.read(looped.stream, "drift").height >= 1
    assert client.read(looped.stream, "runs").height >= 2


def test_a_version_is_pinned_tagged_and_traced_back_and_an_answer_to_its_model(
    run: Run, looped: Looped
) -> None:
    stream, first = looped.stream, f"{looped.stream}@1"
    run("pin", first, "--note", "the first one")
    tagged = told(run("tag", first, "team=risk", "stage=old", "--json"))
    assert tagged == {"tags": {"team": "risk", "stage": "old"}, "note": "the first one"}
    assert told(run("tag", first, "stage=", "--json"))["tags"] == {"team": "risk"}
    shown = next(m for m in told(run("models", stream, "--json")) if m["version"] == 1)
    assert "pinned" in shown["aliases"]
    run("unpin", first)
    traced = told(run("lineage", first, "--json"))
    answered = sum(s.predicted for s in looped.world.statistics(stream) if s.version == 1)
    assert traced["answered"]["rows"] == answered > 1_000
    assert traced["window"]["rows_sha256"]
    assert traced["declaration"] == 1
    assert traced["made_by"]["code"]
    assert traced["run"] in run("lineage", first).output
    event = json.loads(looped.events[-1][1])["id"]
    answer = told(run("who-served", stream, "--event", event, "--json"))
    assert answer["event_id"] == event
    assert answer["version"] >= looped.version
    assert CliRunner().invoke(app, ["who-served", stream]).exit_code == 2
    assert CliRunner().invoke(app, ["tag", first, "team"]).exit_code == 2


def test_promote_rollback_and_who_served(run: Run, looped: Looped) -> None:
    stream = looped.stream
    run("promote", f"{stream}@1")
    assert served(run, stream) == 1
    run("rollback", stream, "--reason", "to see it go back")
    assert served(run, stream) != 1


def served(run: Run, stream: str) -> int:
    told_of = told(run("who-served", stream, "--at", "2099-01-01T00:00:00Z", "--json"))
    return int(told_of["released"]["version"])


def test_a_change_that_needs_a_new_generation_is_refused_with_the_reason(
    looped: Looped, run: Run, tmp_path: Path
) -> None:
    source = Path(sea.__file__).parents[1] / "pipelines" / "sea.yaml"
    text = source.read_text().replace("name: sea\n", f"name: {looped.stream}\n")
    text = text.replace("sea.events", f"{looped.stream}.events")
    text = text.replace("sea.truth", f"{looped.stream}.truth").replace("window: 6h", "window: 5h")
    file = tmp_path / "changed.yaml"
    file.write_text(text)
    result = CliRunner().invoke(app, ["apply", str(file)])
    assert result.exit_code == 2
    assert "generation" in result.output
