"""Messages as plain values, ready for JSON or a DataFrame; and instants as people write them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from driftloop.kit.errors import Refused

Plain = dict[str, Any]
Instant = datetime | date | str
US = 1_000_000


def plain(message: Message) -> Plain:
    """Field name → value; numbers stay numbers. Unset messages and optional fields are None, bytes
    their length in words.
    """
    return {field.name: _field(message, field) for field in message.DESCRIPTOR.fields}


def instant_us(value: Instant) -> int:
    """Microseconds since 1970 UTC. Text is ISO 8601; without a zone it is UTC. Refused: neither."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise Refused(
                f"time: found {value!r}, wanted ISO 8601 as 2013-07-01 or 2013-07-01T06:00:00Z"
            ) from None
    if not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    whole = value.replace(tzinfo=value.tzinfo or UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (whole.days * 86_400 + whole.seconds) * US + whole.microseconds


def iso(us: int) -> str:
    """`2013-07-01T06:00:00Z`; microseconds only where there are some. 0 is no time: empty."""
    return (
        datetime.fromtimestamp(us // US, UTC)
        .replace(microsecond=us % US)
        .isoformat()
        .replace("+00:00", "Z")
        if us
        else ""
    )


def _field(message: Message, field: Any) -> Any:
    value = getattr(message, field.name)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return {key: value[key] for key in sorted(value)}
    if field.is_repeated:
        return [_value(part, field) for part in value]
    if field.has_presence and not message.HasField(field.name):
        return None
    return _value(value, field)


def _value(value: Any, field: Any) -> Any:
    if field.message_type is None:
        return f"{len(value)} bytes" if field.type == FieldDescriptor.TYPE_BYTES else value
    if field.message_type.full_name.startswith("google.protobuf."):
        return json_format.MessageToDict(value)
    return plain(value)
