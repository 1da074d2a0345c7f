from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class LoopPulse(_message.Message):
    __slots__ = ("loop", "pipeline", "rows_in", "rows_out", "commits", "aborts", "lag_records", "watermark_us", "model_version", "state", "error", "latency_ms", "counts", "last_error", "last_error_ms")
    class CountsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    LOOP_FIELD_NUMBER: _ClassVar[int]
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    ROWS_IN_FIELD_NUMBER: _ClassVar[int]
    ROWS_OUT_FIELD_NUMBER: _ClassVar[int]
    COMMITS_FIELD_NUMBER: _ClassVar[int]
    ABORTS_FIELD_NUMBER: _ClassVar[int]
    LAG_RECORDS_FIELD_NUMBER: _ClassVar[int]
    WATERMARK_US_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    LATENCY_MS_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    LAST_ERROR_FIELD_NUMBER: _ClassVar[int]
    LAST_ERROR_MS_FIELD_NUMBER: _ClassVar[int]
    loop: str
    pipeline: str
    rows_in: int
    rows_out: int
    commits: int
    aborts: int
    lag_records: int
    watermark_us: int
    model_version: int
    state: str
    error: str
    latency_ms: _containers.RepeatedScalarFieldContainer[int]
    counts: _containers.ScalarMap[str, int]
    last_error: str
    last_error_ms: int
    def __init__(self, loop: _Optional[str] = ..., pipeline: _Optional[str] = ..., rows_in: _Optional[int] = ..., rows_out: _Optional[int] = ..., commits: _Optional[int] = ..., aborts: _Optional[int] = ..., lag_records: _Optional[int] = ..., watermark_us: _Optional[int] = ..., model_version: _Optional[int] = ..., state: _Optional[str] = ..., error: _Optional[str] = ..., latency_ms: _Optional[_Iterable[int]] = ..., counts: _Optional[_Mapping[str, int]] = ..., last_error: _Optional[str] = ..., last_error_ms: _Optional[int] = ...) -> None: ...

class Pulse(_message.Message):
    __slots__ = ("service", "replica", "at_ms", "started_ms", "cpu_s", "rss_mb", "loops", "version", "ended", "address")
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    REPLICA_FIELD_NUMBER: _ClassVar[int]
    AT_MS_FIELD_NUMBER: _ClassVar[int]
    STARTED_MS_FIELD_NUMBER: _ClassVar[int]
    CPU_S_FIELD_NUMBER: _ClassVar[int]
    RSS_MB_FIELD_NUMBER: _ClassVar[int]
    LOOPS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ENDED_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    service: str
    replica: str
    at_ms: int
    started_ms: int
    cpu_s: float
    rss_mb: float
    loops: _containers.RepeatedCompositeFieldContainer[LoopPulse]
    version: str
    ended: bool
    address: str
    def __init__(self, service: _Optional[str] = ..., replica: _Optional[str] = ..., at_ms: _Optional[int] = ..., started_ms: _Optional[int] = ..., cpu_s: _Optional[float] = ..., rss_mb: _Optional[float] = ..., loops: _Optional[_Iterable[_Union[LoopPulse, _Mapping[str, object]]]] = ..., version: _Optional[str] = ..., ended: _Optional[bool] = ..., address: _Optional[str] = ...) -> None: ...

class Live(_message.Message):
    __slots__ = ("pipeline", "at_ms", "watermark_us", "model_version", "rows_per_s", "lag_records", "trouble", "replicas", "latency_p50_ms", "latency_p99_ms")
    class RowsPerSEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    class LagRecordsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class TroubleEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class ReplicasEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    AT_MS_FIELD_NUMBER: _ClassVar[int]
    WATERMARK_US_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    ROWS_PER_S_FIELD_NUMBER: _ClassVar[int]
    LAG_RECORDS_FIELD_NUMBER: _ClassVar[int]
    TROUBLE_FIELD_NUMBER: _ClassVar[int]
    REPLICAS_FIELD_NUMBER: _ClassVar[int]
    LATENCY_P50_MS_FIELD_NUMBER: _ClassVar[int]
    LATENCY_P99_MS_FIELD_NUMBER: _ClassVar[int]
    pipeline: str
    at_ms: int
    watermark_us: int
    model_version: int
    rows_per_s: _containers.ScalarMap[str, float]
    lag_records: _containers.ScalarMap[str, int]
    trouble: _containers.ScalarMap[str, str]
    replicas: _containers.ScalarMap[str, int]
    latency_p50_ms: float
    latency_p99_ms: float
    def __init__(self, pipeline: _Optional[str] = ..., at_ms: _Optional[int] = ..., watermark_us: _Optional[int] = ..., model_version: _Optional[int] = ..., rows_per_s: _Optional[_Mapping[str, float]] = ..., lag_records: _Optional[_Mapping[str, int]] = ..., trouble: _Optional[_Mapping[str, str]] = ..., replicas: _Optional[_Mapping[str, int]] = ..., latency_p50_ms: _Optional[float] = ..., latency_p99_ms: _Optional[float] = ...) -> None: ...
