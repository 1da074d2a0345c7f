"""A judgement over real models and rows: the very bytes, the very rows, numbers and a reason."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from driftloop import dataset
from driftloop.contracts.evaluation_pb2 import ReplayReply
from driftloop.contracts.model_pb2 import ModelEvaluated, ModelTrained
from driftloop.kit.broker import Broker
from driftloop.kit.errors import Malformed
from services.evaluation.judge import Court, replayed
from services.evaluation.plan import Champion, Plan, ReplayPlan
from tests.unit.evaluation.stories import GOOD, POOR, Shelf, trained
from tests.unit.training.examples import a_log


@pytest.fixture(scope="module")
def log() -> Broker:
    return a_log(6_000)


def judged(
    log: Broker, shelf: Shelf, run: ModelTrained, champion: Champion | None = None
) -> ModelEvaluated:
    plan = Plan(run.SerializeToString(), champion or Champion(), "log_loss", 0.95, 0.5)
    return Court(plan, shelf.fetch, log).evaluated()


def test_the_first_model_is_judged_against_the_base_rate(log: Broker) -> None:
    shelf = Shelf()
    run = trained(log, shelf, [GOOD, POOR])
    said = judged(log, shelf, run)
    assert (said.outcome, said.winner, said.champion_version) == ("released", "good", 0)
    assert said.winner_digest == run.candidates[0].digest
    assert "base rate" in said.rule
    assert not said.HasField("champion")
    assert 0.7 < said.verdicts[0].metrics.auc < 1
    assert said.verdicts[0].gain > said.verdicts[0].gain_low > 0


def test_a_candidate_must_beat_the_champion_on_the_held_out_rows(log: Broker) -> None:
    shelf = Shelf()
    live = trained(log, shelf, [GOOD]).candidates[0]
    worse = judged(log, shelf, trained(log, shelf, [POOR]), Champion(4, live.digest))
    assert (worse.outcome, worse.winner, worse.champion_version) == ("rejected", "", 4)
    assert worse.champion.log_loss < worse.verdicts[0].metrics.log_loss
    poor = trained(log, shelf, [POOR]).candidates[0]
    better = judged(log, shelf, trained(log, shelf, [GOOD]), Champion(5, poor.digest))
    assert (better.outcome, better.winner) == ("released", "good")


def test_the_same_model_as_the_champion_is_no_gain(log: Broker) -> None:
    shelf = Shelf()
    run = trained(log, shelf, [GOOD])
    said = judged(log, shelf, run, Champion(1, run.candidates[0].digest))
    assert (said.outcome, said.verdicts[0].gain) == ("rejected", 0.0)


def test_candidates_of_the_same_bytes_share_one_case(log: Broker) -> None:
    shelf = Shelf()
    said = judged(log, shelf, trained(log, shelf, [GOOD, replace(GOOD, name="twin")]))
    first, twin = said.verdicts
    assert (first.gain, first.gain_low, first.eligible) == (twin.gain, twin.gain_low, True)
    assert twin.reason.startswith("the same bytes as good")
    assert said.winner == "good"


def test_a_candidate_whose_bytes_are_no_model_loses_and_the_others_are_judged(log: Broker) -> None:
    shelf = Shelf()
    run = trained(log, shelf, [GOOD, POOR])
    shelf.models[run.candidates[1].digest] = b"no model"
    said = judged(log, shelf, run)
    assert said.winner == "good"
    assert "not a usable ONNX model" in said.verdicts[1].reason


def test_a_failed_candidate_keeps_its_error(log: Broker) -> None:
    shelf = Shelf()
    said = judged(
        log, shelf, trained(log, shelf, [GOOD, replace(POOR, name="wrong", params={"x": 1})])
    )
    assert said.winner == "good"
    assert "no such parameter" in said.verdicts[1].reason


def test_rows_that_are_not_those_that_were_held_out_are_not_judged_on(log: Broker) -> None:
    shelf = Shelf()
    run = trained(log, shelf, [GOOD])
    run.holdout.rows_sha256 = "0" * 64
    with pytest.raises(Malformed, match="held-out rows"):
        judged(log, shelf, run)


def test_a_replay_is_the_figures_of_any_model_on_any_window(log: Broker) -> None:
    shelf = Shelf()
    run = trained(log, shelf, [GOOD])
    digest = run.candidates[0].digest
    window = run.holdout
    plan = ReplayPlan(window.SerializeToString(), digest, 0.5)
    reply = ReplayReply.FromString(replayed(plan, shelf.fetch, log))
    assert reply.metrics == judged(log, shelf, run).verdicts[0].metrics
    assert reply.window.rows_sha256 == window.rows_sha256
    rows, _ = dataset.read(log, dataset.ranges_of(window))
    assert np.isclose(reply.metrics.positive_share, rows.target.mean())
