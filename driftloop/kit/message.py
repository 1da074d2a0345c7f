"""Protobuf bytes to a message, with our error for what is none."""

from __future__ import annotations

from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from driftloop.kit.broker import Record
from driftloop.kit.errors import Malformed

M = TypeVar("M", bound=Message)


def parse(kind: type[M], record: Record) -> M:
    """The message of a data-plane record. Malformed names its topic, partition and offset."""
    message = kind()
    try:
        message.ParseFromString(record.value or b"")
    except DecodeError as error:
        where = f"{record.topic}[{record.partition}]@{record.offset}"
        raise Malformed(f"{where} is no {kind.DESCRIPTOR.full_name}: {error}") from error
    return message
