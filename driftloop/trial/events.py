"""A table's rows and labels as events of two topics, JSON, in the order of their times; made by
columns, not row by row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from driftloop.trial.guess import Feature, Table

ROW, LABEL = 0, 1  # numbers of the two streams


@dataclass(frozen=True, slots=True)
class Events:
    """`stream`, `time_us`, `key`, `value` [events], sorted by time, a label after its row;
    `dropped`: rows without a time, which no event can hold.
    """

    frame: pl.DataFrame
    rows: int
    labels: int
    dropped: int


def topics(name: str) -> tuple[str, str]:
    """Of the rows and of the labels, by the pipeline's name."""
    return f"{name}.rows", f"{name}.truth"


def events(frame: pl.DataFrame, table: Table) -> Events:
    """All of them."""
    known = frame.with_columns(
        table.times.us.alias("__us"), _ids(frame, table).alias("__id")
    ).filter(pl.col("__us").is_not_null())
    rows = _stream(known, [_value(each) for each in table.features], ROW, 0)
    labelled = known.filter(pl.col(table.target.column).is_not_null())
    labels = _stream(labelled, [_value(table.target)], LABEL, table.label_delay_us)
    both = pl.concat([rows, labels]).sort("time_us", "stream", maintain_order=True)
    return Events(both, rows.height, labels.height, frame.height - known.height)


def _ids(frame: pl.DataFrame, table: Table) -> pl.Series:
    if table.id:
        return frame[table.id].cast(pl.String)
    return pl.Series(np.arange(frame.height)).cast(pl.String)


def _stream(frame: pl.DataFrame, fields: list[pl.Expr], stream: int, delay_us: int) -> pl.DataFrame:
    at = (pl.col("__us") + delay_us).alias("at")
    return frame.select(
        pl.lit(stream, pl.UInt8).alias("stream"),
        (pl.col("__us") + delay_us).alias("time_us"),
        pl.col("__id").alias("key"),
        pl.struct(pl.col("__id").alias("row_id"), at, *fields).struct.json_encode().alias("value"),
    )


def _value(each: Feature) -> pl.Expr:
    """JSON knows no infinity: it is missing, as NaN is."""
    column = pl.col(each.column)
    kind = each.type.rstrip("?")
    if kind == "float":
        number = column.cast(pl.Float64)
        column = pl.when(number.is_finite()).then(number)
    elif kind == "string":
        column = column.cast(pl.String)
    return column.alias(each.name)
