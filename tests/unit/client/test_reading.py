"""Topics as DataFrames: decoded whole, by event time or offset, committed rows only."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from driftloop.client import Refused, frames, reading
from driftloop.client.plain import Instant, instant_us, iso
from driftloop.client.reading import Span
from driftloop.kit.errors import Malformed
from tests.unit.client.world import (
    T,
    a_client,
    a_log,
    a_story,
    examples,
    heartbeat,
    predictions,
    score,
)


def test_examples_come_with_a_column_for_each_feature_in_the_order_of_time() -> None:
    broker = a_log()
    broker.append([examples([2, 3]), heartbeat(), examples([0, 1], partition=1)])

    frame = a_client(broker).read("small", "examples")

    assert frame.columns == [
        "event_id",
        "time",
        "label_time",
        "target",
        "label_source",
        "amount",
        "rows_1d",
    ]
    assert frame["event_id"].to_list() == ["e0", "e1", "e2", "e3"]
    assert frame["rows_1d"].to_list() == [0, 2, 4, 6]
    assert frame["time"][0] == datetime(2013, 4, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("start", "end", "wanted"),
    [
        ("2013-04-02", None, ["e1", "e2", "e3"]),
        (None, "2013-04-02", ["e0"]),
        (date(2013, 4, 2), datetime(2013, 4, 3, tzinfo=UTC), ["e1"]),
        ("2013-04-03T00:00:00Z", None, ["e2", "e3"]),
        (1, None, ["e1", "e3"]),
        (0, 1, ["e0", "e2"]),
        ({0: 1}, None, ["e1", "e2", "e3"]),
    ],
)
def test_a_span_is_of_event_time_or_of_offsets(
    start: Instant, end: Instant, wanted: list[str]
) -> None:
    broker = a_log()
    broker.append(
        [examples([0]), examples([1]), examples([2], partition=1), examples([3], partition=1)]
    )

    assert (
        a_client(broker).read("small", "examples", start=start, end=end)["event_id"].to_list()
        == wanted
    )


def test_a_time_and_an_offset_are_no_span() -> None:
    with pytest.raises(Refused, match="two times or two offsets"):
        Span("2013-04-01", 7)


def test_only_the_columns_that_are_asked_for_come() -> None:
    broker = a_log()
    broker.append([examples([0])])

    assert a_client(broker).read("small", "examples", columns=["amount", "target"]).columns == [
        "amount",
        "target",
    ]
    with pytest.raises(Refused, match="no column amuont; small examples has event_id"):
        a_client(broker).read("small", "examples", columns=["amuont"])


def test_an_empty_topic_is_an_empty_frame() -> None:
    client = a_client(a_log())

    assert client.read("small", "examples").is_empty()
    assert client.read("small", "predictions").is_empty()
    assert client.read("small", "scores").is_empty()
    assert client.read("small", "corrections").is_empty()
    assert client.read("small", "drift").is_empty()


def test_predictions_of_no_model_are_null() -> None:
    broker = a_log()
    broker.append([predictions([0], 0), predictions([1, 2], 3)])

    frame = a_client(broker).read("small", "predictions")

    assert frame["probability"].to_list() == [None, 0.75, 0.75]
    assert frame["version"].to_list() == [0, 3, 3]
    assert frame["baseline_probability"].to_list() == [None, None, None]


def test_scores_come_one_a_message() -> None:
    broker = a_log()
    broker.append([score(1, partition=1), score(0, '"status": "NO_MODEL"')])

    frame = a_client(broker).read("small", "scores")

    assert frame["status"].to_list() == ["NO_MODEL", "SCORED"]
    assert frame["probability"].to_list() == [None, 0.75]
    assert frame["time"][1] == datetime(2013, 4, 2, 6, tzinfo=UTC)


def test_drifts_say_what_came_of_them() -> None:
    broker = a_log()
    broker.append(a_story())

    frame = a_client(broker).read("small", "drift")

    assert frame["outcome"].to_list() == [
        "run ended: released as version 2",
        "suppressed (cooldown)",
    ]
    assert frame["rows"].to_list() == [800, 800]


def test_an_unknown_pipeline_is_refused_with_those_there_are() -> None:
    with pytest.raises(Refused, match="no pipeline smal; there are small"):
        a_client(a_log()).read("smal", "examples")
    with pytest.raises(Refused, match=r"no topic smal\.scores"):
        a_client(a_log()).read("smal", "scores")


def test_an_unknown_thing_to_read_is_refused() -> None:
    with pytest.raises(Refused, match="wanted one of scores"):
        a_client(a_log()).read("small", "everything")  # type: ignore[arg-type]


def test_vectors_of_another_width_are_named() -> None:
    broker = a_log()
    wrong = examples([0])
    broker.append([wrong])
    client = a_client(broker)

    with pytest.raises(Malformed, match=r"vectors of \[2\] columns, the pipeline has 1 features"):
        frames.examples(reading.records(broker, wrong.topic), ["one"])
    assert client.read("small", "examples").height == 1


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("2013-04-01", T),
        ("2013-04-01T00:00:00Z", T),
        ("2013-04-01T02:00:00+02:00", T),
        (date(2013, 4, 1), T),
        (datetime(2013, 4, 1, tzinfo=UTC), T),
        ("2013-04-01T00:00:00.000001", T + 1),
    ],
)
def test_instants_are_read_as_people_write_them(value: Instant, wanted: int) -> None:
    assert instant_us(value) == wanted


def test_instants_are_written_as_people_read_them() -> None:
    assert iso(T) == "2013-04-01T00:00:00Z"
    assert iso(T + 1) == "2013-04-01T00:00:00.000001Z"
    assert iso(0) == ""
    with pytest.raises(Refused, match="wanted ISO 8601"):
        instant_us("yesterday")
