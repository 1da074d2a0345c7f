"""The target's kinds in a pipeline file: what each must say, and what follows from it."""

from __future__ import annotations

import pytest

from driftloop import spec

HEAD = """\
name: shop
sources:
  - topic: orders
    role: predict
    schema: {order: string, at: time, amount: float}
    id: [order]
    time: at
  - topic: answers
    role: label
    schema: {order: string, at: time, way: string, stars: int, minutes: "float?", late: bool}
    time: at
    joins: [order]
features: [{name: amount, field: amount}]
learners: [{name: trees, kind: lightgbm}]
"""
LINE = 15  # of the target


def parsed(target: str, more: str = "") -> spec.Pipeline:
    return spec.parse(f"{HEAD}target: {{name: t, from: answers, horizon: 1d, {target}}}\n{more}")


def mistakes(target: str, more: str = "") -> list[tuple[int, str, str]]:
    with pytest.raises(spec.Mistakes) as caught:
        parsed(target, more)
    return [(each.line, each.field, each.found) for each in caught.value.mistakes]


def test_a_class_is_a_text_or_a_whole_number() -> None:
    by_text = parsed("kind: multiclass, value: way, classes: [air, sea, 'road']").target
    by_number = parsed("kind: multiclass, value: stars, classes: [1, 2, 3, 4, 5]").target
    assert (by_text.classes, by_text.outputs) == (("air", "sea", "road"), 3)
    assert (by_number.classes, by_number.outputs) == (("1", "2", "3", "4", "5"), 5)


def test_numbers_are_measured_by_squared_errors_unless_the_file_says_so_itself() -> None:
    number = "kind: regression, value: minutes"
    for pipeline in (
        parsed(number),
        parsed(number, "monitor: {bucket: 1h}\nevaluation: {confidence: 0.9}"),
        parsed(number, "monitor: {detectors: [{kind: ADWIN}]}"),
        parsed(number, "evaluation: {metric: squared_error}"),
    ):
        assert pipeline.evaluation.metric == pipeline.target.loss == "squared_error"
        assert [each.on for each in pipeline.monitor.detectors] == ["squared_error"]
        assert pipeline.target.outputs == 1


@pytest.mark.parametrize(
    "target", ["positive: late", "kind: multiclass, value: way, classes: [air, sea, road]"]
)
def test_classes_are_measured_by_log_loss(target: str) -> None:
    pipeline = parsed(target)
    assert pipeline.evaluation.metric == pipeline.target.loss == "log_loss"
    assert [each.on for each in pipeline.monitor.detectors] == ["log_loss"]
    assert parsed(target, "evaluation: {metric: squared_error}").evaluation.metric != "log_loss"


WRONG = [
    ("kind: multiclass, classes: [a, b, c]", "target", "multiclass without value"),
    ("kind: multiclass, value: way", "target", "classes: [] with kind: multiclass"),
    ("kind: multiclass, value: way, classes: [a]", "target.classes", "[a]"),
    ("kind: multiclass, value: way, classes: [a, b, a]", "target.classes", "[a, b, a]"),
    ("kind: multiclass, value: late, classes: [a, b]", "target.value", "'late', a truth"),
    ("kind: multiclass, value: stars, classes: [1, two]", "target.classes", "'two'"),
    ("kind: multiclass, value: stars, classes: [1, 2.5]", "target.classes[1]", "2.5"),
    ("kind: multiclass, value: wy, classes: [a, b]", "target.value", "'wy' is unknown"),
    (
        "kind: multiclass, value: way, classes: [a, b], threshold: 0.4",
        "target.threshold",
        "kind: multiclass",
    ),
    ("kind: regression, value: way", "target.value", "'way', a string"),
    ("kind: regression, value: minutes, classes: [a, b]", "target.classes", "kind: regression"),
    ("kind: regression, value: minutes, threshold: 0.4", "target.threshold", "kind: regression"),
    ("kind: regression, value: minutes, positive: late", "target.positive", "kind: regression"),
    ("positive: late, classes: [a, a]", "target", "2 classes"),
]


@pytest.mark.parametrize(
    ("target", "field", "found"), WRONG, ids=[f"{each[1]}: {each[2]}" for each in WRONG]
)
def test_what_a_kind_does_not_take_is_a_mistake_of_its_line(
    target: str, field: str, found: str
) -> None:
    assert [(line, name) for line, name, said in mistakes(target) if found in said] == [
        (LINE, field)
    ]


@pytest.mark.parametrize(
    ("target", "more", "field"),
    [
        ("kind: regression, value: minutes", "evaluation: {metric: log_loss}", "evaluation.metric"),
        (
            "kind: regression, value: minutes",
            "monitor: {detectors: [{on: log_loss}]}",
            "monitor.detectors[0].on",
        ),
        (
            "positive: late",
            "monitor: {detectors: [{on: squared_error}]}",
            "monitor.detectors[0].on",
        ),
    ],
)
def test_a_loss_of_another_kind_is_a_mistake(target: str, more: str, field: str) -> None:
    assert [(line, name) for line, name, _ in mistakes(target, more)] == [(LINE + 1, field)]
