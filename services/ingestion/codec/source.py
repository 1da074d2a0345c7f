"""Source records: JSON bytes → rows of values, every check of type and presence done by one typed
msgspec decoder.

The decoder's struct has all fields of the pipeline, so that its tuple is the row of `records` as it
stands; those that the source lacks can only be null. What the decoder refuses is looked at once
more, slowly, to name the rule it breaks.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from operator import itemgetter
from typing import Annotated, Any, cast

import msgspec

from driftloop.kit.broker import Record
from driftloop.spec import Pipeline, Source, kind_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
END_HEADER = "driftloop-watermark"
YEAR_2200_US = 7_258_118_400_000_000
# 1,000 bytes of UTF-8 at most, and 1,000 rows an envelope: a message of ours takes 1 MiB
ID_CHARACTERS_MAX = 250
MESSAGE_BYTES_MAX = 1_048_588  # of `records`, as Kafka has it by default
HEAD_BYTES = 10_000  # two ids of 1,000 bytes, the other head columns, the envelope
COLUMN_BYTES = 320  # three padded buffers of a column, its place in the batch's own head, a number
_INT64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_TYPES: Mapping[str, Any] = {
    "string": str,
    "float": float,
    "int": _INT64,
    "bool": bool,
    "time": Annotated[datetime, msgspec.Meta(tz=True)],
    "time[s]": float,
    "time[ms]": _INT64,
    "time[us]": _INT64,
}
_UNIT_US: Mapping[str, int] = {"time[s]": 1_000_000, "time[ms]": 1_000, "time[us]": 1}


class Bad(Exception):
    """A record that is no row. `rule` is what it is counted under."""

    def __init__(self, rule: str, reason: str) -> None:
        super().__init__(reason)
        self.rule = rule


def fields_in_order(pipeline: Pipeline) -> list[str]:
    """The fields as they stand in a row's values: the columns of `records`, and `time` at the end
    where there is one.
    """
    names = list(pipeline.field_types())
    return [name for name in names if name != "time"] + [name for name in names if name == "time"]


def end_mark(record: Record) -> int | None:
    """The watermark by which a stream says that it has ended; None for any other record."""
    if record.value is not None:
        return None
    text = next((value for name, value in record.headers if name == END_HEADER), b"")
    return int(text) if text.isdigit() and len(text) < 19 else None


class SourceReader:
    """Reads the records of one source."""

    def __init__(self, pipeline: Pipeline, source: Source, bytes_max: int) -> None:
        names = fields_in_order(pipeline)
        # A row alone must fit a message of `records`, in which each column costs, and ids stand
        # beside the fields that they are made of.
        most = MESSAGE_BYTES_MAX - HEAD_BYTES - COLUMN_BYTES * len(names)
        self._source, self._bytes_max = source, min(bytes_max, most)
        self._decode = msgspec.json.Decoder(_struct(source, names)).decode
        self._places = {name: names.index(name) for name in source.fields}
        self._time = names.index(source.time)
        self._to_us = _microseconds(source.fields[source.time])
        self._id = _speller(source, source.id, self._places)
        self._joins = (
            self._id if source.joins == source.id else _speller(source, source.joins, self._places)
        )
        self._same = source.joins == source.id
        spelt = {
            *source.id,
            *source.joins,
        }  # a field named `time` is no column: its value matters in an id alone
        self._own_times = [
            (place, _microseconds(source.fields[name]))
            for name, place in self._places.items()
            if kind_of(source.fields[name]) == "time" and (name != "time" or name in spelt)
        ]

    def read(
        self, value: bytes | None, own_id: str
    ) -> tuple[tuple[Any, ...], int, str, str | None]:
        """(values, event time in µs, id, joined id). `own_id` is the id where the source declares
        none. Raises Bad.
        """
        if value is None:
            raise Bad("not_json", "the value is null")
        if len(value) > self._bytes_max:
            raise Bad("too_large", f"{len(value)} bytes, more than {self._bytes_max}")
        try:
            values: tuple[Any, ...] = msgspec.structs.astuple(self._decode(value))
        except (
            msgspec.MsgspecError,
            ValueError,
            RecursionError,
        ) as error:  # UnicodeDecodeError is a ValueError
            raise self._named(value, error) from error
        time_us = self._to_us(values[self._time])
        if time_us is None or not 0 <= time_us < YEAR_2200_US:
            raise Bad(
                "wrong_time",
                f"{self._source.time} is {values[self._time]}, not between 1970 and 2200",
            )
        for place, to_us in self._own_times:
            values = self._with_time(values, place, to_us)
        event_id = cast(str, self._id(values) if self._source.id else own_id)
        if len(event_id) > ID_CHARACTERS_MAX:
            raise _too_long("id", event_id)
        if not self._source.joins:
            return values, time_us, event_id, None
        joins = event_id if self._same else self._joins(values)
        if joins is None:
            raise Bad("unknown_join", f"one of {', '.join(self._source.joins)} is null")
        if len(joins) > ID_CHARACTERS_MAX:
            raise _too_long("joined id", joins)
        return values, time_us, event_id, joins

    def _with_time(
        self, values: tuple[Any, ...], place: int, to_us: Callable[[Any], int | None]
    ) -> tuple[Any, ...]:
        if values[place] is None:
            return values
        time_us = to_us(values[place])
        if time_us is None or not 0 <= time_us < YEAR_2200_US:
            raise Bad("wrong_time", f"{values[place]} is not between 1970 and 2200")
        return (*values[:place], time_us, *values[place + 1 :])

    def _named(self, value: bytes, error: Exception) -> Bad:
        """Which rule a refused record breaks."""
        try:
            fields = json.loads(value, parse_constant=_constant)
        except _NotFinite as wrong:
            return Bad("not_finite", f"it holds {wrong}")
        except (ValueError, RecursionError):
            return Bad("not_json", str(error) or type(error).__name__)
        if not isinstance(fields, dict):
            return Bad("not_object", f"it is a JSON {type(fields).__name__}")
        if not isinstance(
            error, msgspec.ValidationError
        ):  # half a surrogate, or nested without end
            return Bad("not_json", str(error))
        for name, kind in self._source.fields.items():
            bad = _field(name, kind, fields)
            if bad is not None:
                return bad
        return Bad("wrong_type", str(error))


def _too_long(what: str, text: str) -> Bad:
    return Bad(
        "id_too_long", f"its {what} has {len(text)} characters, more than {ID_CHARACTERS_MAX}"
    )


def _struct(source: Source, names: Sequence[str]) -> type[msgspec.Struct]:
    own = source.fields
    fields: list[Any] = []
    for name in names:
        kind = own.get(name)
        if kind is None:
            fields.append((name, None, None))
        elif kind.endswith("?"):
            fields.append((name, _TYPES[kind[:-1]] | None, None))
        else:
            fields.append((name, _TYPES[kind]))
    # A field of another source has a name here that no one uses, and may be null alone: what JSON
    # holds beside is ignored.
    other = {name: f"<not of {source.topic}: {name}>" for name in names if name not in own}
    return msgspec.defstruct("Record", fields, kw_only=True, rename=other or None, gc=False)


def _field(name: str, kind: str, fields: Mapping[str, Any]) -> Bad | None:
    """What is wrong with one field, if anything."""
    plain, value = kind.removesuffix("?"), fields.get(name)
    if value is None:
        return (
            None
            if kind.endswith("?")
            else Bad("missing_field", f"{name} is {'null' if name in fields else 'missing'}")
        )
    if isinstance(value, float) and not math.isfinite(value):
        return Bad("out_of_range", f"{name} is beyond a float64")
    try:
        msgspec.convert(value, _TYPES[plain], strict=True)
    except msgspec.ValidationError as wrong:
        if plain == "time" and isinstance(value, str):
            return Bad("wrong_time", f"{name} is {value[:40]!r}, no RFC 3339 time with its offset")
        outside = isinstance(value, int) and not isinstance(value, bool) and _TYPES[plain] is _INT64
        return Bad("out_of_range" if outside else "wrong_type", f"{name}: {wrong}")
    return None


class _NotFinite(Exception):
    """JSON has no NaN and no Infinity."""


def _constant(word: str) -> float:
    raise _NotFinite(word)


def _microseconds(kind: str) -> Callable[[Any], int | None]:
    plain = kind.removesuffix("?")
    if plain == "time":
        return _of_datetime
    if plain == "time[s]":
        return lambda seconds: round(seconds * 1e6) if abs(seconds) < 1e12 else None
    unit_us = _UNIT_US[plain]
    return lambda count: cast(int, count * unit_us)


def _of_datetime(at: datetime) -> int:
    since = at - EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _speller(
    source: Source, names: Sequence[str], places: Mapping[str, int]
) -> Callable[[tuple[Any, ...]], str | None]:
    """An id out of a row's values: its fields joined by `|` (`|` and `\\` in them by a `\\`); None
    if one is null.
    """
    if not names:
        return lambda values: None
    places_of = [places[name] for name in names]
    take = itemgetter(*places_of) if len(names) > 1 else lambda values: (values[places_of[0]],)
    # str() of a string is itself and of an int what it should be; only these two kinds go the short
    # way.
    text_of = (
        str if {kind_of(source.fields[name]) for name in names} <= {"string", "int"} else _text
    )

    def spell(values: tuple[Any, ...]) -> str | None:
        parts = take(values)
        if None in parts:
            return None
        text = "|".join(map(text_of, parts))
        if text.count("|") == len(parts) - 1 and "\\" not in text:
            return text
        return "|".join(text_of(part).replace("\\", "\\\\").replace("|", "\\|") for part in parts)

    return spell


def _text(value: object) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)
