"""Raw rows of a question, checked as ingestion would check them, as one Arrow batch of `records`.

Beside the codec because it reads what people write (JSON, one row after the other), not our wire.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
import pyarrow as pa

from driftloop.kit.envelope import batch_schema
from driftloop.kit.errors import Refused
from driftloop.spec.model import Pipeline, Source
from driftloop.spec.scalars import UNITS_US, kind_of

TIME_DIGITS = ((11, 1_000_000), (14, 1_000), (20, 1))  # digits up to which a number means s, ms, us
INT_MAX = 2**63


def batch_of(pipeline: Pipeline, topic: str, rows: Sequence[str]) -> pa.RecordBatch:
    """Rows of the predict source as `records` would hold them. Refused: the first that is wrong,
    by its number, field, what was found and what is wanted."""
    source = _source(pipeline, topic)
    values = [_checked(source, number, text) for number, text in enumerate(rows)]
    number_of = pipeline.sources.index(source)
    columns = pipeline.record_columns()
    head: dict[str, Any] = {
        "_source": number_of,
        "_roles": source.role_bits(),
        "_id": "",
        "_source_ms": 0,
        "_sequence": 0,
        "_late": False,
    }
    lines = [{**head, "_time": value[source.time], **value} for value in values]
    return pa.RecordBatch.from_pylist(lines, schema=batch_schema(columns))


def _source(pipeline: Pipeline, topic: str) -> Source:
    if topic in ("", pipeline.predict.topic):
        return pipeline.predict
    raise Refused(
        f"source is {topic!r}; rows of {pipeline.predict.topic} are asked about, so name it or none"
    )


def _checked(source: Source, number: int, text: str) -> dict[str, Any]:
    try:
        row = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise Refused(f"row {number} is not JSON: {error}") from error
    if not isinstance(row, Mapping):
        raise Refused(f"row {number} is a {type(row).__name__}, wanted a JSON object")
    return {
        name: _field(f"row {number}: {name}", row.get(name), kind)
        for name, kind in source.fields.items()
    }


def _field(where: str, value: Any, declared: str) -> Any:
    if value is None:
        if declared.endswith("?"):
            return None
        raise Refused(f"{where} is missing, wanted a {declared}")
    kind = kind_of(declared)
    if kind == "time":
        return _time(where, value, declared)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "float" and number and math.isfinite(value):
        return float(value)
    if kind == "int" and isinstance(value, int) and not isinstance(value, bool):
        if abs(value) < INT_MAX:
            return value
    elif kind in ("string", "bool") and isinstance(value, str if kind == "string" else bool):
        return value
    raise Refused(f"{where} is {value!r:.60}, wanted a {declared}")


def _time(where: str, value: Any, declared: str) -> int:
    """Microseconds of an RFC 3339 text, or of a number in the declared unit (none: by its size)."""
    if isinstance(value, str):
        try:
            time = datetime.fromisoformat(value)
        except ValueError:
            time = None
        if time is not None and time.tzinfo is not None:
            return _microseconds(time)
    elif isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return round(value * _unit_us(abs(value), declared))
    raise Refused(f"{where} is {value!r:.60}, wanted a time with its zone, as 2013-01-01T10:15:00Z")


def _microseconds(time: datetime) -> int:
    zone = time.utcoffset()
    assert zone is not None
    since = time.replace(tzinfo=None) - datetime(1970, 1, 1) - zone
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _unit_us(size: float, declared: str) -> int:
    if "[" in declared:
        return UNITS_US[declared.removesuffix("?").split("[")[1].rstrip("]")]
    digits = len(str(int(size)))
    return next((unit for most, unit in TIME_DIGITS if digits <= most), 1)
