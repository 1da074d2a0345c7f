"""Control events: protobuf messages as proto3 JSON with CloudEvents headers, so that anyone may
read or write them.

Field names are snake_case as in proto/. Reading ignores fields that it doesn't know and refuses
everything else that is wrong: an event that is half understood is worse than none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from driftloop.kit import trace
from driftloop.kit.broker import Record
from driftloop.kit.errors import Malformed
from driftloop.kit.topic import Emit, Topic

M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True)
class Event(Generic[M]):
    """A message with who it is. `id` is ce_id, else `topic-partition-offset`; `time_ms` is append
    time."""

    id: str
    time_ms: int
    message: M
    record: Record
    traceparent: str = ""


def event(
    topic: Topic[M],
    message: M,
    *,
    id: str,  # noqa: A002  # CloudEvents' own word
    source: str,
    time_ms: int,
    key: str,
    traceparent: str = "",
) -> Emit:
    """`message` for a control topic. `id` names what caused it, so that a second try has the same
    one."""
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", id.encode()),
        ("ce_type", message.DESCRIPTOR.full_name.encode()),
        ("ce_source", source.encode()),
        ("ce_time", _rfc3339(time_ms).encode()),
        ("content-type", b"application/json"),
    ]
    if traceparent:
        headers.append((trace.HEADER, traceparent.encode()))
    return Emit(topic.name, to_json(message), key.encode(), None, headers)


def read_event(record: Record, message_type: type[M]) -> Event[M]:
    """The event in `record`. Malformed: no value, not JSON, a wrong type, an unknown enum value."""
    message = from_json(record.value or b"", message_type, _coordinates(record))
    return Event(
        event_id(record), record.timestamp_ms, message, record, trace.passed_on(record.headers)
    )


def event_id(record: Record) -> str:
    """Its own `ce_id`, else its coordinates; also of what can't be read."""
    given = dict(record.headers).get("ce_id", b"").decode("utf-8", "replace")
    return given or _coordinates(record)


def to_json(message: Message) -> bytes:
    """proto3 JSON in one line, snake_case, defaults left out."""
    return json_format.MessageToJson(
        message, preserving_proto_field_name=True, indent=None
    ).encode()


def from_json(data: bytes, message_type: type[M], where: str = "message") -> M:
    """The message in `data`. Malformed as in `read_event`; `where` begins its text."""
    wanted = f"wanted {message_type.DESCRIPTOR.full_name} in JSON"
    try:
        fields = json.loads(data, parse_constant=_refuse_constant)
        if not isinstance(fields, dict):
            raise Malformed(f"{where} is a JSON {type(fields).__name__}, {wanted}")
        message = message_type()
        json_format.ParseDict(_known(fields, message_type.DESCRIPTOR), message)
    except (
        ValueError,
        json_format.Error,
        RecursionError,
    ) as error:  # UnicodeDecodeError is a ValueError
        raise Malformed(f"{where}: {error}, {wanted}") from error
    return message


def _known(fields: Mapping[str, Any], descriptor: Any) -> dict[str, Any]:
    """`fields` without those that `descriptor` lacks. json_format's own way would ignore unknown
    enum values too."""
    return {
        name: _pruned(value, field)
        for name, value in fields.items()
        if (field := _field(descriptor, name)) is not None
    }


def _field(descriptor: Any, name: str) -> FieldDescriptor | None:
    by_name, by_camelcase = descriptor.fields_by_name, descriptor.fields_by_camelcase_name
    found: FieldDescriptor | None = by_name.get(name) or by_camelcase.get(name)
    return found


def _pruned(value: Any, field: FieldDescriptor) -> Any:
    inner = field.message_type
    if inner is None or inner.full_name.startswith(
        "google.protobuf."
    ):  # Struct and wrappers have JSON forms of their own
        return value
    if inner.GetOptions().map_entry:
        return _pruned_map(value, inner.fields_by_name["value"])
    if isinstance(value, list):
        return [_known(part, inner) if isinstance(part, dict) else part for part in value]
    return _known(value, inner) if isinstance(value, dict) else value


def _pruned_map(value: Any, field: FieldDescriptor) -> Any:
    if not isinstance(value, dict):
        return value
    return {key: _pruned(part, field) for key, part in value.items()}


def _refuse_constant(word: str) -> float:
    raise ValueError(f"{word} is not JSON")


def _coordinates(record: Record) -> str:
    return f"{record.topic}-{record.partition}-{record.offset}"


def _rfc3339(time_ms: int) -> str:
    return (
        datetime.fromtimestamp(time_ms / 1000, UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z")
    )
