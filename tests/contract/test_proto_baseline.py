"""No field number is reused or retyped against proto/baseline.binpb, the messages of the last
release.

Fields may be added, and removed where their number is reserved; a name may change, since only
numbers are on the wire,
except in JSON topics, where the name is.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)

from infra.tools.generate import BASELINE, ROOT, baseline


def breaks(old: FileDescriptorSet, new: FileDescriptorSet) -> list[str]:
    """A sentence for each change that an older reader or writer would misunderstand."""
    before, after = dict(_messages(old)), dict(_messages(new))
    gone = [
        f"{name}: removed; keep it, or say in its topic's description since when it is not written"
        for name in before
        if name not in after
    ]
    return gone + [
        sentence
        for name in before
        if name in after
        for sentence in _changes(name, before[name], after[name])
    ]


def _messages(files: FileDescriptorSet) -> Iterator[tuple[str, DescriptorProto]]:
    for file in files.file:
        for message in file.message_type:
            yield from _nested(f"{file.package}.{message.name}", message)


def _nested(name: str, message: DescriptorProto) -> Iterator[tuple[str, DescriptorProto]]:
    yield name, message
    for inner in message.nested_type:
        yield from _nested(f"{name}.{inner.name}", inner)


def _changes(name: str, old: DescriptorProto, new: DescriptorProto) -> Iterator[str]:
    fields = {field.number: field for field in new.field}
    reserved = [number for part in new.reserved_range for number in range(part.start, part.end)]
    for before in old.field:
        after = fields.get(before.number)
        if after is None and before.number not in reserved:
            yield (
                f"{name}.{before.name}: number {before.number} is free again; write `reserved "
                f"{before.number};`"
            )
        elif after is not None and _wire(before) != _wire(after):
            yield (
                f"{name}.{before.name}: number {before.number} has another type or meaning; take a "
                "new number"
            )
        elif after is not None and before.name != after.name:
            yield (
                f"{name}.{before.name}: renamed to {after.name}, which JSON readers do not know; "
                "take a new number"
            )


def _wire(field: FieldDescriptorProto) -> tuple[int, str, bool]:
    return field.type, field.type_name, field.label == FieldDescriptorProto.LABEL_REPEATED


def test_the_messages_are_understood_by_the_last_release() -> None:
    old = FileDescriptorSet.FromString((ROOT / BASELINE).read_bytes())

    assert breaks(old, FileDescriptorSet.FromString(baseline(ROOT))) == []


def _a_file(*fields: FieldDescriptorProto, reserved: int = 0) -> FileDescriptorSet:
    message = DescriptorProto(name="Score", field=fields)
    if reserved:
        message.reserved_range.add(start=reserved, end=reserved + 1)
    return FileDescriptorSet(file=[FileDescriptorProto(package="p", message_type=[message])])


def _field(
    name: str,
    number: int,
    kind: FieldDescriptorProto.Type.ValueType = FieldDescriptorProto.TYPE_INT64,
) -> FieldDescriptorProto:
    return FieldDescriptorProto(
        name=name, number=number, type=kind, label=FieldDescriptorProto.LABEL_OPTIONAL
    )


@pytest.mark.parametrize(
    "new", [_a_file(_field("a", 1)), _a_file(_field("a", 1), _field("b", 2)), _a_file(reserved=1)]
)
def test_what_an_older_reader_understands_is_let_through(new: FileDescriptorSet) -> None:
    assert breaks(_a_file(_field("a", 1)), new) == []


@pytest.mark.parametrize(
    "new",
    [
        _a_file(),
        _a_file(_field("a", 1, FieldDescriptorProto.TYPE_STRING)),
        _a_file(_field("a", 2)),
        _a_file(_field("b", 1)),
        FileDescriptorSet(),
    ],
)
def test_what_an_older_reader_misunderstands_is_refused(new: FileDescriptorSet) -> None:
    assert breaks(_a_file(_field("a", 1)), new) != []
