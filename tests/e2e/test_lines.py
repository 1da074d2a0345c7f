"""A line beats what is live by its record, is released, and is served seconds behind."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from driftloop.cli.app import app
from driftloop.contracts import topics
from driftloop.contracts.model_pb2 import Snapshot
from driftloop.contracts.prediction_pb2 import Predictions
from driftloop.kit.message import parse
from infra.tools import sea
from tests.support.eventually import eventually
from tests.support.loop import World, last_us, sea_yaml

pytestmark = pytest.mark.timeout(180)
STREAM, ROWS, DRIFT = "sea-line", 4_000, 2_000
LINE = (
    "  - {name: online, kind: river, estimator: LogisticRegression, "
    "params: {learning_rate: 0.1}, snapshot: {rows: 50, seconds: 1}}\n"
)


def test_a_line_that_learns_on_replaces_a_model_that_the_stream_has_left_behind(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    yaml = sea_yaml().replace("\nevaluation:", f"{LINE}\nevaluation:", 1)
    world.declare(STREAM, yaml.replace("on: [drift, manual]", "on: [manual]"))
    events = list(sea.events(ROWS, DRIFT))
    world.produce(STREAM, events[:3_500])
    eventually(lambda: world.released(STREAM), within_s=60, every_s=0.3)
    world.produce(STREAM, events[3_500:7_000])
    eventually(lambda: len(world.released(STREAM)) == 2, within_s=60, every_s=0.3)
    released = world.released(STREAM)[-1]
    assert (released.version, released.line) == (2, "online")
    (asked,) = [each for each in world.requests(STREAM) if each.message.trigger == "challenger"]
    assert asked.message.line == "online"
    for at in range(7_000, len(events), 250):  # all at once, one snapshot may answer the whole
        _learnt(world, events[at : at + 250])
    world.end(STREAM, last_us(events))
    answered = _answers(world)
    assert {shadow.line for one in answered if one.version == 1 for shadow in one.shadows} == {
        "online"
    }
    digests = {one.digest for one in answered if one.version == 2}
    assert len(digests) > 1  # one release, several snapshots
    assert not any(one.shadows for one in answered if one.version == 2)
    for name, value in world.stack.environ.items():
        monkeypatch.setenv(name, value)
    told = CliRunner().invoke(app, ["lines", STREAM, "--json"])
    (line,) = json.loads(told.output)
    assert (line["line"], line["beside"]) == ("online", 2)
    assert line["rows_learnt"] > 3_500 and len(line["digest"]) == 64


def _learnt(world: World, part: list[tuple[str, str]]) -> None:
    """Sent, and in a snapshot."""
    before = _newest(world)
    world.produce(STREAM, part)
    eventually(lambda: _newest(world) != before, within_s=20, every_s=0.3)


def _newest(world: World) -> str:
    """Digest of the line's newest snapshot."""
    topic = topics.SNAPSHOTS.topic(STREAM, 1).name
    *_, last = world.broker.read(topic, 0, *world.broker.bounds(topic, 0))
    return parse(Snapshot, last).digest


def _answers(world: World) -> list[Predictions]:
    topic = topics.PREDICTIONS.topic(STREAM, 1).name
    read = (
        record
        for partition in range(2)
        for record in world.broker.read(topic, partition, *world.broker.bounds(topic, partition))
    )
    return [message for message in (parse(Predictions, record) for record in read) if message.rows]
