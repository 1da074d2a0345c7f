"""The loop closes on the small stream: a first model, a drift, a better model, and the error falls
again; and with every service killed once, nothing is lost and nothing doubled.
"""

from __future__ import annotations

from datetime import datetime

import polars as pl
import pytest

from infra.demo import figures
from infra.local.layout import FIRST, OTHERS
from infra.tools import sea
from tests.support.eventually import eventually
from tests.support.loop import World

ROWS, DRIFT = 7_000, 3_000


@pytest.mark.timeout(240)
def test_a_drift_brings_a_better_model_unattended(world: World) -> None:
    stream = "sea-loop"
    world.declare(stream)
    events = list(sea.events(ROWS, DRIFT))
    world.produce(stream, events[:4_000])
    eventually(lambda: world.released(stream), within_s=60, every_s=0.3)
    world.produce(stream, events[4_000:9_000])
    eventually(lambda: world.drifts(stream), within_s=60, every_s=0.3)
    eventually(lambda: world.released(stream)[-1].version > 1, within_s=60, every_s=0.3)
    newest = world.released(stream)[-1].version
    world.produce(stream, events[9_000:])
    world.end(stream, last_us(events))

    predictions, examples = world.predictions(stream), world.examples(stream)
    told = figures.records(0, ids(events), predictions, examples, {})
    assert (told["missing"], told["doubled"], told["distinct"]) == (0, 0, ROWS)
    assert world.scores(stream)["event_id"].n_unique() == len(world.scores(stream)) == ROWS
    rows = figures.scored_rows(predictions, examples)
    after = rows.filter(pl.col("version") == newest)
    assert after.height > 500
    assert figures.quality(after, "loop")["auc"] > 0.95 > figures.quality(after, "frozen")["auc"]
    assert sum(each.predicted for each in world.statistics(stream)) == ROWS

    [request] = [r for r in world.requests(stream) if r.message.trigger == "drift"][:1]
    assert request.message.evidence.value > request.message.evidence.reference
    answered = [each.request_id for each in world.resolved(stream)]
    assert sorted(answered) == sorted(each.id for each in world.requests(stream))
    runs = [each.run_id for each in world.resolved(stream) if each.outcome == "accepted"]
    eventually(lambda: {each.run_id for each in world.finished(stream)} == set(runs), within_s=60)
    assert len(world.finished(stream)) == len(runs)


@pytest.mark.timeout(120)
def test_a_rollback_brings_the_former_model_back_to_serving(world: World) -> None:
    stream = "sea-loop"
    newest = world.released(stream)[-1]
    back = world.rollback(stream)
    assert (back.version, back.cause) == (newest.previous_version, "rollback")
    assert world.released(stream)[-1].version == newest.previous_version


@pytest.mark.timeout(240)
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
        eventually(
            lambda service=service, before=before: world.stack.restarts()[service] > before,  # type: ignore[misc]
            within_s=30,
        )
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


def ids(events: list[tuple[str, str]]) -> pl.Series:
    rows = [line for topic, line in events if topic == sea.EVENTS]
    return pl.Series(rows).str.json_path_match("$.id")


def last_us(events: list[tuple[str, str]]) -> int:
    text = pl.Series([events[-1][1]]).str.json_path_match("$.at")[0]
    return int(datetime.fromisoformat(text).timestamp() * 1e6)
