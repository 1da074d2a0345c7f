"""Any record of any topic as plain rows: our envelopes by their columns, our events by their
fields, else JSON or text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from driftloop.client.plain import Plain, iso, plain
from driftloop.contracts import topics
from driftloop.kit.broker import Record
from driftloop.kit.envelope import batch_schema, decode, matrix
from driftloop.kit.errors import Malformed
from driftloop.kit.events import from_json
from driftloop.kit.message import parse
from driftloop.kit.topic import Topic

VALUE_CHARACTERS_MAX = 2_000  # of a value that is no JSON: what a screen holds


def ours(name: str) -> Topic[Any] | None:
    """The declared topic of this name; None for the user's own."""
    if name.startswith("driftloop."):
        return next((t.topic() for t in topics.CONTROL if t.topic().name == name), None)
    pipeline, _, suffix = name.partition(".")
    found = re.fullmatch(r"g(\d+)\.(.+)", suffix)
    if found:
        return next(
            (t.topic(pipeline, int(found[1])) for t in topics.GENERATION if t.suffix == found[2]),
            None,
        )
    return next((t.topic(pipeline) for t in topics.PIPELINE if t.suffix == suffix), None)


def rows(
    record: Record,
    topic: Topic[Any] | None,
    names: Sequence[str],
    record_columns: Mapping[str, str],
) -> list[Plain]:
    """The rows of one record, each with where it lies. `names`: of the vector's columns;
    `record_columns`: of `records`.
    """
    where = {
        "partition": record.partition,
        "offset": record.offset,
        "appended": iso(record.timestamp_ms * 1_000),
    }
    try:
        found = _rows(record, topic, names, record_columns)
    except Malformed as error:
        found = [{"malformed": str(error)}]
    return [{**where, **row} for row in found]


def _rows(
    record: Record,
    topic: Topic[Any] | None,
    names: Sequence[str],
    record_columns: Mapping[str, str],
) -> list[Plain]:
    if topic is None or topic.message is None or record.value is None:
        return [{"key": _text(record.key), "value": value(record.value)}]
    if topic.declaration.format == "json":
        return [_without_nothing(plain(from_json(record.value, topic.message)))]
    message = parse(topic.message, record)
    if not hasattr(message, "columns"):
        return [_without_nothing(plain(message))]
    return _envelope(message, topic.declaration.columns or record_columns, names)


def _envelope(message: Any, columns: Mapping[str, str], names: Sequence[str]) -> list[Plain]:
    if not message.rows:
        return [
            {
                "heartbeat": True,
                "sequence": message.envelope.sequence,
                "watermark": iso(message.envelope.watermark_us),
            }
        ]
    found = _instants(decode(message.columns, batch_schema(columns)))
    for field, header in (("vectors", names), ("outputs", ())):
        data = getattr(message, field, b"")
        if data:
            block = matrix(data, message.rows, message.width).tolist()
            labels = (
                header
                if len(header) == message.width
                else [f"{field}_{at}" for at in range(message.width)]
            )
            found = [
                {**row, **dict(zip(labels, values, strict=True))}
                for row, values in zip(found, block, strict=True)
            ]
    version = getattr(message, "version", None)
    return (
        found
        if version is None
        else [{**row, "version": version, "origin": message.origin} for row in found]
    )


def _instants(batch: pa.RecordBatch) -> list[Plain]:
    """Rows with event times as text, by the house's endings."""
    times = [name for name in batch.schema.names if name.endswith("time_us") or name == "_time"]
    return [
        {
            name.removesuffix("_us"): iso(cell) if name in times and cell else cell
            for name, cell in row.items()
        }
        for row in batch.to_pylist()
    ]


def value(data: bytes | None) -> Any:
    """JSON as it is, anything else as text."""
    if data is None:
        return None
    try:
        return json.loads(data)
    except ValueError:
        return _text(data)


def _text(data: bytes | None) -> str | None:
    return None if data is None else data[:VALUE_CHARACTERS_MAX].decode("utf-8", "backslashreplace")


def _without_nothing(row: Plain) -> Plain:
    return {name: cell for name, cell in row.items() if cell not in (None, "", [], {})}
