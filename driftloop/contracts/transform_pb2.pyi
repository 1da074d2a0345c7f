from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TransformRequest(_message.Message):
    __slots__ = ("pipeline", "rows", "source")
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    pipeline: str
    rows: _containers.RepeatedScalarFieldContainer[str]
    source: str
    def __init__(self, pipeline: _Optional[str] = ..., rows: _Optional[_Iterable[str]] = ..., source: _Optional[str] = ...) -> None: ...

class FeatureAge(_message.Message):
    __slots__ = ("feature", "seconds")
    FEATURE_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    feature: str
    seconds: float
    def __init__(self, feature: _Optional[str] = ..., seconds: _Optional[float] = ...) -> None: ...

class TransformedRow(_message.Message):
    __slots__ = ("vector", "ages", "late")
    VECTOR_FIELD_NUMBER: _ClassVar[int]
    AGES_FIELD_NUMBER: _ClassVar[int]
    LATE_FIELD_NUMBER: _ClassVar[int]
    vector: _containers.RepeatedScalarFieldContainer[float]
    ages: _containers.RepeatedCompositeFieldContainer[FeatureAge]
    late: bool
    def __init__(self, vector: _Optional[_Iterable[float]] = ..., ages: _Optional[_Iterable[_Union[FeatureAge, _Mapping[str, object]]]] = ..., late: _Optional[bool] = ...) -> None: ...

class TransformReply(_message.Message):
    __slots__ = ("rows", "names", "generation", "sequence")
    ROWS_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    rows: _containers.RepeatedCompositeFieldContainer[TransformedRow]
    names: _containers.RepeatedScalarFieldContainer[str]
    generation: int
    sequence: int
    def __init__(self, rows: _Optional[_Iterable[_Union[TransformedRow, _Mapping[str, object]]]] = ..., names: _Optional[_Iterable[str]] = ..., generation: _Optional[int] = ..., sequence: _Optional[int] = ...) -> None: ...

class LookupRequest(_message.Message):
    __slots__ = ("pipeline", "entity", "key", "at_us")
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    AT_US_FIELD_NUMBER: _ClassVar[int]
    pipeline: str
    entity: str
    key: _containers.RepeatedScalarFieldContainer[str]
    at_us: int
    def __init__(self, pipeline: _Optional[str] = ..., entity: _Optional[str] = ..., key: _Optional[_Iterable[str]] = ..., at_us: _Optional[int] = ...) -> None: ...

class LookupReply(_message.Message):
    __slots__ = ("values", "ages_s", "found")
    class ValuesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    class AgesSEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    VALUES_FIELD_NUMBER: _ClassVar[int]
    AGES_S_FIELD_NUMBER: _ClassVar[int]
    FOUND_FIELD_NUMBER: _ClassVar[int]
    values: _containers.ScalarMap[str, float]
    ages_s: _containers.ScalarMap[str, float]
    found: bool
    def __init__(self, values: _Optional[_Mapping[str, float]] = ..., ages_s: _Optional[_Mapping[str, float]] = ..., found: _Optional[bool] = ...) -> None: ...
