"""What a table's columns are taken for, and what is refused in one line."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from driftloop import spec, trial
from driftloop.kit.errors import Refused
from driftloop.trial.times import ROWS, START_US, STEP_US

N = 400
DAY = 86_400_000_000


def a_table(**columns: Sequence[object]) -> pl.DataFrame:
    """N rows a minute apart with a number and a truth, and what is given instead."""
    plain: dict[str, Sequence[object]] = {
        "when": [
            f"2024-03-{1 + n // 24 // 60:02d} {n // 60 % 24:02d}:{n % 60:02d}" for n in range(N)
        ],
        "x": [n / 7 for n in range(N)],
        "y": [n % 3 == 0 for n in range(N)],
    }
    return pl.DataFrame({**plain, **columns}, strict=False)


def guessed(frame: pl.DataFrame, **asked: str) -> trial.Table:
    said = {"time": "when", "target": "y", "id": "", **asked}
    return trial.guess(frame, trial.Asked(said["time"], said["target"], said["id"]))


@pytest.mark.parametrize(
    ("values", "first_us"),
    [
        (["2024-03-01T00:00:00Z", "2024-03-01T00:00:05+00:00"], 1_709_251_200_000_000),
        (["2024-03-01 00:00:00", "2024-03-01 00:00:05.25"], 1_709_251_200_000_000),
        (["31/03/2024 10:30", "01/04/2024 10:31"], 1_711_881_000_000_000),
        (["03/31/2024 10:30", "04/01/2024 10:31"], 1_711_881_000_000_000),
        (["31.03.2024", "01.04.2024"], 1_711_843_200_000_000),
        (["20240331", "20240401"], 1_711_843_200_000_000),
        ([1_709_251_200, 1_709_251_260], 1_709_251_200_000_000),
        ([1_709_251_200_000, 1_709_251_260_000], 1_709_251_200_000_000),
        ([1_709_251_200_000_000, 1_709_251_260_000_000], 1_709_251_200_000_000),
        (["1709251200", "1709251260"], 1_709_251_200_000_000),
        ([1_709_251_200.5, 1_709_251_260.0], 1_709_251_200_500_000),
        ([date(2024, 3, 1), date(2024, 3, 2)], 1_709_251_200_000_000),
        ([datetime(2024, 3, 1), datetime(2024, 3, 2)], 1_709_251_200_000_000),  # noqa: DTZ001
        (
            [datetime(2024, 3, 1, tzinfo=UTC), datetime(2024, 3, 2, tzinfo=UTC)],
            1_709_251_200_000_000,
        ),
    ],
)
def test_instants_are_read_as_people_write_them(values: list[object], first_us: int) -> None:
    table = guessed(a_table(when=values * (N // 2)))

    assert table.times.us[0] == first_us
    assert table.times.missing == 0


def test_the_order_of_the_rows_can_be_the_time() -> None:
    table = guessed(a_table(), time=ROWS)

    assert table.times.us.to_list()[:2] == [START_US, START_US + STEP_US]
    assert {each.name for each in table.features} == {"x", "when"} - {
        name for name, _ in table.left_out
    }


@pytest.mark.parametrize(
    ("asked", "columns", "says"),
    [
        ({"time": "then"}, {}, r"no column 'then'; the table has when, x, y"),
        ({"target": "z"}, {}, "no column 'z'"),
        ({"time": "x"}, {}, r"--time x: .* rows have no instant that can be read"),
        ({}, {"when": ["2024-01-01"] * N}, "all rows have the same instant"),
        ({}, {"when": ["soon"] * N}, r"e\.g\. 'soon', 'soon'.*--time rows"),
        ({}, {"y": [1] * N}, "1 distinct value, nothing to foretell"),
        ({}, {"y": [f"name-{n}" for n in range(N)]}, "400 different texts"),
        ({"id": "x"}, {"x": [n // 2 for n in range(N)]}, "200 rows repeat an id"),
        ({"id": "x"}, {"x": [None, *range(N - 1)]}, "1 rows have none"),
        ({}, {"x": [5] * N}, r"no column can enter the model \(x: it is always 5\)"),
    ],
)
def test_what_can_not_be_guessed_is_asked_for_in_a_line(
    asked: dict[str, str], columns: dict[str, Sequence[object]], says: str
) -> None:
    with pytest.raises(Refused, match=says) as refused:
        guessed(a_table(**columns), **asked)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("values", "kind", "positive", "classes"),
    [
        ([True, False], "binary", "y", ()),
        ([0, 1, 0], "binary", "y == 1", ()),
        ([0.0, 1.0, 1.0], "binary", "y == 1", ()),
        (["no", "yes", "no"], "binary", 'y == "yes"', ()),
        (["cat", "dog", "cat"], "binary", 'y == "dog"', ()),
        (["a", "b", "c"], "multiclass", "", ("a", "b", "c")),
        ([10, 9, 2], "multiclass", "", ("2", "9", "10")),
        (list(range(50)), "regression", "", ()),
        ([0.5, 1.5, 2.25], "regression", "", ()),
        ([None, 1, 0], "binary", "y == 0", ()),
    ],
)
def test_the_targets_kind_is_found_out(
    values: list[object], kind: str, positive: str, classes: tuple[str, ...]
) -> None:
    many = (values * N)[:N]
    table = guessed(a_table(y=many))

    assert (table.kind, table.classes) == (kind, classes)
    if positive and None not in values:
        assert table.positive == positive
    assert table.labelled == sum(value is not None for value in many)
    spec.parse(trial.draft("mine", table, "mine.csv"), "mine.yaml")


def test_columns_enter_by_what_they_hold_or_are_left_out_with_the_reason() -> None:
    table = guessed(
        a_table(
            whole=list(range(N)),
            gaps=[None if n % 2 else n / 3 for n in range(N)],
            colour=["red", "green"] * (N // 2),
            text=[f"remark {n}" for n in range(N)],
            always=["same"] * N,
            empty=[None] * N,
            huge=[2**60 + n for n in range(N)],
            seen=[timedelta(seconds=n) for n in range(N)],
        )
    )
    found = {each.column: (each.type, each.code) for each in table.features}

    assert found == {
        "x": ("float", False),
        "whole": ("int", False),
        "gaps": ("float?", False),
        "colour": ("string", True),
        "huge": ("float", False),
    }
    assert {name for name, _ in table.left_out} == {"text", "always", "empty", "seen"}


def test_odd_and_doubled_and_reserved_names_become_legal_ones() -> None:
    odd = ["at", "row_id", "time", "hour", "1st", "a b", "a-b", "Größe", "%"]
    table = guessed(a_table(**{name: [n * i for n in range(N)] for i, name in enumerate(odd, 1)}))
    names = [each.name for each in table.features]

    assert len(set(map(str.lower, names))) == len(names) == len(odd)  # and x, but for row_id
    assert table.id == "row_id"  # its own id, in its own field
    assert not {"at", "row_id", "time", "hour"} & set(names)
    spec.parse(trial.draft("mine", table, "mine.csv"), "mine.yaml")


def test_an_id_is_found_where_one_is() -> None:
    assert guessed(a_table(order_id=[f"o{n}" for n in range(N)])).id == "order_id"
    assert guessed(a_table(order_id=[n // 2 for n in range(N)])).id == ""


def test_labels_come_a_hundredth_of_the_time_later_unless_said() -> None:
    days = [START_US // 1_000_000 + n * 86_400 for n in range(N)]

    assert guessed(a_table(when=days)).label_delay_us == 2 * DAY
    asked = trial.Asked("when", "y", label_delay_us=DAY)
    assert trial.guess(a_table(when=days), asked).label_delay_us == DAY
