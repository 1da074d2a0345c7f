from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Envelope(_message.Message):
    __slots__ = ("pipeline", "generation", "sequence", "watermark_us", "traceparent", "traces")
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    WATERMARK_US_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    TRACES_FIELD_NUMBER: _ClassVar[int]
    pipeline: str
    generation: int
    sequence: int
    watermark_us: int
    traceparent: str
    traces: bytes
    def __init__(self, pipeline: _Optional[str] = ..., generation: _Optional[int] = ..., sequence: _Optional[int] = ..., watermark_us: _Optional[int] = ..., traceparent: _Optional[str] = ..., traces: _Optional[bytes] = ...) -> None: ...

class SourceOffset(_message.Message):
    __slots__ = ("topic", "partition", "next")
    TOPIC_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    NEXT_FIELD_NUMBER: _ClassVar[int]
    topic: str
    partition: int
    next: int
    def __init__(self, topic: _Optional[str] = ..., partition: _Optional[int] = ..., next: _Optional[int] = ...) -> None: ...

class Records(_message.Message):
    __slots__ = ("envelope", "rows", "columns", "next_offsets")
    ENVELOPE_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    NEXT_OFFSETS_FIELD_NUMBER: _ClassVar[int]
    envelope: Envelope
    rows: int
    columns: bytes
    next_offsets: _containers.RepeatedCompositeFieldContainer[SourceOffset]
    def __init__(self, envelope: _Optional[_Union[Envelope, _Mapping[str, object]]] = ..., rows: _Optional[int] = ..., columns: _Optional[bytes] = ..., next_offsets: _Optional[_Iterable[_Union[SourceOffset, _Mapping[str, object]]]] = ...) -> None: ...

class Labels(_message.Message):
    __slots__ = ("envelope", "rows", "columns")
    ENVELOPE_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    envelope: Envelope
    rows: int
    columns: bytes
    def __init__(self, envelope: _Optional[_Union[Envelope, _Mapping[str, object]]] = ..., rows: _Optional[int] = ..., columns: _Optional[bytes] = ...) -> None: ...

class Quality(_message.Message):
    __slots__ = ("pipeline", "generation", "at_ms", "counts")
    class CountsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    AT_MS_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    pipeline: str
    generation: int
    at_ms: int
    counts: _containers.ScalarMap[str, int]
    def __init__(self, pipeline: _Optional[str] = ..., generation: _Optional[int] = ..., at_ms: _Optional[int] = ..., counts: _Optional[_Mapping[str, int]] = ...) -> None: ...
