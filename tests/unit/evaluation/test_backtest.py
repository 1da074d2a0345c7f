"""Several models on the same rows of history: figures, intervals, slices, and who is better."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

from driftloop import dataset
from driftloop.contracts import topics
from driftloop.contracts.model_pb2 import Candidate
from driftloop.contracts.prediction_pb2 import Predictions
from driftloop.kit.broker import Broker, TopicSpec
from driftloop.kit.envelope import batch_schema, encode
from driftloop.kit.errors import Refused
from driftloop.kit.topic import Emit
from driftloop.web import backtest as paper
from services.evaluation.domain.backtest import BUCKETS, Contest, Side, backtest, interval
from services.evaluation.history import History
from services.evaluation.plan import HistoryPlan, Rival
from services.evaluation.record import answered
from tests.unit.evaluation.stories import GOOD, POOR, Shelf, trained
from tests.unit.training.examples import NAMES, a_log

N = 4_000


@pytest.fixture(scope="module")
def log() -> Broker:
    log = a_log(6_000)
    log.create([TopicSpec(topics.STATISTICS.topic("sea").name, 1)])
    return log


def a_contest(seed: int = 1) -> tuple[Contest, np.ndarray]:
    """Binary rows whose true probability is known."""
    rng = np.random.default_rng(seed)
    share = rng.uniform(0.05, 0.95, N)
    target = (rng.uniform(size=N) < share).astype(np.float64)
    kinds = rng.integers(0, 3, N).astype(np.float32)
    kinds[:50] = np.nan
    slices = {"kind": kinds, "share": share.astype(np.float32)}
    return Contest(np.arange(N) * 60_000_000, target, 2, "log_loss", 0.5, slices), share


def a_side(name: str, share: np.ndarray, seen: np.ndarray | None = None) -> Side:
    given = np.column_stack([1 - share, share])
    return Side(name, given, np.zeros(N, bool) if seen is None else seen)


def test_the_better_one_is_told_and_how_sure_that_is() -> None:
    contest, share = a_contest()
    told = backtest(contest, [a_side("true", share), a_side("dull", np.full(N, 0.5))])
    [difference] = told["differences"]

    assert (difference["a"], difference["b"], difference["rows"]) == ("true", "dull", N)
    assert 0 < difference["low"] < difference["gain"] < difference["high"]
    true, dull = told["models"]
    assert dull["loss"] == pytest.approx(np.log(2))
    assert true["low"] < true["loss"] < true["high"]
    assert all(abs(said - came) < 0.1 for said, came, _ in true["reliability"])
    assert sum(rows for *_, rows in true["reliability"]) == N
    assert json.loads(json.dumps(told, allow_nan=False))["rows"] == N


def test_rows_that_a_model_was_fitted_on_decide_nothing() -> None:
    contest, _ = a_contest()
    seen = np.arange(N) < 1_000
    cheat = np.where(seen, contest.target.clip(0.001, 0.999), 0.5)
    told = backtest(contest, [a_side("cheat", cheat, seen), a_side("dull", np.full(N, 0.5))])
    model = told["models"][0]

    assert model["seen_rows"] == 1_000
    assert model["loss"] < model["unseen"]["loss"] == pytest.approx(np.log(2))
    assert told["differences"][0]["rows"] == N - 1_000
    assert told["differences"][0]["gain"] == 0.0


def test_each_row_is_in_one_bucket_and_in_one_value_of_each_slice() -> None:
    contest, share = a_contest()
    answers = a_side("half", share)
    answers.answers[::2] = np.nan  # no answer to half of them
    [model] = backtest(contest, [answers])["models"]

    assert model["rows"] == N // 2
    assert len(model["by_time"]) == BUCKETS
    for feature, values in (("kind", {"0", "1", "2", "missing"}), ("share", None)):
        mine = [each for each in model["slices"] if each["feature"] == feature]
        assert sum(each["rows"] for each in mine) == N // 2
        assert values is None or {each["value"] for each in mine} == values
    [missing] = [each for each in model["slices"] if each["value"] == "missing"]
    assert missing["few"]
    losses = [each["loss"] for each in model["slices"]]
    assert losses == sorted(losses, reverse=True)


def test_an_interval_is_as_wide_as_rows_that_err_together_make_it() -> None:
    rng = np.random.default_rng(5)
    alone = rng.normal(size=N)
    together = np.repeat(rng.normal(size=N // 40), 40)
    wide = [high - low for low, high in (interval(alone, 1), interval(together, 1)) if low and high]

    assert wide[1] > 3 * wide[0]
    assert interval(alone[:50], 1) == (None, None)


@pytest.mark.parametrize("classes", [0, 3])
def test_numbers_and_several_classes_have_figures_of_their_own(classes: int) -> None:
    rng = np.random.default_rng(2)
    if classes:
        target = rng.integers(0, classes, N).astype(np.float64)
        given, metric = rng.dirichlet(np.ones(classes), N), "log_loss"
    else:
        target, metric = rng.normal(size=N), "squared_error"
        given = (target + rng.normal(size=N))[:, None]
    contest = Contest(np.arange(N), target, classes, metric, 0.5, {})
    [model] = backtest(contest, [Side("one", given, np.zeros(N, bool))])["models"]

    assert ("rmse" in model["figures"]) == (not classes)
    assert bool(model["reliability"]) == bool(classes)
    assert ("f1_weighted" in model["figures"].get("averages", {})) == bool(classes)


def a_plan(*rivals: Rival, **more: object) -> HistoryPlan:
    of = ("sea", 1, 2, NAMES, 2, "log_loss", 0.5, rivals)
    return HistoryPlan(*of, **more)  # type: ignore[arg-type]


def the_rivals(log: Broker, shelf: Shelf) -> tuple[Rival, Rival, Candidate]:
    run = trained(log, shelf, [GOOD, POOR])
    good, poor = run.candidates
    window = good.window.SerializeToString()
    return Rival("good", good.digest, window=window), Rival("poor", poor.digest), good


def test_models_are_scored_on_the_log_between_two_times(log: Broker) -> None:
    shelf = Shelf()
    good, poor, candidate = the_rivals(log, shelf)
    rows, _ = dataset.read(log, dataset.bounds(log, "sea", 1, 2))
    start, end = int(rows.times[1_000]), int(rows.times[-100])
    plan = a_plan(good, poor, slices=(NAMES[0],), from_us=start, to_us=end)

    reply = History(plan, shelf.fetch, log).reply()
    told = json.loads(reply.report)

    assert told["rows"] == reply.window.rows == ((rows.times >= start) & (rows.times < end)).sum()
    assert told["from_us"] >= start
    assert told["to_us"] < end
    assert told["models"][0]["loss"] < told["models"][1]["loss"]
    assert 0 < told["models"][0]["seen_rows"] <= candidate.window.rows
    html = paper.page(told)
    assert "good is better than poor" in " ".join(paper.summary(told))
    assert "<svg" in html
    assert f">{NAMES[0]}<" in html


def test_the_rows_of_a_models_window_are_asked_for_by_its_record(log: Broker) -> None:
    shelf = Shelf()
    good, _, candidate = the_rivals(log, shelf)
    plan = a_plan(good, window=candidate.window.SerializeToString())

    told = json.loads(History(plan, shelf.fetch, log).reply().report)

    assert (told["source"], told["rows"]) == ("log", candidate.window.rows)
    assert told["models"][0]["seen_rows"] == told["rows"]


def test_no_rows_is_said_and_so_is_a_model_that_is_none(log: Broker) -> None:
    shelf = Shelf()
    good, _, _ = the_rivals(log, shelf)
    with pytest.raises(Refused, match="0 labelled rows"):
        History(a_plan(good, from_us=1, to_us=2), shelf.fetch, log).reply()


def test_what_was_answered_at_the_time_is_found_by_the_rows_ids() -> None:
    log = a_log(600)
    rows, _ = dataset.read(log, dataset.bounds(log, "sea", 1, 2))
    topic = topics.PREDICTIONS.topic("sea", 1)
    mine = rows.ids.to_pylist()[:100]
    schema = batch_schema(topics.PREDICTIONS.declaration.columns)
    given = {"event_id": pa.array(mine)}
    zeros = pa.array(np.zeros(100, np.int64))
    batch = pa.RecordBatch.from_arrays(
        [given.get(field.name, zeros.cast(field.type)) for field in schema], schema=schema
    )
    outputs = np.tile(np.array([0.25, 0.75], "<f4"), (100, 1))
    message = Predictions(
        rows=100, width=2, version=3, columns=encode(batch), outputs=outputs.tobytes()
    )
    log.create([TopicSpec(topic.name, 2)])
    log.append([Emit(topic.name, message.SerializeToString(), None, 0)])

    found = answered(log, ("sea", 1), rows, 2)

    assert np.isfinite(found[:100]).all()
    assert np.isnan(found[100:]).all()
    assert set(found[:100, 1].tolist()) == {0.75}
