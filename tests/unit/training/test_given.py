"""A model that was fitted elsewhere enters as the one candidate, if it fits the pipeline."""

from __future__ import annotations

import hashlib

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from driftloop.contracts.model_pb2 import ModelTrained
from driftloop.kit.broker import Broker
from driftloop.kit.clock import FakeClock
from services.evaluation.judge import Court
from services.evaluation.plan import Champion
from services.evaluation.plan import Plan as CourtPlan
from services.training.domain import Limits
from services.training.fit import Workshop
from services.training.plan import GivenPlan, Plan
from tests.unit.evaluation.stories import POOR, Shelf, trained
from tests.unit.training.examples import NAMES, WIDTH, a_log, whole


@pytest.fixture(scope="module")
def log() -> Broker:
    return a_log(3_000)


def a_model(
    *, width: int = WIDTH, entry: str = "features", outputs: str = "probability", flat: bool = False
) -> bytes:
    """Sigmoid of twice the first feature, a missing one read as 0; `flat`: probabilities of one
    half, unnormalised.
    """
    weights = np.zeros((width, 1), np.float32)
    weights[0] = 0.0 if flat else 2.0
    nodes = [
        helper.make_node("IsNaN", [entry], ["missing"]),
        helper.make_node("Where", ["missing", "zero", entry], ["known"]),
        helper.make_node("MatMul", ["known", "weights"], ["score"]),
        helper.make_node("Sigmoid", ["score"], ["yes"]),
        helper.make_node("Sub", ["one", "yes"], ["no"]),
        helper.make_node("Concat", ["no", "yes"], [outputs], axis=1),
        helper.make_node("ArgMax", [outputs], ["label"], axis=1, keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "given",
        [helper.make_tensor_value_info(entry, TensorProto.FLOAT, [None, width])],
        [
            helper.make_tensor_value_info(outputs, TensorProto.FLOAT, [None, 2]),
            helper.make_tensor_value_info("label", TensorProto.INT64, [None]),
        ],
        [
            helper.make_tensor("weights", TensorProto.FLOAT, [width, 1], weights.reshape(-1)),
            helper.make_tensor("zero", TensorProto.FLOAT, [1], [0.0]),
            helper.make_tensor("one", TensorProto.FLOAT, [1], [2.0 if flat else 1.0]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=9)
    return bytes(model.SerializeToString())


def entered(log: Broker, shelf: Shelf, model: bytes) -> ModelTrained:
    digest = shelf.put(model)
    given = GivenPlan("mine", digest, len(model), "from the notebook")
    plan = Plan("run-9", "sea", 1, 3, whole(log), (), NAMES, 2, Limits(500, 0.1), given=given)
    workshop = Workshop(plan, shelf.put, lambda _: None, FakeClock(), fetch=shelf.fetch)
    return workshop.run(log)


def test_it_is_judged_on_the_newest_rows_as_any_candidate(log: Broker) -> None:
    shelf = Shelf()
    run = entered(log, shelf, a_model())

    [candidate] = run.candidates
    assert (run.outcome, candidate.kind, candidate.error) == ("trained", "given", "")
    assert candidate.digest == hashlib.sha256(shelf.models[candidate.digest]).hexdigest()
    assert candidate.params["note"] == "from the notebook"
    assert candidate.chance == "it was fitted elsewhere"
    poor = trained(log, shelf, [POOR]).candidates[0]
    for champion in (Champion(), Champion(4, poor.digest)):
        plan = CourtPlan(run.SerializeToString(), champion, "log_loss", 0.95, 0.5)
        said = Court(plan, shelf.fetch, log).evaluated()
        assert (said.outcome, said.winner) == ("released", "mine")


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (b"no model", "the runtime refuses it"),
        (a_model(width=WIDTH + 1), r"inputs: found .* wanted one input features"),
        (a_model(entry="x"), r"inputs: found \[\('x'"),
        (a_model(outputs="scores"), "outputs: found scores, label, missing probability"),
        (a_model(flat=True), "do not sum up to 1"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(log: Broker, model: bytes, says: str) -> None:
    run = entered(log, Shelf(), model)

    assert run.outcome == "failed"
    assert run.candidates[0].digest == ""
    with pytest.raises(AssertionError, match=says):
        raise AssertionError(run.reason)


def test_a_model_of_the_tests_is_an_onnx_model() -> None:
    onnx.checker.check_model(onnx.load_model_from_string(a_model()))
