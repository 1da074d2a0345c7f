from driftloop.contracts import model_pb2 as _model_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TrainRequest(_message.Message):
    __slots__ = ("pipeline", "reason", "by", "span", "given", "window")
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    SPAN_FIELD_NUMBER: _ClassVar[int]
    GIVEN_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    pipeline: str
    reason: str
    by: str
    span: _model_pb2.Span
    given: _model_pb2.Given
    window: _model_pb2.Window
    def __init__(self, pipeline: _Optional[str] = ..., reason: _Optional[str] = ..., by: _Optional[str] = ..., span: _Optional[_Union[_model_pb2.Span, _Mapping[str, object]]] = ..., given: _Optional[_Union[_model_pb2.Given, _Mapping[str, object]]] = ..., window: _Optional[_Union[_model_pb2.Window, _Mapping[str, object]]] = ...) -> None: ...

class TrainReply(_message.Message):
    __slots__ = ("request_id",)
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    def __init__(self, request_id: _Optional[str] = ...) -> None: ...

class CancelRequest(_message.Message):
    __slots__ = ("run_id", "by")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    by: str
    def __init__(self, run_id: _Optional[str] = ..., by: _Optional[str] = ...) -> None: ...

class CancelReply(_message.Message):
    __slots__ = ("cancelled", "reason")
    CANCELLED_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    cancelled: bool
    reason: str
    def __init__(self, cancelled: _Optional[bool] = ..., reason: _Optional[str] = ...) -> None: ...

class RebuildRequest(_message.Message):
    __slots__ = ("pipeline", "version")
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    pipeline: str
    version: int
    def __init__(self, pipeline: _Optional[str] = ..., version: _Optional[int] = ...) -> None: ...

class Cause(_message.Message):
    __slots__ = ("what", "recorded", "found")
    WHAT_FIELD_NUMBER: _ClassVar[int]
    RECORDED_FIELD_NUMBER: _ClassVar[int]
    FOUND_FIELD_NUMBER: _ClassVar[int]
    what: str
    recorded: str
    found: str
    def __init__(self, what: _Optional[str] = ..., recorded: _Optional[str] = ..., found: _Optional[str] = ...) -> None: ...

class RebuildReply(_message.Message):
    __slots__ = ("pipeline", "version", "equal", "recorded", "rebuilt", "seconds", "same_graph", "causes", "source", "rows")
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    EQUAL_FIELD_NUMBER: _ClassVar[int]
    RECORDED_FIELD_NUMBER: _ClassVar[int]
    REBUILT_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    SAME_GRAPH_FIELD_NUMBER: _ClassVar[int]
    CAUSES_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    pipeline: str
    version: int
    equal: bool
    recorded: str
    rebuilt: str
    seconds: float
    same_graph: bool
    causes: _containers.RepeatedCompositeFieldContainer[Cause]
    source: str
    rows: int
    def __init__(self, pipeline: _Optional[str] = ..., version: _Optional[int] = ..., equal: _Optional[bool] = ..., recorded: _Optional[str] = ..., rebuilt: _Optional[str] = ..., seconds: _Optional[float] = ..., same_graph: _Optional[bool] = ..., causes: _Optional[_Iterable[_Union[Cause, _Mapping[str, object]]]] = ..., source: _Optional[str] = ..., rows: _Optional[int] = ...) -> None: ...

class WindowsRequest(_message.Message):
    __slots__ = ("pipeline",)
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    pipeline: str
    def __init__(self, pipeline: _Optional[str] = ...) -> None: ...

class ModelWindow(_message.Message):
    __slots__ = ("version", "aliases", "window", "state", "in_log", "in_archive", "place")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ALIASES_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    IN_LOG_FIELD_NUMBER: _ClassVar[int]
    IN_ARCHIVE_FIELD_NUMBER: _ClassVar[int]
    PLACE_FIELD_NUMBER: _ClassVar[int]
    version: int
    aliases: _containers.RepeatedScalarFieldContainer[str]
    window: _model_pb2.Window
    state: str
    in_log: bool
    in_archive: bool
    place: str
    def __init__(self, version: _Optional[int] = ..., aliases: _Optional[_Iterable[str]] = ..., window: _Optional[_Union[_model_pb2.Window, _Mapping[str, object]]] = ..., state: _Optional[str] = ..., in_log: _Optional[bool] = ..., in_archive: _Optional[bool] = ..., place: _Optional[str] = ...) -> None: ...

class WindowsReply(_message.Message):
    __slots__ = ("windows",)
    WINDOWS_FIELD_NUMBER: _ClassVar[int]
    windows: _containers.RepeatedCompositeFieldContainer[ModelWindow]
    def __init__(self, windows: _Optional[_Iterable[_Union[ModelWindow, _Mapping[str, object]]]] = ...) -> None: ...
