"""Several classes and numbers, from the model's bytes to predictions, scores and calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from driftloop.contracts import inference_pb2 as v2
from driftloop.contracts.prediction_pb2 import Score
from driftloop.kit.events import from_json
from services.serving import tensors
from services.serving.domain import Kind
from tests.support.eventually import eventually
from tests.unit.serving import stories
from tests.unit.serving.nets import a_model, digest, of_a_number, of_classes
from tests.unit.serving.stories import PLAN, House, an_envelope, some_vectors

CLASSES = ("air", "sea", "road")
VECTORS = np.array([[-2, 0, 0], [3, 1, 1], [0.5, 2, -1]], np.float32)
Open = Callable[[Kind, int], House]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    houses: list[House] = []

    def of(kind: Kind, outputs: int) -> House:
        house = House(tmp_path, replace(PLAN, kind=kind, outputs=outputs))
        house.models.read_to_end()
        houses.append(house)
        return house

    yield of
    for house in houses:
        house.models.stop()


def live(house: House, model: bytes, classes: Sequence[str]) -> None:
    house.release(1, model, classes=tuple(classes))
    eventually(lambda: house.standing.current is not None, within_s=5)


def test_several_classes_are_served_with_all_their_probabilities_and_the_likeliest_name(
    opened: Open,
) -> None:
    house = opened("multiclass", 3)
    live(house, of_classes(3), CLASSES)
    house.send(an_envelope(0, ["a", "b", "c"], VECTORS))
    house.loop.drain()

    expected = np.exp(VECTORS[:, :1] * np.arange(3))
    expected /= expected.sum(axis=1, keepdims=True)
    ((_, message),) = stories.predictions(house.broker)
    assert message.width == 3
    assert np.allclose(stories.outputs(message), expected, atol=1e-6)
    assert stories.predicted(message)["label"] == [0, 2, 2]
    lines = stories.scores(house.broker)
    assert [line["label"] for line in lines] == ["air", "road", "road"]
    assert np.allclose([line["probabilities"] for line in lines], expected, atol=1e-6)
    assert not [line for line in lines if {"probability", "value", "baseline"} & set(line)]


def test_a_number_is_served_as_the_value_alone(opened: Open) -> None:
    house = opened("regression", 1)
    live(house, of_a_number(1.0, 10.0, -1.0), ())
    house.release(
        2,
        of_a_number(2.0, 0.0, 0.0),
        classes=(),
        baseline_version=1,
        baseline_digest=digest(of_a_number(1.0, 10.0, -1.0)),
    )
    eventually(lambda: house.swaps == [1, 2], within_s=5)
    house.send(an_envelope(0, ["a", "b", "c"], VECTORS))
    house.loop.drain()

    ((_, message),) = stories.predictions(house.broker)
    assert (message.width, message.version) == (1, 2)
    assert stories.outputs(message) == [[-4.0], [6.0], [1.0]]
    assert np.frombuffer(message.baseline, "<f4").tolist() == [-2.0, 12.0, 21.5]
    assert stories.predicted(message)["label"] == [None] * 3
    first = next(house.broker.read("flights.scores", 0, 0, 1))
    score = from_json(first.value or b"", Score)
    assert (score.value, score.baseline, score.label) == (-4.0, -2.0, "")
    assert not score.HasField("probability")


def test_a_call_gets_the_outputs_of_the_kind_and_metadata_names_them(opened: Open) -> None:
    house = opened("regression", 1)
    live(house, of_a_number(1.0, 0.0, 0.0), ())
    answering = house.standing.current
    assert answering is not None
    said = tensors.metadata("flights", ["1"], answering)
    assert [(o.name, o.datatype, list(o.shape)) for o in said.outputs] == [("value", "FP32", [-1])]
    answer = answering.answer(VECTORS, house.plan)
    reply = tensors.response(v2.ModelInferRequest(), answering, answer, ["value"])
    assert [(o.name, list(o.shape)) for o in reply.outputs] == [("value", [3])]
    assert list(reply.outputs[0].contents.fp32_contents) == [-2.0, 3.0, 0.5]


def test_metadata_names_as_many_probabilities_as_there_are_classes(opened: Open) -> None:
    house = opened("multiclass", 3)
    live(house, of_classes(3), CLASSES)
    assert house.standing.current is not None
    said = tensors.metadata("flights", ["1"], house.standing.current)
    assert [(o.name, list(o.shape)) for o in said.outputs] == [
        ("probability", [-1, 3]),
        ("label", [-1]),
    ]
    assert said.properties["classes"] == "air,sea,road"


UNFIT = [
    ("multiclass", 3, of_classes(3), CLASSES, of_classes(4), CLASSES),
    ("multiclass", 3, of_classes(3), CLASSES, of_classes(4), (*CLASSES, "rail")),
    ("multiclass", 3, of_classes(3), CLASSES, of_a_number(1.0, 1.0, 1.0), CLASSES),
    ("multiclass", 3, of_classes(3), CLASSES, of_a_number(1.0, 1.0, 1.0), ()),
    ("regression", 1, of_a_number(1.0, 1.0, 1.0), (), of_classes(3), ()),
    ("regression", 1, of_a_number(1.0, 1.0, 1.0), (), of_classes(3), CLASSES),
    ("regression", 1, of_a_number(1.0, 1.0, 1.0), (), a_model(1.0, 1.0, 1.0, output="value"), ()),
    ("binary", 2, a_model(1.0, 1.0, 1.0), ("0", "1"), of_classes(3), CLASSES),
]


@pytest.mark.parametrize(("kind", "outputs", "good", "names", "bad", "said"), UNFIT)
def test_a_model_of_another_shape_is_refused_and_the_old_one_answers_on(
    opened: Open,
    kind: Kind,
    outputs: int,
    good: bytes,
    names: Sequence[str],
    bad: bytes,
    said: Sequence[str],
) -> None:
    house = opened(kind, outputs)
    live(house, good, names)
    house.standing.counts.take()
    house.release(2, bad, classes=tuple(said))
    eventually(lambda: "refused" in house.standing.trouble, within_s=5)
    assert house.standing.counts.take() == {"wrong_shape": 1}
    house.send(an_envelope(0, ["a"], some_vectors(1)))
    house.loop.drain()
    assert stories.predictions(house.broker)[0][1].version == 1
