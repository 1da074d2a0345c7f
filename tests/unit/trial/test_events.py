"""A table's rows as events: all of them, in the order of their times, as the schema types them."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from driftloop import trial
from driftloop.kit.errors import Refused
from driftloop.trial.run import Pace

N = 300


def a_frame() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "t": [1_700_000_000 + 60 * (N - n) for n in range(N)],  # the newest first
            "x": [float("inf") if n == 3 else n / 2 for n in range(N)],
            "colour": [("red", None, "blue")[n % 3] for n in range(N)],
            "y": [None if n % 10 == 0 else n % 2 for n in range(N)],
        }
    )


def made(frame: pl.DataFrame) -> trial.Events:
    asked = trial.Asked("t", "y", label_delay_us=120_000_000)
    return trial.events(frame, trial.guess(frame, asked))


def test_rows_and_labels_come_in_the_order_of_their_times() -> None:
    told = made(a_frame())
    times = told.frame["time_us"].to_list()

    assert (told.rows, told.labels, told.dropped) == (N, N - N // 10, 0)
    assert times == sorted(times)
    rows = told.frame.filter(pl.col("stream") == 0)
    labels = told.frame.filter(pl.col("stream") == 1)
    lags = labels.join(rows, on="key").select(pl.col("time_us") - pl.col("time_us_right"))
    assert set(lags.to_series()) == {120_000_000}


def test_a_value_is_json_as_the_schema_types_it() -> None:
    rows = made(a_frame()).frame.filter(pl.col("stream") == 0)
    by_key = {key: json.loads(value) for key, value in rows.select("key", "value").iter_rows()}

    assert by_key["1"] == {
        "row_id": "1",
        "at": (1_700_000_000 + 60 * (N - 1)) * 1_000_000,
        "x": 0.5,
        "colour": None,
    }
    assert (by_key["3"]["x"], by_key["2"]["colour"]) == (None, "blue")


def test_a_row_without_a_time_is_left_out_and_counted() -> None:
    frame = a_frame().with_columns(
        pl.when(pl.int_range(pl.len()) == 5).then(None).otherwise(pl.col("t")).alias("t")
    )

    told = made(frame)

    assert (told.rows, told.dropped) == (N - 1, 1)


def test_the_pace_is_in_rows_or_in_times_of_real_time() -> None:
    told = made(a_frame()).frame
    times, streams = told["time_us"], told["stream"]

    assert Pace(rows_per_s=100).due_s(times, streams)[-1] == N / 100
    assert Pace(times=60).due_s(times, streams)[-1] == pytest.approx(
        N
    )  # the newest row has no label
    assert Pace().due_s(times, streams).max() == 0.0


@pytest.mark.parametrize(("separator", "ending"), [(",", "csv"), (";", "csv"), ("\t", "tsv")])
def test_tables_of_text_are_read_by_their_separator(
    tmp_path: Path, separator: str, ending: str
) -> None:
    path = tmp_path / f"mine.{ending}"
    a_frame().write_csv(path, separator=separator)

    frame = trial.read(path)

    assert frame.columns == ["t", "x", "colour", "y"]
    assert frame["y"].null_count() == N // 10


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("none.csv", None, "no such file"),
        ("few.csv", b"a,b\n1,2\n", "1 rows; wanted at least 200"),
        ("bad.parquet", b"no parquet", "wanted a .csv"),
        ("mine.xlsx", b"PK", r"found .xlsx, wanted a .csv"),
    ],
)
def test_what_is_no_table_is_said(
    tmp_path: Path, name: str, content: bytes | None, says: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(Refused, match=says):
        trial.read(path)
