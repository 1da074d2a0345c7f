"""The pipeline file: what is accepted, and every mistake with its line, all at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from driftloop import spec
from driftloop.contracts import topics
from driftloop.spec.learners import SHIPPED
from driftloop.spec.meaning import PIPELINE_SUFFIXES

PIPELINES = sorted((Path(__file__).parents[3] / "infra" / "pipelines").glob("*.yaml"))
GOOD = """\
name: shop
partitions: 2
sources:
  - topic: orders
    role: predict
    schema: {order: string, at: time, customer: string, amount: float, country: "string?"}
    id: [order]
    time: at
  - topic: payments
    role: [update, label]
    schema: {order: string, paid_at: "time[ms]", customer: string, late_days: "float?"}
    time: paid_at
    joins: [order]
entities:
  customer: [customer]
features:
  - {name: amount, field: amount}
  - {name: hour_utc, expr: "hour(time)"}
  - {name: paid_late, from: payments, by: customer, agg: mean, value: late_days, window: 30d}
target: {name: late, from: payments, positive: "late_days > 3", horizon: 30d}
learners:
  - {name: trees, kind: lightgbm}
"""


def mistakes_of(text: str) -> list[spec.Mistake]:
    with pytest.raises(spec.Mistakes) as caught:
        spec.parse(text, kinds=SHIPPED)
    return list(caught.value.mistakes)


@pytest.mark.parametrize("path", PIPELINES, ids=lambda path: path.stem)
def test_every_pipeline_of_the_house_is_accepted(path: Path) -> None:
    pipeline = spec.parse(path.read_text(), path.name)
    assert pipeline.name == path.stem
    assert pipeline.feature_names()


def test_a_file_becomes_values_with_defaults() -> None:
    pipeline = spec.parse(GOOD)
    assert pipeline.predict.topic == "orders"
    assert pipeline.source("payments").role_bits() == 6
    assert pipeline.target.horizon == spec.duration_us("30d")
    assert pipeline.feature_names() == ["amount", "hour_utc", "paid_late"]
    assert pipeline.learners[0].newest_us is None


def test_the_columns_of_records_are_the_head_and_each_field_once() -> None:
    columns = spec.parse(GOOD).record_columns()
    fields = {name: kind for name, kind in columns.items() if not name.startswith("_")}
    assert list(columns)[:8] == list(spec.HEAD_COLUMNS)
    assert fields == {
        "order": "string",
        "at": "int64",
        "customer": "string",
        "amount": "float64",
        "country": "string",
        "paid_at": "int64",
        "late_days": "float64",
    }


def test_a_change_of_learners_keeps_the_generation_and_a_change_of_features_does_not() -> None:
    first = spec.parse(GOOD)
    learners = spec.parse(GOOD.replace("name: trees", "name: woods"))
    features = spec.parse(GOOD.replace("window: 30d", "window: 31d"))
    commented = spec.parse("# a comment\n" + GOOD)
    assert learners.generation_digest() == first.generation_digest()
    assert learners.digest() != first.digest()
    assert features.generation_digest() != first.generation_digest()
    assert commented.digest() == first.digest()


MISTAKES = [
    ("partitions: 2", "partitions: 65", 2, "partitions", "65"),
    ("partitions: 2", "partitions: 0", 2, "partitions", "0"),
    ("partitions: 2", "partition: 2", 2, "partition", "unknown key 'partition'"),
    ("name: shop", "name: Shop", 1, "name", "'Shop'"),
    ("name: shop", "name: driftloop-x", 1, "name", "driftloop"),
    ("topic: orders", "topic: shop.scores", 4, "sources[0].topic", "'shop.scores'"),
    ("topic: orders", "topic: shop.g1.records", 4, "sources[0].topic", "'shop.g1.records'"),
    ("topic: orders", "topic: driftloop.pulse", 4, "sources[0].topic", "'driftloop.pulse'"),
    ("role: predict", "role: update", 3, "sources", "no source with the role predict"),
    ("role: [update, label]", "role: [predict, label]", 10, "sources[1].role", "second source"),
    ("role: [update, label]", "role: [update]", 20, "target.from", "without the role label"),
    ("amount: float", "amount: flaot", 6, "sources[0].schema.amount", "'flaot'"),
    ("id: [order]", "id: [ordr]", 7, "sources[0].id[0]", "unknown field 'ordr'"),
    ("id: [order]", "id: [country]", 7, "sources[0].id[0]", "may be missing"),
    ("id: [order]", "id: [amount]", 7, "sources[0].id[0]", "type float"),
    ("time: at", "time: order", 8, "sources[0].time", "'order' of type string"),
    ("    joins: [order]\n", "", 9, "sources[1]", "without joins"),
    ("joins: [order]", "joins: [paid_at]", 13, "sources[1].joins", "[paid_at] (time)"),
    ("    id: [order]\n", "", 12, "sources[1].joins", "has no id"),
    ("order: string, paid_at", "order: int, paid_at", 11, "sources[1].schema.order", "type int"),
    ('country: "string?"', "hour: float", 6, "sources[0].schema.hour", "'hour'"),
    ("by: customer", "by: custmer", 19, "features[2].by", "unknown entity 'custmer'"),
    ("from: payments, by", "from: payment, by", 19, "features[2].from", "unknown source 'payment'"),
    ("value: late_days", "value: late_day", 19, "features[2].value", "'late_day' is unknown"),
    ("value: late_days, ", "", 19, "features[2]", "agg: mean without value"),
    ("agg: mean", "agg: last", 19, "features[2]", "agg: last without max_age"),
    ("agg: mean", "agg: median", 19, "features[2].agg", "'median'"),
    ("window: 30d}", "window: 30}", 19, "features[2].window", "30"),
    ("hour(time)", "hour(tme)", 18, "features[1].expr", "'tme' is unknown"),
    ("hour(time)", "__import__('os')", 18, "features[1].expr", "__import__"),
    ("hour(time)", "amount +", 18, "features[1].expr", "does not parse"),
    ("field: amount", "field: country", 17, "features[0].encode", "'country'"),
    ("name: hour_utc, ", "name: amount, ", 18, "features[1].name", "'amount'"),
    ("name: hour_utc, ", "name: hour, ", 18, "features[1].name", "'hour'"),
    ("late_days > 3", "late_days + 3", 20, "target.positive", "a number"),
    ('positive: "late_days > 3"', "value: late_days", 20, "target", "without positive"),
    ("{name: late,", "{name: late, kind: regression,", 20, "target", "regression without value"),
    ("{name: late,", "{name: late, kind: regression,", 20, "target.positive", "kind: regression"),
    ("{name: late,", "{name: late, kind: multiclass,", 20, "target", "multiclass without value"),
    ("{name: late,", "{name: late, kind: ordinal,", 20, "target.kind", "'ordinal'"),
    ("{name: late,", "{name: late, classes: [a, b, c],", 20, "target", "3 classes"),
    ("horizon: 30d", "horizon: '${H}'", 20, "target.horizon", "${H}"),
    ("customer: [customer]", "customer: [country]", 19, "features[2].by", "payments lacks"),
    ("kind: lightgbm", "kind: lightgb", 22, "learners[0].kind", "'lightgb'"),
]


@pytest.mark.parametrize(
    ("good", "bad", "line", "field", "found"), MISTAKES, ids=[f"{m[3]}: {m[4]}" for m in MISTAKES]
)
def test_a_mistake_is_named_with_its_line(
    good: str, bad: str, line: int, field: str, found: str
) -> None:
    assert good in GOOD
    mistakes = mistakes_of(GOOD.replace(good, bad, 1))
    hits = [each for each in mistakes if each.field == field and found in each.found]
    assert hits, [str(each) for each in mistakes]
    assert hits[0].line == line


def test_all_mistakes_are_told_at_once() -> None:
    text = (
        GOOD.replace("partitions: 2", "partitons: 2")
        .replace("by: customer", "by: custmer")
        .replace("late_days > 3", "late_dys > 3")
        .replace("kind: lightgbm", "kind: light")
    )
    mistakes = mistakes_of(text)
    assert [each.line for each in mistakes] == [2, 19, 20, 22]
    assert "'partitions' (did you mean that?)" in mistakes[0].wanted


def test_what_refers_to_a_broken_part_is_not_a_mistake_too() -> None:
    text = GOOD.replace("amount: float", "amount: flaot")
    assert [each.field for each in mistakes_of(text)] == ["sources[0].schema.amount"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- a\n- b\n",
        "name: [",
        "name: a\nname: b\n",
        "a: &a [*a]\n",
        "? {x: 1}\n: 2\n",
        "name: !!python/object/apply:os.system [ls]\n",
        "&x name: *y\n",
    ],
)
def test_what_is_no_pipeline_at_all_is_refused_with_a_line(text: str) -> None:
    assert all(each.line >= 1 for each in mistakes_of(text))


def test_the_message_reads_as_file_line_field_found_wanted() -> None:
    with pytest.raises(
        spec.Mistakes, match=r"shop.yaml:2: partitions: found 65, wanted less than or equal to 64"
    ):
        spec.parse(GOOD.replace("partitions: 2", "partitions: 65"), "shop.yaml")


def test_the_reserved_names_are_those_of_the_topics_that_exist() -> None:
    assert set(PIPELINE_SUFFIXES) == {topic.suffix for topic in topics.PIPELINE}


def test_the_schema_for_editors_speaks_the_words_of_the_file() -> None:
    schema = spec.json_schema()
    assert "schema" in schema["$defs"]["Source"]["properties"]
    assert "from" in schema["$defs"]["WindowFeature"]["properties"]
    assert schema["additionalProperties"] is False


def test_a_parameter_that_lightgbm_has_not_is_a_mistake_with_the_nearest_that_it_has() -> None:
    given = "kind: lightgbm, params: {num_leafs: 31, num_trees: 50, learning_rat: 0.1}"
    mistakes = mistakes_of(GOOD.replace("kind: lightgbm", given))
    assert [(one.line, one.field, one.found) for one in mistakes] == [
        (22, "learners[0].params.learning_rat", "'learning_rat', which lightgbm has not"),
        (22, "learners[0].params.num_leafs", "'num_leafs', which lightgbm has not"),
    ]
    assert mistakes[0].wanted.startswith("'learning_rate' (did you mean that?)")
    assert mistakes[1].wanted.startswith("'num_leaf' (did you mean that?)")


@pytest.mark.parametrize(
    ("detectors", "field", "found"),
    [
        ("[{params: {treshold: 5}}]", "monitor.detectors[0].params", "'treshold'"),
        ("[{params: {threshold: high}}]", "monitor.detectors[0].params", "'high'"),
        ("[{params: {mode: sideways}}]", "monitor.detectors[0].params", "'sideways'"),
        ("[{kind: ADWIN, params: {threshold: 5}}]", "monitor.detectors[0].params", "'threshold'"),
        ("[{kind: ADWIN}, {kind: PageHinkley}]", "monitor.detectors", "{"),
    ],
)
def test_what_a_detector_would_not_take_is_a_mistake_of_the_file(
    detectors: str, field: str, found: str
) -> None:
    mistakes = mistakes_of(f"{GOOD}\nmonitor: {{detectors: {detectors}}}\n")
    assert [(each.field, found in each.found) for each in mistakes] == [(field, True)]
