from driftloop.contracts import event_pb2 as _event_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Features(_message.Message):
    __slots__ = ("envelope", "rows", "columns", "width", "vectors")
    ENVELOPE_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    VECTORS_FIELD_NUMBER: _ClassVar[int]
    envelope: _event_pb2.Envelope
    rows: int
    columns: bytes
    width: int
    vectors: bytes
    def __init__(self, envelope: _Optional[_Union[_event_pb2.Envelope, _Mapping[str, object]]] = ..., rows: _Optional[int] = ..., columns: _Optional[bytes] = ..., width: _Optional[int] = ..., vectors: _Optional[bytes] = ...) -> None: ...

class Examples(_message.Message):
    __slots__ = ("envelope", "rows", "columns", "width", "vectors")
    ENVELOPE_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    VECTORS_FIELD_NUMBER: _ClassVar[int]
    envelope: _event_pb2.Envelope
    rows: int
    columns: bytes
    width: int
    vectors: bytes
    def __init__(self, envelope: _Optional[_Union[_event_pb2.Envelope, _Mapping[str, object]]] = ..., rows: _Optional[int] = ..., columns: _Optional[bytes] = ..., width: _Optional[int] = ..., vectors: _Optional[bytes] = ...) -> None: ...

class Corrections(_message.Message):
    __slots__ = ("envelope", "rows", "columns")
    ENVELOPE_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    envelope: _event_pb2.Envelope
    rows: int
    columns: bytes
    def __init__(self, envelope: _Optional[_Union[_event_pb2.Envelope, _Mapping[str, object]]] = ..., rows: _Optional[int] = ..., columns: _Optional[bytes] = ...) -> None: ...

class WindowState(_message.Message):
    __slots__ = ("entity", "round", "input_offset", "slots")
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    INPUT_OFFSET_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    entity: str
    round: int
    input_offset: int
    slots: bytes
    def __init__(self, entity: _Optional[str] = ..., round: _Optional[int] = ..., input_offset: _Optional[int] = ..., slots: _Optional[bytes] = ...) -> None: ...

class WindowRound(_message.Message):
    __slots__ = ("round", "start_offset", "layout")
    ROUND_FIELD_NUMBER: _ClassVar[int]
    START_OFFSET_FIELD_NUMBER: _ClassVar[int]
    LAYOUT_FIELD_NUMBER: _ClassVar[int]
    round: int
    start_offset: int
    layout: str
    def __init__(self, round: _Optional[int] = ..., start_offset: _Optional[int] = ..., layout: _Optional[str] = ...) -> None: ...

class FeatureState(_message.Message):
    __slots__ = ("window", "round")
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    window: WindowState
    round: WindowRound
    def __init__(self, window: _Optional[_Union[WindowState, _Mapping[str, object]]] = ..., round: _Optional[_Union[WindowRound, _Mapping[str, object]]] = ...) -> None: ...
