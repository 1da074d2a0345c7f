"""The loop closes for targets of several classes and for numbers too: a first model, a drift, a
better model; answers, scores and mistakes are of that kind.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from driftloop.cli.app import app
from driftloop.contracts.retrain_pb2 import Statistics
from infra.tools import sea
from tests.support.eventually import eventually
from tests.support.loop import World, last_us, sea_yaml

pytestmark = pytest.mark.timeout(240)
ROWS, DRIFT = 6_500, 2_500
NAMES = ("low", "middle", "high")
TARGETS = {
    "grades": "{name: grade, from: sea.truth, kind: multiclass, value: grade, horizon: 6h,"
    f" classes: [{', '.join(NAMES)}]}}",
    "sums": "{name: total, from: sea.truth, kind: regression, value: total, horizon: 6h}",
}
WRONG = {"grades": ("unknown_class", "'none'"), "sums": ("not_finite", "'1e+300'")}
ROW = {"id": "x", "at": "2024-01-04T12:00:00Z", "sensor": "s1", "a": 9.0, "b": 9.0, "c": 1.0}


def test_targets_of_several_classes_and_numbers_go_round_the_whole_loop(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One test, so that the two streams go round once: they take half a minute."""
    turned(world)
    for stream, (rule, says) in WRONG.items():
        every_row_is_answered_and_a_drift_brings_a_better_model(world, stream)
        a_call_is_answered_in_the_targets_own_kind(world, stream, monkeypatch)
        each_trial_of_a_search_is_told(world, stream, monkeypatch)
        a_label_that_can_not_be_is_set_aside(world, stream, rule, says, monkeypatch)


def turned(world: World) -> World:
    """Both streams at once: to the first models, past the drift bit by bit until it is answered (a
    first answer may come on too few rows, and be rejected), to the end.
    """
    for stream in TARGETS:
        world.declare(stream, told(stream))
    rows = list(events())
    for stream in TARGETS:
        world.produce(stream, rows[:4_000])
    for stream in TARGETS:
        eventually(_more(world, stream, 0), within_s=60, every_s=0.3)
    for stream in TARGETS:
        sent = past_the_drift(world, stream, rows)
        world.produce(stream, [*rows[sent:], wrong(rows[-1], stream)])
        world.end(stream, last_us(rows))
    return world


def past_the_drift(world: World, stream: str, rows: list[tuple[str, str]]) -> int:
    """How many events were sent until a second model was released; at most so many that a thousand
    are left for it.
    """
    sent = 4_000
    while len(world.released(stream)) < 2 and sent < len(rows) - 1_000:
        more = 3_500 if sent == 4_000 else 500
        world.produce(stream, rows[sent : sent + more])
        sent += more
        with contextlib.suppress(AssertionError):
            eventually(_more(world, stream, 1), within_s=4, every_s=0.3)
    eventually(_more(world, stream, 1), within_s=60, every_s=0.3)
    return sent


def every_row_is_answered_and_a_drift_brings_a_better_model(turned: World, stream: str) -> None:
    statistics = turned.statistics(stream)
    assert sum(each.predicted for each in statistics) == ROWS
    assert turned.scores(stream)["event_id"].n_unique() == ROWS
    drift = next(each for each in turned.requests(stream) if each.message.trigger == "drift")
    assert drift.message.evidence.value > drift.message.evidence.reference
    loop, frozen = losses([each for each in statistics if each.version > 1])
    assert loop < frozen


def a_call_is_answered_in_the_targets_own_kind(
    turned: World, stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = run(turned, monkeypatch, "predict", stream, json.dumps(ROW), "--json")
    if stream == "sums":
        assert -5.0 < said["value"] < 25.0  # sums lie between 0 and 20
    else:
        assert sum(said["probabilities"]) == pytest.approx(1.0, abs=1e-5)
        assert np.argmax(said["probabilities"]) == said["label"] < len(NAMES)


def each_trial_of_a_search_is_told(
    turned: World, stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told_ = run(turned, monkeypatch, "trials", stream, "--json")
    for run_ in turned.finished(stream):
        assert sum(trial["run_id"] == run_.run_id for trial in told_) == 2
    assert {trial["params"]["max_depth"] for trial in told_} == {2, 4}
    assert {trial["state"] for trial in told_} <= {"complete", "pruned"}


def a_label_that_can_not_be_is_set_aside(
    turned: World, stream: str, rule: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    [letter] = run(turned, monkeypatch, "dead", "list", stream, "--json")
    assert letter["rule"] == rule
    assert says in json.dumps(letter)


def events() -> Iterator[tuple[str, str]]:
    """The sea's rows; their labels are a + b and a grade of it, turned round at the drift."""
    totals: dict[str, float] = {}
    for topic, line in sea.events(ROWS, DRIFT):
        event = json.loads(line)
        if topic == sea.EVENTS:
            total = event["a"] + event["b"]
            totals[event["id"]] = 20.0 - total if len(totals) >= DRIFT else total
        else:
            event["total"] = totals[event["id"]]
            event["grade"] = NAMES[min(2, int(event["total"] // 7))]
        yield topic, json.dumps(event)


def wrong(last: tuple[str, str], stream: str) -> tuple[str, str]:
    """A label that no model can foretell."""
    event = json.loads(last[1])
    event["id"] = "wrong"
    event["grade" if stream == "grades" else "total"] = "none" if stream == "grades" else 1e300
    return last[0], json.dumps(event)


def told(stream: str) -> str:
    """sea.yaml with another target."""
    text = sea_yaml().replace("positive: bool}", "positive: bool, grade: string, total: float}")
    at = text.index("target: {")
    end = text.index("\n", at)
    text = f"{text[:at]}target: {TARGETS[stream]}{text[end:]}"
    if stream == "sums":
        text = text.replace("on: log_loss", "on: squared_error")
    river = "kind: river, estimator: LogisticRegression"
    search = "{space: {max_depth: [2, 4]}, sampler: grid, folds: 2, seconds: 5s}"
    return text.replace(river, f"kind: xgboost, params: {{n_estimators: 30}}, search: {search}")


def losses(messages: list[Statistics]) -> tuple[float, float]:
    """The mean loss of the loop, and of its first model over the same rows."""
    rows = sum(each.scored for each in messages)
    loop = sum(each.loss_sum for each in messages)
    return loop / rows, sum(each.baseline_loss_sum for each in messages) / rows


def run(world: World, monkeypatch: pytest.MonkeyPatch, *words: str) -> Any:
    """What a command prints as JSON."""
    for name, value in world.stack.environ.items():
        monkeypatch.setenv(name, value)
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


def _more(world: World, stream: str, count: int) -> Any:
    return lambda: len(world.released(stream)) > count
