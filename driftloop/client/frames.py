"""Envelopes and scores as polars DataFrames: whole batches at a time, no loop over rows.

Columns named `…_us` and `…_ms` on the wire become UTC instants without the ending.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from driftloop.contracts import topics
from driftloop.contracts.feature_pb2 import Corrections, Examples, Features
from driftloop.contracts.prediction_pb2 import Predictions
from driftloop.kit.broker import Record
from driftloop.kit.envelope import batch_schema, decode, matrix
from driftloop.kit.errors import Malformed
from driftloop.kit.message import parse

Matrix = npt.NDArray[np.float32]
SCORE: Mapping[str, Any] = {
    "event_id": pl.String,
    "time": pl.String,
    "status": pl.String,
    "model": pl.String,
    "probability": pl.Float64,
    "probabilities": pl.List(pl.Float64),
    "value": pl.Float64,
    "label": pl.String,
    "baseline": pl.Float64,
}


def scores(records: Sequence[Record]) -> pl.DataFrame:
    """Rows of `<p>.scores`: one a message; columns that no row fills are left out."""
    lines = b"\n".join(record.value for record in records if record.value)
    frame = (
        pl.read_ndjson(io.BytesIO(lines), schema=dict(SCORE))
        if lines
        else pl.DataFrame(schema=dict(SCORE))
    )
    frame = frame.with_columns(
        pl.col("time").str.to_datetime(time_unit="us", time_zone="UTC", strict=False)
    )
    empty = [
        name
        for name in ("probability", "probabilities", "value", "label", "baseline")
        if frame[name].null_count() == len(frame)
    ]
    return frame.drop(empty) if len(frame) else frame


def examples(records: Sequence[Record], names: Sequence[str]) -> pl.DataFrame:
    """Rows of `examples` with a column for each feature. `names`: the vector's columns in order."""
    messages = [message for record in records if (message := parse(Examples, record)).rows]
    frame = _columns([m.columns for m in messages], topics.EXAMPLES.declaration.columns)
    return frame.hstack(_vectors(messages, names))


def features(records: Sequence[Record], names: Sequence[str]) -> pl.DataFrame:
    """Rows of `features` with a column for each feature."""
    messages = [message for record in records if (message := parse(Features, record)).rows]
    frame = _columns([m.columns for m in messages], topics.FEATURES.declaration.columns)
    return frame.hstack(_vectors(messages, names))


def corrections(records: Sequence[Record]) -> pl.DataFrame:
    """Rows of `corrections`."""
    messages = [message for record in records if (message := parse(Corrections, record)).rows]
    return _columns([m.columns for m in messages], topics.CORRECTIONS.declaration.columns)


def predictions(records: Sequence[Record]) -> pl.DataFrame:
    """Rows of `predictions`: outputs (`probability` where there are two classes, else `output_0`
    …), the baseline's beside
    them, and which model answered. Outputs are null where there was NO_MODEL."""
    messages = [message for record in records if (message := parse(Predictions, record)).rows]
    frame = _columns([m.columns for m in messages], topics.PREDICTIONS.declaration.columns)
    width = max((m.width for m in messages), default=0)
    rows = [m.rows for m in messages]
    return frame.hstack(
        [
            *_outputs("", _stacked([m.outputs for m in messages], rows, width)),
            *_outputs("baseline_", _stacked([m.baseline for m in messages], rows, width)),
            _repeated("version", [m.version for m in messages], rows, pl.UInt32),
            _repeated("baseline_version", [m.baseline_version for m in messages], rows, pl.UInt32),
            _repeated("digest", [m.digest for m in messages], rows, pl.String),
            _repeated("origin", [m.origin for m in messages], rows, pl.String),
            _repeated("provider", [m.provider for m in messages], rows, pl.String),
            _repeated("scored_at", [m.scored_at_us for m in messages], rows, pl.Int64).cast(
                pl.Datetime("us", "UTC")
            ),
        ]
    )


def _columns(batches: Sequence[bytes], kinds: Mapping[str, str]) -> pl.DataFrame:
    schema = batch_schema(kinds)
    frame = pl.from_arrow(pa.Table.from_batches([decode(data, schema) for data in batches], schema))
    assert isinstance(frame, pl.DataFrame)
    instants = [
        pl.col(name).cast(pl.Datetime("us", "UTC")).alias(name.removesuffix("_us"))
        for name in kinds
        if name.endswith("_us")
    ]
    instants += [
        pl.col(name).cast(pl.Datetime("ms", "UTC")).alias(name.removesuffix("_ms"))
        for name in kinds
        if name.endswith("_ms")
    ]
    order = [name.removesuffix("_us").removesuffix("_ms") for name in kinds]
    return frame.with_columns(instants).select(order)


def _vectors(
    messages: Sequence[Examples] | Sequence[Features], names: Sequence[str]
) -> list[pl.Series]:
    widths = {message.width for message in messages}
    if widths - {len(names)}:
        raise Malformed(
            f"vectors of {sorted(widths)} columns, the pipeline has {len(names)} features; another "
            "generation?"
        )
    rows = sum(message.rows for message in messages)
    whole = matrix(b"".join(message.vectors for message in messages), rows, len(names))
    return [pl.Series(name, np.ascontiguousarray(whole[:, at])) for at, name in enumerate(names)]


def _stacked(blocks: Sequence[bytes], rows: Sequence[int], width: int) -> Matrix:
    """[rows, width] with NaN where an envelope has none."""
    parts = [
        matrix(block, count, width) if block else np.full((count, width), np.nan, np.float32)
        for block, count in zip(blocks, rows, strict=True)
    ]
    return np.concatenate(parts) if parts else np.zeros((0, width), np.float32)


def _outputs(prefix: str, outputs: Matrix) -> list[pl.Series]:
    if outputs.shape[1] == 2:
        columns = {f"{prefix}probability": outputs[:, 1]}
    else:
        columns = {f"{prefix}output_{at}": outputs[:, at] for at in range(outputs.shape[1])}
    return [
        pl.Series(name, np.ascontiguousarray(column)).fill_nan(None)
        for name, column in columns.items()
    ]


def _repeated(name: str, values: Sequence[Any], rows: Sequence[int], kind: Any) -> pl.Series:
    """One value an envelope, spread over its rows."""
    at = np.repeat(np.arange(len(values), dtype=np.uint32), rows)
    return pl.Series(name, list(values), dtype=kind).gather(at)
