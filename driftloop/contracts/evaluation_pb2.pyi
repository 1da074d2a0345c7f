from driftloop.contracts import model_pb2 as _model_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
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
