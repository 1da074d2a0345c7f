"""The loop closes on the small stream: a first model, a drift, a better model, and the error falls
again.
"""

from __future__ import annotations

import polars as pl
import pytest

from infra.demo import figures
from tests.e2e.conftest import ROWS, Looped
from tests.support.eventually import eventually
from tests.support.loop import ids

pytestmark = pytest.mark.timeout(240)


def test_every_row_is_answered_once(looped: Looped) -> None:
    world, stream = looped.world, looped.stream
    predictions, examples = world.predictions(stream), world.examples(stream)
    told = figures.records(0, ids(looped.events), predictions, examples, {})
    assert (told["missing"], told["doubled"], told["distinct"]) == (0, 0, ROWS)
    scores = world.scores(stream)
    assert scores["event_id"].n_unique() == len(scores) == ROWS
    assert sum(each.predicted for each in world.statistics(stream)) == ROWS


def test_a_drift_brings_a_better_model_unattended(looped: Looped) -> None:
    world, stream = looped.world, looped.stream
    rows = figures.scored_rows(world.predictions(stream), world.examples(stream))
    after = rows.filter(pl.col("version") == looped.version)
    assert after.height > 500
    assert figures.quality(after, "loop")["auc"] > 0.95 > figures.quality(after, "frozen")["auc"]
    asked = next(each for each in world.requests(stream) if each.message.trigger == "drift")
    assert asked.message.evidence.value > asked.message.evidence.reference


def test_nobody_scraped_meanwhile_but_those_who_hang(looped: Looped) -> None:
    assert set(looped.hung) == set(looped.world.stack.layout.metrics)
    assert min(looped.hung.values()) > 3


def test_every_request_has_one_answer_and_every_run_one_end(looped: Looped) -> None:
    world, stream = looped.world, looped.stream
    answered = [each.request_id for each in world.resolved(stream)]
    assert sorted(answered) == sorted(each.id for each in world.requests(stream))
    runs = {each.run_id for each in world.resolved(stream) if each.outcome == "accepted"}
    eventually(lambda: {each.run_id for each in world.finished(stream)} == runs, within_s=60)
    assert len(world.finished(stream)) == len(runs)
