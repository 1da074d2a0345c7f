"""Lines in serving: the newest snapshot answers, live or in the shadow of what is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx as onnx_file
import pytest
from onnx import helper

from driftloop.contracts import topics
from driftloop.contracts.model_pb2 import Snapshot
from driftloop.contracts.prediction_pb2 import Predictions
from driftloop.kit.broker import TopicSpec
from driftloop.kit.follow import Follower
from driftloop.kit.topic import emit
from services.serving import onnx
from services.serving.lines import Lines
from tests.support.eventually import eventually
from tests.unit.serving import stories
from tests.unit.serving.nets import a_model, digest
from tests.unit.serving.stories import PLAN, House, an_envelope, some_vectors


def of_line(model: bytes, recipe: str) -> bytes:
    """As a snapshot of a line carries it."""
    whole = onnx_file.load_model_from_string(model)
    helper.set_model_props(whole, {"line": "online", "recipe": recipe})
    return bytes(whole.SerializeToString())


LIVE, OLD, NEW = a_model(1.0, -1.0, 0.5), a_model(0.1, 2.0, -0.5), a_model(3.0, 0.0, 0.0)
SNAPSHOTS = topics.SNAPSHOTS.topic("flights", 1)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path, replace(PLAN, lines=("online",)))
    house.broker.create([TopicSpec(SNAPSHOTS.name, 1)])
    stop = threading.Event()

    def load(data: bytes, *, width: int, classes: int) -> onnx.Session:
        return onnx.Session(data, width=width, classes=classes, provider=onnx.CPU)

    def follow(topic: object, heard: Callable[..., None]) -> Follower[Snapshot]:
        return Follower(house.broker, SNAPSHOTS, heard, stop)

    lines = Lines(follow, load)
    lines.start()
    lines.open(house.standing)
    house.models.read_to_end()
    yield house
    stop.set()
    lines.stop()
    house.models.stop()


def say(house: House, model: bytes, *, rows: int, digested: str = "") -> None:
    message = Snapshot(
        pipeline="flights", generation=1, line="online", model=model, rows=rows,
        digest=digested or digest(model),
    )  # fmt: skip
    house.broker.append([emit(SNAPSHOTS, message, key=b"online", partition=0)])


def held(house: House) -> str:
    current = house.standing.current
    snapshot = current.lines.get("online") if current else None
    return snapshot.digest if snapshot else ""


def answer(house: House, name: str) -> Predictions:
    house.send(an_envelope(0, [name], some_vectors(1)))
    house.loop.drain()
    return stories.predictions(house.broker)[-1][1]


def test_a_line_that_is_not_live_answers_in_the_shadow_of_what_is(house: House) -> None:
    house.release(1, LIVE)
    say(house, OLD, rows=50)
    eventually(lambda: held(house) == digest(OLD), within_s=10)
    message = answer(house, "e1")
    assert (message.version, message.digest) == (1, digest(LIVE))
    (shadow,) = message.shadows
    assert (shadow.line, shadow.digest) == ("online", digest(OLD))
    outputs = np.frombuffer(shadow.outputs, "<f4")
    expected = onnx.Session(OLD, width=3, classes=2, provider=onnx.CPU).run(some_vectors(1))
    assert outputs.tolist() == expected.reshape(-1).tolist()


def test_a_line_that_is_live_answers_by_its_newest_snapshot_and_shadows_nobody(
    house: House,
) -> None:
    house.release(2, OLD, line="online")
    assert house.standing.settled.wait(5)
    assert answer(house, "e1").digest == digest(OLD)  # the release's own, until a newer one comes
    say(house, NEW, rows=100)
    eventually(lambda: held(house) == digest(NEW), within_s=10)
    message = answer(house, "e2")
    assert (message.version, message.digest, len(message.shadows)) == (2, digest(NEW), 0)


def test_a_snapshot_that_is_not_what_it_says_changes_nothing(house: House) -> None:
    house.release(1, LIVE)
    say(house, OLD, rows=50)
    eventually(lambda: held(house) == digest(OLD), within_s=10)
    say(house, NEW, rows=100, digested=digest(LIVE))
    say(house, b"no model", rows=150)
    eventually(lambda: "line_corrupt_model" in house.standing.counts._counts, within_s=10)
    assert held(house) == digest(OLD)
    assert answer(house, "e1").version == 1


def test_a_line_of_the_same_name_with_other_parameters_is_another_one(house: House) -> None:
    house.release(2, of_line(OLD, "a"), line="online")
    assert house.standing.settled.wait(5)
    other = of_line(NEW, "b")
    say(house, other, rows=50)
    eventually(lambda: held(house) == digest(other), within_s=10)
    message = answer(house, "e1")  # it was never judged, so it answers in the shadow alone
    assert message.digest == digest(of_line(OLD, "a"))
    assert [shadow.digest for shadow in message.shadows] == [digest(other)]


def test_a_line_that_is_no_longer_declared_answers_no_more(house: House) -> None:
    house.release(1, LIVE)
    say(house, OLD, rows=50)
    eventually(lambda: held(house) == digest(OLD), within_s=10)
    house.standing.keep_lines(())
    assert len(answer(house, "e1").shadows) == 0
