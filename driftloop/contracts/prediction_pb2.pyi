from driftloop.contracts import event_pb2 as _event_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Predictions(_message.Message):
    __slots__ = ("envelope", "rows", "columns", "width", "outputs", "version", "digest", "origin", "baseline_version", "baseline", "provider", "scored_at_us", "shadows")
    ENVELOPE_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    BASELINE_VERSION_FIELD_NUMBER: _ClassVar[int]
    BASELINE_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    SCORED_AT_US_FIELD_NUMBER: _ClassVar[int]
    SHADOWS_FIELD_NUMBER: _ClassVar[int]
    envelope: _event_pb2.Envelope
    rows: int
    columns: bytes
    width: int
    outputs: bytes
    version: int
    digest: str
    origin: str
    baseline_version: int
    baseline: bytes
    provider: str
    scored_at_us: int
    shadows: _containers.RepeatedCompositeFieldContainer[Shadow]
    def __init__(self, envelope: _Optional[_Union[_event_pb2.Envelope, _Mapping[str, object]]] = ..., rows: _Optional[int] = ..., columns: _Optional[bytes] = ..., width: _Optional[int] = ..., outputs: _Optional[bytes] = ..., version: _Optional[int] = ..., digest: _Optional[str] = ..., origin: _Optional[str] = ..., baseline_version: _Optional[int] = ..., baseline: _Optional[bytes] = ..., provider: _Optional[str] = ..., scored_at_us: _Optional[int] = ..., shadows: _Optional[_Iterable[_Union[Shadow, _Mapping[str, object]]]] = ...) -> None: ...

class Shadow(_message.Message):
    __slots__ = ("line", "digest", "outputs")
    LINE_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    line: str
    digest: str
    outputs: bytes
    def __init__(self, line: _Optional[str] = ..., digest: _Optional[str] = ..., outputs: _Optional[bytes] = ...) -> None: ...

class Score(_message.Message):
    __slots__ = ("event_id", "time", "status", "model", "probability", "probabilities", "value", "label", "baseline")
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    PROBABILITIES_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    BASELINE_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    time: str
    status: str
    model: str
    probability: float
    probabilities: _containers.RepeatedScalarFieldContainer[float]
    value: float
    label: str
    baseline: float
    def __init__(self, event_id: _Optional[str] = ..., time: _Optional[str] = ..., status: _Optional[str] = ..., model: _Optional[str] = ..., probability: _Optional[float] = ..., probabilities: _Optional[_Iterable[float]] = ..., value: _Optional[float] = ..., label: _Optional[str] = ..., baseline: _Optional[float] = ...) -> None: ...
