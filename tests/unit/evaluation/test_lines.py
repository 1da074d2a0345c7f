"""Lines before the gate: judged by what they answered when each row came, never by their bytes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from driftloop import dataset
from driftloop.contracts import topics
from driftloop.contracts.event_pb2 import Envelope
from driftloop.contracts.model_pb2 import Candidate, ModelEvaluated, ModelTrained
from driftloop.contracts.prediction_pb2 import Predictions, Shadow
from driftloop.contracts.retrain_pb2 import Line, Statistics
from driftloop.kit.broker import Broker, TopicSpec
from driftloop.kit.envelope import batch_schema, encode
from driftloop.kit.topic import emit
from services.evaluation.domain import Limits
from services.evaluation.judge import Court
from services.evaluation.plan import Champion, Plan
from tests.unit.evaluation.stories import GOOD, POOR, Shelf, trained
from tests.unit.training.examples import a_log

ROWS = 2_000
PREDICTIONS, STATISTICS = topics.PREDICTIONS.topic("sea", 1), topics.STATISTICS.topic("sea")


def share(positive: np.ndarray) -> np.ndarray:
    return np.stack([1 - positive, positive], axis=1).astype("<f4")


class House:
    """A log whose rows were answered by version 1, at random, and in its shadow by a line that is
    right in 9 of 10 rows.
    """

    def __init__(
        self, *, right: float = 0.9, answered: int = ROWS, live_right: float = 0.5
    ) -> None:
        self.log: Broker = a_log(ROWS)
        self.shelf = Shelf()
        self.log.create([TopicSpec(PREDICTIONS.name, 2), TopicSpec(STATISTICS.name, 1)])
        self.rows, _ = dataset.read(self.log, dataset.bounds(self.log, "sea", 1, 2))
        chance = np.random.default_rng(5)
        truth = self.rows.target > 0
        live = np.where(chance.random(ROWS) < live_right, truth, ~truth)
        line = np.where(chance.random(ROWS) < right, truth, ~truth)
        self._predict(share(live * 0.6 + 0.2), share(line * 0.6 + 0.2), answered)
        gains = (line == (self.rows.target > 0)).astype(int) - (live == (self.rows.target > 0))
        self._tell(gains.astype(np.int8))

    def _predict(self, live: np.ndarray, line: np.ndarray, answered: int) -> None:
        schema = batch_schema(topics.PREDICTIONS.declaration.columns)
        zeros = pa.array(np.zeros(ROWS, np.int64))
        columns = [self.rows.ids if field.name == "event_id" else zeros for field in schema]
        batch = pa.RecordBatch.from_arrays(columns, schema=schema)
        for part in (slice(0, ROWS - answered), slice(ROWS - answered, ROWS)):
            count = part.stop - part.start
            shadow = Shadow(line="online", digest="d", outputs=line[part].tobytes())
            message = Predictions(
                envelope=Envelope(pipeline="sea", generation=1), rows=count, width=2, version=1,
                columns=encode(batch.slice(part.start, count)), outputs=live[part].tobytes(),
                shadows=[shadow] if part.stop == ROWS else [],
            )  # fmt: skip
            self.log.append([emit(PREDICTIONS, message, partition=0)] if count else [])

    def _tell(self, gains: np.ndarray) -> None:
        message = Statistics(
            pipeline="sea", generation=1, version=1, end_us=1, scored=ROWS,
            times_us=self.rows.times.astype("<i8").tobytes(),
            lines=[Line(name="online", gains=gains.tobytes())],
        )  # fmt: skip
        self.log.append([emit(STATISTICS, message, partition=0)])

    def run(self, *learners: str) -> ModelTrained:
        """A challenger's run; with learners one of these too."""
        wanted = [one for one in (GOOD, POOR) if one.name in learners] or [POOR]
        run = trained(self.log, self.shelf, wanted)
        if not learners:
            del run.candidates[:]
        line = Candidate(name="online", kind="river", line="online", bytes=900)
        line.digest = self.shelf.put(b"a snapshot, which nobody opens")
        run.candidates.append(line)
        return run

    def judged(self, run: ModelTrained, champion: Champion, limits: Limits) -> ModelEvaluated:
        plan = Plan(run.SerializeToString(), champion, "log_loss", 0.95, 0.5, limits=limits,
                    lines=("online",))  # fmt: skip
        return Court(plan, self.shelf.fetch, self.log).evaluated()


def live(house: House) -> Champion:
    return Champion(1, trained(house.log, house.shelf, [POOR]).candidates[0].digest)


NONE = Limits()


def test_a_line_that_was_right_more_often_is_released_by_its_record_alone() -> None:
    house = House()
    said = house.judged(house.run(), live(house), NONE)
    assert (said.outcome, said.winner) == ("released", "online")
    assert "bets on it have grown" in said.reason and "40 wanted" in said.reason
    (verdict,) = said.verdicts
    assert verdict.eligible and verdict.metrics.accuracy == pytest.approx(0.9, abs=0.05)


def test_a_line_that_was_right_as_often_is_rejected_with_its_record() -> None:
    house = House(right=0.5)
    said = house.judged(house.run(), live(house), NONE)
    assert (said.outcome, said.winner) == ("rejected", "")
    assert "bets on it have grown" in said.reason


def test_a_candidate_that_was_fitted_for_this_run_goes_before_a_line() -> None:
    house = House()
    said = house.judged(house.run("good"), live(house), NONE)
    assert (said.outcome, said.winner) == ("released", "good")
    assert {one.name: one.eligible for one in said.verdicts} == {"good": True, "online": True}


def test_a_line_wins_where_what_was_fitted_does_not() -> None:
    house = House()
    said = house.judged(house.run("poor"), live(house), NONE)
    assert (said.outcome, said.winner) == ("released", "online")


def test_a_line_that_has_answered_few_of_the_held_out_rows_is_not_judged_yet() -> None:
    house = House(answered=50)
    said = house.judged(house.run(), live(house), NONE)
    assert said.outcome == "rejected"
    assert said.verdicts[0].reason == "its record holds 50 of 194 held-out rows"


def test_limits_bar_a_line_too() -> None:
    house = House()
    said = house.judged(house.run(), live(house), replace(NONE, bytes=100))
    assert (said.outcome, said.verdicts[0].eligible) == ("rejected", False)
    assert "barred: 900 bytes" in said.verdicts[0].reason


def test_what_is_live_and_a_line_is_held_to_what_it_answered() -> None:
    house = House()
    run = trained(house.log, house.shelf, [GOOD])
    champion = Champion(1, house.shelf.put(b"a snapshot"), "other")
    said = house.judged(run, champion, NONE)  # version 1 answered at random
    assert (said.outcome, said.winner) == ("released", "good")
    assert said.champion.accuracy == pytest.approx(0.5, abs=0.1)


def test_nothing_is_live_so_a_line_waits_for_a_first_model() -> None:
    house = House()
    said = house.judged(house.run(), Champion(), NONE)
    assert said.outcome == "rejected" and "nothing is" in said.reason


def test_what_follows_a_line_must_surely_err_less_however_small_its_losses() -> None:
    house = House(live_right=0.95)
    champion = Champion(1, house.shelf.put(b"a snapshot"), "other")
    said = house.judged(trained(house.log, house.shelf, [GOOD]), champion, NONE)
    assert said.outcome == "rejected"
    assert "it does not surely err less than line other did" in said.verdicts[0].reason
