from driftloop.contracts import model_pb2 as _model_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Evidence(_message.Message):
    __slots__ = ("lane", "detector", "statistic", "value", "reference", "threshold", "score", "from_us", "to_us", "rows", "model_version", "window", "newest_row_ms")
    LANE_FIELD_NUMBER: _ClassVar[int]
    DETECTOR_FIELD_NUMBER: _ClassVar[int]
    STATISTIC_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    FROM_US_FIELD_NUMBER: _ClassVar[int]
    TO_US_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    NEWEST_ROW_MS_FIELD_NUMBER: _ClassVar[int]
    lane: str
    detector: str
    statistic: str
    value: float
    reference: float
    threshold: float
    score: float
    from_us: int
    to_us: int
    rows: int
    model_version: int
    window: _model_pb2.Window
    newest_row_ms: int
    def __init__(self, lane: _Optional[str] = ..., detector: _Optional[str] = ..., statistic: _Optional[str] = ..., value: _Optional[float] = ..., reference: _Optional[float] = ..., threshold: _Optional[float] = ..., score: _Optional[float] = ..., from_us: _Optional[int] = ..., to_us: _Optional[int] = ..., rows: _Optional[int] = ..., model_version: _Optional[int] = ..., window: _Optional[_Union[_model_pb2.Window, _Mapping[str, object]]] = ..., newest_row_ms: _Optional[int] = ...) -> None: ...

class DriftDetected(_message.Message):
    __slots__ = ("pipeline", "generation", "evidence")
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    pipeline: str
    generation: int
    evidence: Evidence
    def __init__(self, pipeline: _Optional[str] = ..., generation: _Optional[int] = ..., evidence: _Optional[_Union[Evidence, _Mapping[str, object]]] = ...) -> None: ...

class RetrainRequested(_message.Message):
    __slots__ = ("pipeline", "generation", "trigger", "reason", "suppressed", "evidence", "by", "window", "drift_id", "given", "line")
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    TRIGGER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    SUPPRESSED_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    DRIFT_ID_FIELD_NUMBER: _ClassVar[int]
    GIVEN_FIELD_NUMBER: _ClassVar[int]
    LINE_FIELD_NUMBER: _ClassVar[int]
    pipeline: str
    generation: int
    trigger: str
    reason: str
    suppressed: str
    evidence: Evidence
    by: str
    window: _model_pb2.Window
    drift_id: str
    given: _model_pb2.Given
    line: str
    def __init__(self, pipeline: _Optional[str] = ..., generation: _Optional[int] = ..., trigger: _Optional[str] = ..., reason: _Optional[str] = ..., suppressed: _Optional[str] = ..., evidence: _Optional[_Union[Evidence, _Mapping[str, object]]] = ..., by: _Optional[str] = ..., window: _Optional[_Union[_model_pb2.Window, _Mapping[str, object]]] = ..., drift_id: _Optional[str] = ..., given: _Optional[_Union[_model_pb2.Given, _Mapping[str, object]]] = ..., line: _Optional[str] = ...) -> None: ...

class RetrainResolved(_message.Message):
    __slots__ = ("request_id", "pipeline", "generation", "outcome", "reason", "run_id", "trigger", "deadline_ms")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    TRIGGER_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_MS_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    pipeline: str
    generation: int
    outcome: str
    reason: str
    run_id: str
    trigger: str
    deadline_ms: int
    def __init__(self, request_id: _Optional[str] = ..., pipeline: _Optional[str] = ..., generation: _Optional[int] = ..., outcome: _Optional[str] = ..., reason: _Optional[str] = ..., run_id: _Optional[str] = ..., trigger: _Optional[str] = ..., deadline_ms: _Optional[int] = ...) -> None: ...

class TrainingProgress(_message.Message):
    __slots__ = ("run_id", "pipeline", "generation", "stage", "candidate", "done", "rows", "seconds", "trial")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    CANDIDATE_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    TRIAL_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    pipeline: str
    generation: int
    stage: str
    candidate: str
    done: float
    rows: int
    seconds: float
    trial: Trial
    def __init__(self, run_id: _Optional[str] = ..., pipeline: _Optional[str] = ..., generation: _Optional[int] = ..., stage: _Optional[str] = ..., candidate: _Optional[str] = ..., done: _Optional[float] = ..., rows: _Optional[int] = ..., seconds: _Optional[float] = ..., trial: _Optional[_Union[Trial, _Mapping[str, object]]] = ...) -> None: ...

class Trial(_message.Message):
    __slots__ = ("number", "state", "loss", "params", "error", "losses", "attempt", "worker", "seconds", "kept")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    LOSS_FIELD_NUMBER: _ClassVar[int]
    PARAMS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    LOSSES_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    KEPT_FIELD_NUMBER: _ClassVar[int]
    number: int
    state: str
    loss: float
    params: _struct_pb2.Struct
    error: str
    losses: _containers.RepeatedScalarFieldContainer[float]
    attempt: int
    worker: str
    seconds: float
    kept: bool
    def __init__(self, number: _Optional[int] = ..., state: _Optional[str] = ..., loss: _Optional[float] = ..., params: _Optional[_Union[_struct_pb2.Struct, _Mapping[str, object]]] = ..., error: _Optional[str] = ..., losses: _Optional[_Iterable[float]] = ..., attempt: _Optional[int] = ..., worker: _Optional[str] = ..., seconds: _Optional[float] = ..., kept: _Optional[bool] = ...) -> None: ...

class ServingAcknowledged(_message.Message):
    __slots__ = ("pipeline", "generation", "version", "digest", "replica", "partitions", "calls", "at_ms", "run_id")
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    REPLICA_FIELD_NUMBER: _ClassVar[int]
    PARTITIONS_FIELD_NUMBER: _ClassVar[int]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    AT_MS_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    pipeline: str
    generation: int
    version: int
    digest: str
    replica: str
    partitions: _containers.RepeatedScalarFieldContainer[int]
    calls: bool
    at_ms: int
    run_id: str
    def __init__(self, pipeline: _Optional[str] = ..., generation: _Optional[int] = ..., version: _Optional[int] = ..., digest: _Optional[str] = ..., replica: _Optional[str] = ..., partitions: _Optional[_Iterable[int]] = ..., calls: _Optional[bool] = ..., at_ms: _Optional[int] = ..., run_id: _Optional[str] = ...) -> None: ...

class Statistics(_message.Message):
    __slots__ = ("pipeline", "generation", "partition", "start_us", "end_us", "version", "predicted", "scored", "late", "loss_sum", "baseline_loss_sum", "score_histogram", "baseline_histogram", "feature_histogram", "watermark_us", "predictions", "examples", "losses", "newest_row_ms", "times_us", "parts", "unlabelled", "scores", "baseline_scores", "metric", "examples_oldest_us", "examples_newest_us", "examples_since", "lines")
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    START_US_FIELD_NUMBER: _ClassVar[int]
    END_US_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PREDICTED_FIELD_NUMBER: _ClassVar[int]
    SCORED_FIELD_NUMBER: _ClassVar[int]
    LATE_FIELD_NUMBER: _ClassVar[int]
    LOSS_SUM_FIELD_NUMBER: _ClassVar[int]
    BASELINE_LOSS_SUM_FIELD_NUMBER: _ClassVar[int]
    SCORE_HISTOGRAM_FIELD_NUMBER: _ClassVar[int]
    BASELINE_HISTOGRAM_FIELD_NUMBER: _ClassVar[int]
    FEATURE_HISTOGRAM_FIELD_NUMBER: _ClassVar[int]
    WATERMARK_US_FIELD_NUMBER: _ClassVar[int]
    PREDICTIONS_FIELD_NUMBER: _ClassVar[int]
    EXAMPLES_FIELD_NUMBER: _ClassVar[int]
    LOSSES_FIELD_NUMBER: _ClassVar[int]
    NEWEST_ROW_MS_FIELD_NUMBER: _ClassVar[int]
    TIMES_US_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    UNLABELLED_FIELD_NUMBER: _ClassVar[int]
    SCORES_FIELD_NUMBER: _ClassVar[int]
    BASELINE_SCORES_FIELD_NUMBER: _ClassVar[int]
    METRIC_FIELD_NUMBER: _ClassVar[int]
    EXAMPLES_OLDEST_US_FIELD_NUMBER: _ClassVar[int]
    EXAMPLES_NEWEST_US_FIELD_NUMBER: _ClassVar[int]
    EXAMPLES_SINCE_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    pipeline: str
    generation: int
    partition: int
    start_us: int
    end_us: int
    version: int
    predicted: int
    scored: int
    late: int
    loss_sum: float
    baseline_loss_sum: float
    score_histogram: bytes
    baseline_histogram: bytes
    feature_histogram: bytes
    watermark_us: int
    predictions: _model_pb2.OffsetRange
    examples: _model_pb2.OffsetRange
    losses: bytes
    newest_row_ms: int
    times_us: bytes
    parts: int
    unlabelled: int
    scores: bytes
    baseline_scores: bytes
    metric: str
    examples_oldest_us: int
    examples_newest_us: int
    examples_since: int
    lines: _containers.RepeatedCompositeFieldContainer[Line]
    def __init__(self, pipeline: _Optional[str] = ..., generation: _Optional[int] = ..., partition: _Optional[int] = ..., start_us: _Optional[int] = ..., end_us: _Optional[int] = ..., version: _Optional[int] = ..., predicted: _Optional[int] = ..., scored: _Optional[int] = ..., late: _Optional[int] = ..., loss_sum: _Optional[float] = ..., baseline_loss_sum: _Optional[float] = ..., score_histogram: _Optional[bytes] = ..., baseline_histogram: _Optional[bytes] = ..., feature_histogram: _Optional[bytes] = ..., watermark_us: _Optional[int] = ..., predictions: _Optional[_Union[_model_pb2.OffsetRange, _Mapping[str, object]]] = ..., examples: _Optional[_Union[_model_pb2.OffsetRange, _Mapping[str, object]]] = ..., losses: _Optional[bytes] = ..., newest_row_ms: _Optional[int] = ..., times_us: _Optional[bytes] = ..., parts: _Optional[int] = ..., unlabelled: _Optional[int] = ..., scores: _Optional[bytes] = ..., baseline_scores: _Optional[bytes] = ..., metric: _Optional[str] = ..., examples_oldest_us: _Optional[int] = ..., examples_newest_us: _Optional[int] = ..., examples_since: _Optional[int] = ..., lines: _Optional[_Iterable[_Union[Line, _Mapping[str, object]]]] = ...) -> None: ...

class Line(_message.Message):
    __slots__ = ("name", "gains", "rows", "loss_sum", "live_loss_sum")
    NAME_FIELD_NUMBER: _ClassVar[int]
    GAINS_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    LOSS_SUM_FIELD_NUMBER: _ClassVar[int]
    LIVE_LOSS_SUM_FIELD_NUMBER: _ClassVar[int]
    name: str
    gains: bytes
    rows: int
    loss_sum: float
    live_loss_sum: float
    def __init__(self, name: _Optional[str] = ..., gains: _Optional[bytes] = ..., rows: _Optional[int] = ..., loss_sum: _Optional[float] = ..., live_loss_sum: _Optional[float] = ...) -> None: ...
