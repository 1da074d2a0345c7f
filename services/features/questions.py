"""Raw rows of a question, checked as ingestion would check them, as one Arrow batch of `records`.

Beside the codec because it reads what people write (JSON, one row after the other), not our wire.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import msgspec
import pyarrow as pa

from driftloop.kit.envelope import batch_schema
from driftloop.kit.errors import Refused
from driftloop.spec.model import Pipeline, Source
from driftloop.spec.scalars import kind_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
UNIT_US = MappingProxyType({"time[ms]": 1_000, "time[us]": 1})
INT_MAX = 2**63
SECONDS_MAX = 1e12  # 30,000 years


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
    """Microseconds: of an RFC 3339 text with its offset, or of a number in the declared unit."""
    plain = declared.removesuffix("?")
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if plain == "time" and isinstance(value, str):
        try:
            return _microseconds(datetime.fromisoformat(value))
        except (ValueError, TypeError):  # TypeError: it has no offset
            wanted = "an RFC 3339 time with its offset, as 2013-01-01T10:15:00Z"
            raise Refused(f"{where} is {value!r:.60}, wanted {wanted}") from None
    if plain == "time[s]" and number and abs(value) < SECONDS_MAX:
        return round(float(value) * 1e6)
    if plain in UNIT_US and isinstance(value, int) and number and abs(value) < INT_MAX:
        return int(value) * UNIT_US[plain]
    raise Refused(f"{where} is {value!r:.60}, wanted a {declared}")


def _microseconds(time: datetime) -> int:
    since = time - EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
