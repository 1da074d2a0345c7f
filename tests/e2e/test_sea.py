"""The loop closes on the small stream: a first model, a drift, a better model, and the error falls
again; and with every service killed once, nothing is lost and nothing doubled.
"""

from __future__ import annotations

from functools import partial

import polars as pl
import pytest

from infra.demo import figures
from infra.local.layout import FIRST, OTHERS
from infra.tools import sea
from tests.e2e.conftest import DRIFT, ROWS, Looped
from tests.support.eventually import eventually
from tests.support.loop import World, ids, last_us

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


def test_every_request_has_one_answer_and_every_run_one_end(looped: Looped) -> None:
    world, stream = looped.world, looped.stream
    answered = [each.request_id for each in world.resolved(stream)]
    assert sorted(answered) == sorted(each.id for each in world.requests(stream))
    runs = {each.run_id for each in world.resolved(stream) if each.outcome == "accepted"}
    eventually(lambda: {each.run_id for each in world.finished(stream)} == runs, within_s=60)
    assert len(world.finished(stream)) == len(runs)


def restarted(world: World, service: str, before: int) -> bool:
    return world.stack.restarts()[service] > before


def test_each_service_killed_once_under_load_loses_and_doubles_nothing(world: World) -> None:
    stream = "sea-kills"
    world.declare(stream)
    events = list(sea.events(ROWS, DRIFT))
    services = (*OTHERS, FIRST)
    step = len(events) // (len(services) + 1)
    world.produce(stream, events[:step])
    for number, service in enumerate(services, start=1):
        before = world.stack.restarts()[service]
        world.stack.kill(service)
        world.produce(stream, events[number * step : (number + 1) * step])
        eventually(partial(restarted, world, service, before), within_s=30)
    world.produce(stream, events[(len(services) + 1) * step :])
    world.end(stream, last_us(events))

    predictions, examples = world.predictions(stream), world.examples(stream)
    told = figures.records(0, ids(events), predictions, examples, {})
    assert (told["missing"], told["doubled"], told["predicted"]) == (0, 0, ROWS)
    assert examples["event_id"].n_unique() == len(examples) == ROWS
    assert world.scores(stream)["event_id"].n_unique() == len(world.scores(stream)) == ROWS
    statistics = world.statistics(stream)
    assert sum(each.predicted for each in statistics) == ROWS
    assert sum(each.scored for each in statistics) == told["scored"]
    answered = [each.request_id for each in world.resolved(stream)]
    assert len(answered) == len(set(answered))
    assert set(answered) == {each.id for each in world.requests(stream)}
