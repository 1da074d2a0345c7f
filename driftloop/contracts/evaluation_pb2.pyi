from driftloop.contracts import model_pb2 as _model_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ReplayRequest(_message.Message):
    __slots__ = ("pipeline", "digest", "version", "window")
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    pipeline: str
    digest: str
    version: int
    window: _model_pb2.Window
    def __init__(self, pipeline: _Optional[str] = ..., digest: _Optional[str] = ..., version: _Optional[int] = ..., window: _Optional[_Union[_model_pb2.Window, _Mapping[str, object]]] = ...) -> None: ...

class ReplayReply(_message.Message):
    __slots__ = ("metrics", "window")
    METRICS_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    metrics: _model_pb2.Metrics
    window: _model_pb2.Window
    def __init__(self, metrics: _Optional[_Union[_model_pb2.Metrics, _Mapping[str, object]]] = ..., window: _Optional[_Union[_model_pb2.Window, _Mapping[str, object]]] = ...) -> None: ...

class Contender(_message.Message):
    __slots__ = ("name", "version", "model")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: int
    model: bytes
    def __init__(self, name: _Optional[str] = ..., version: _Optional[int] = ..., model: _Optional[bytes] = ...) -> None: ...

class BacktestRequest(_message.Message):
    __slots__ = ("pipeline", "from_us", "to_us", "window_of", "contenders", "slices")
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    FROM_US_FIELD_NUMBER: _ClassVar[int]
    TO_US_FIELD_NUMBER: _ClassVar[int]
    WINDOW_OF_FIELD_NUMBER: _ClassVar[int]
    CONTENDERS_FIELD_NUMBER: _ClassVar[int]
    SLICES_FIELD_NUMBER: _ClassVar[int]
    pipeline: str
    from_us: int
    to_us: int
    window_of: int
    contenders: _containers.RepeatedCompositeFieldContainer[Contender]
    slices: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, pipeline: _Optional[str] = ..., from_us: _Optional[int] = ..., to_us: _Optional[int] = ..., window_of: _Optional[int] = ..., contenders: _Optional[_Iterable[_Union[Contender, _Mapping[str, object]]]] = ..., slices: _Optional[_Iterable[str]] = ...) -> None: ...

class BacktestReply(_message.Message):
    __slots__ = ("report", "window")
    REPORT_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    report: str
    window: _model_pb2.Window
    def __init__(self, report: _Optional[str] = ..., window: _Optional[_Union[_model_pb2.Window, _Mapping[str, object]]] = ...) -> None: ...
