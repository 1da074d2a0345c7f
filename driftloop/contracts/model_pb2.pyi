import builtins
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class OffsetRange(_message.Message):
    __slots__ = ("topic", "partition", "start", "end")
    TOPIC_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    topic: str
    partition: int
    start: int
    end: int
    def __init__(self, topic: _Optional[str] = ..., partition: _Optional[int] = ..., start: _Optional[int] = ..., end: _Optional[int] = ...) -> None: ...

class Span(_message.Message):
    __slots__ = ("from_us", "to_us")
    FROM_US_FIELD_NUMBER: _ClassVar[int]
    TO_US_FIELD_NUMBER: _ClassVar[int]
    from_us: int
    to_us: int
    def __init__(self, from_us: _Optional[int] = ..., to_us: _Optional[int] = ...) -> None: ...

class Window(_message.Message):
    __slots__ = ("ranges", "start_us", "end_us", "rows", "rows_sha256", "from_us", "to_us", "without")
    RANGES_FIELD_NUMBER: _ClassVar[int]
    START_US_FIELD_NUMBER: _ClassVar[int]
    END_US_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    ROWS_SHA256_FIELD_NUMBER: _ClassVar[int]
    FROM_US_FIELD_NUMBER: _ClassVar[int]
    TO_US_FIELD_NUMBER: _ClassVar[int]
    WITHOUT_FIELD_NUMBER: _ClassVar[int]
    ranges: _containers.RepeatedCompositeFieldContainer[OffsetRange]
    start_us: int
    end_us: int
    rows: int
    rows_sha256: str
    from_us: int
    to_us: int
    without: _containers.RepeatedCompositeFieldContainer[Span]
    def __init__(self, ranges: _Optional[_Iterable[_Union[OffsetRange, _Mapping[str, object]]]] = ..., start_us: _Optional[int] = ..., end_us: _Optional[int] = ..., rows: _Optional[int] = ..., rows_sha256: _Optional[str] = ..., from_us: _Optional[int] = ..., to_us: _Optional[int] = ..., without: _Optional[_Iterable[_Union[Span, _Mapping[str, object]]]] = ...) -> None: ...

class Tuning(_message.Message):
    __slots__ = ("trials", "pruned", "failed", "loss", "own_loss", "sampler", "stopped", "workers", "kept", "chance")
    TRIALS_FIELD_NUMBER: _ClassVar[int]
    PRUNED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    LOSS_FIELD_NUMBER: _ClassVar[int]
    OWN_LOSS_FIELD_NUMBER: _ClassVar[int]
    SAMPLER_FIELD_NUMBER: _ClassVar[int]
    STOPPED_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    KEPT_FIELD_NUMBER: _ClassVar[int]
    CHANCE_FIELD_NUMBER: _ClassVar[int]
    trials: int
    pruned: int
    failed: int
    loss: float
    own_loss: float
    sampler: str
    stopped: str
    workers: int
    kept: int
    chance: str
    def __init__(self, trials: _Optional[int] = ..., pruned: _Optional[int] = ..., failed: _Optional[int] = ..., loss: _Optional[float] = ..., own_loss: _Optional[float] = ..., sampler: _Optional[str] = ..., stopped: _Optional[str] = ..., workers: _Optional[int] = ..., kept: _Optional[int] = ..., chance: _Optional[str] = ...) -> None: ...

class Given(_message.Message):
    __slots__ = ("name", "digest", "bytes", "note")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    name: str
    digest: str
    bytes: int
    note: str
    def __init__(self, name: _Optional[str] = ..., digest: _Optional[str] = ..., bytes: _Optional[int] = ..., note: _Optional[str] = ...) -> None: ...

class Candidate(_message.Message):
    __slots__ = ("name", "kind", "digest", "bytes", "window", "fit_s", "export_s", "parity_max", "error", "params", "seed", "libraries", "threads", "cpu", "code", "chance", "tuning", "line", "rows_learnt", "recipe", "cached_from")
    class LibrariesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    FIT_S_FIELD_NUMBER: _ClassVar[int]
    EXPORT_S_FIELD_NUMBER: _ClassVar[int]
    PARITY_MAX_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    PARAMS_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    LIBRARIES_FIELD_NUMBER: _ClassVar[int]
    THREADS_FIELD_NUMBER: _ClassVar[int]
    CPU_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    CHANCE_FIELD_NUMBER: _ClassVar[int]
    TUNING_FIELD_NUMBER: _ClassVar[int]
    LINE_FIELD_NUMBER: _ClassVar[int]
    ROWS_LEARNT_FIELD_NUMBER: _ClassVar[int]
    RECIPE_FIELD_NUMBER: _ClassVar[int]
    CACHED_FROM_FIELD_NUMBER: _ClassVar[int]
    name: str
    kind: str
    digest: str
    bytes: int
    window: Window
    fit_s: float
    export_s: float
    parity_max: float
    error: str
    params: _struct_pb2.Struct
    seed: int
    libraries: _containers.ScalarMap[str, str]
    threads: int
    cpu: str
    code: str
    chance: str
    tuning: Tuning
    line: str
    rows_learnt: int
    recipe: str
    cached_from: str
    def __init__(self, name: _Optional[str] = ..., kind: _Optional[str] = ..., digest: _Optional[str] = ..., bytes: _Optional[int] = ..., window: _Optional[_Union[Window, _Mapping[str, object]]] = ..., fit_s: _Optional[float] = ..., export_s: _Optional[float] = ..., parity_max: _Optional[float] = ..., error: _Optional[str] = ..., params: _Optional[_Union[_struct_pb2.Struct, _Mapping[str, object]]] = ..., seed: _Optional[int] = ..., libraries: _Optional[_Mapping[str, str]] = ..., threads: _Optional[int] = ..., cpu: _Optional[str] = ..., code: _Optional[str] = ..., chance: _Optional[str] = ..., tuning: _Optional[_Union[Tuning, _Mapping[str, object]]] = ..., line: _Optional[str] = ..., rows_learnt: _Optional[int] = ..., recipe: _Optional[str] = ..., cached_from: _Optional[str] = ...) -> None: ...

class Standing(_message.Message):
    __slots__ = ("partition", "next", "sequence")
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    NEXT_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    partition: int
    next: int
    sequence: int
    def __init__(self, partition: _Optional[int] = ..., next: _Optional[int] = ..., sequence: _Optional[int] = ...) -> None: ...

class Snapshot(_message.Message):
    __slots__ = ("pipeline", "generation", "line", "digest", "model", "rows", "newest_us", "standing", "at_ms", "recipe")
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    LINE_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    NEWEST_US_FIELD_NUMBER: _ClassVar[int]
    STANDING_FIELD_NUMBER: _ClassVar[int]
    AT_MS_FIELD_NUMBER: _ClassVar[int]
    RECIPE_FIELD_NUMBER: _ClassVar[int]
    pipeline: str
    generation: int
    line: str
    digest: str
    model: builtins.bytes
    rows: int
    newest_us: int
    standing: _containers.RepeatedCompositeFieldContainer[Standing]
    at_ms: int
    recipe: str
    def __init__(self, pipeline: _Optional[str] = ..., generation: _Optional[int] = ..., line: _Optional[str] = ..., digest: _Optional[str] = ..., model: _Optional[builtins.bytes] = ..., rows: _Optional[int] = ..., newest_us: _Optional[int] = ..., standing: _Optional[_Iterable[_Union[Standing, _Mapping[str, object]]]] = ..., at_ms: _Optional[int] = ..., recipe: _Optional[str] = ...) -> None: ...

class LineState(_message.Message):
    __slots__ = ("line", "recipe", "round", "piece", "pieces", "state", "rows", "standing")
    LINE_FIELD_NUMBER: _ClassVar[int]
    RECIPE_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    PIECE_FIELD_NUMBER: _ClassVar[int]
    PIECES_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    STANDING_FIELD_NUMBER: _ClassVar[int]
    line: str
    recipe: str
    round: int
    piece: int
    pieces: int
    state: builtins.bytes
    rows: int
    standing: _containers.RepeatedCompositeFieldContainer[Standing]
    def __init__(self, line: _Optional[str] = ..., recipe: _Optional[str] = ..., round: _Optional[int] = ..., piece: _Optional[int] = ..., pieces: _Optional[int] = ..., state: _Optional[builtins.bytes] = ..., rows: _Optional[int] = ..., standing: _Optional[_Iterable[_Union[Standing, _Mapping[str, object]]]] = ...) -> None: ...

class ModelTrained(_message.Message):
    __slots__ = ("run_id", "pipeline", "generation", "declaration", "candidates", "holdout", "outcome", "reason", "code", "cpu")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    DECLARATION_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    HOLDOUT_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    CPU_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    pipeline: str
    generation: int
    declaration: int
    candidates: _containers.RepeatedCompositeFieldContainer[Candidate]
    holdout: Window
    outcome: str
    reason: str
    code: str
    cpu: str
    def __init__(self, run_id: _Optional[str] = ..., pipeline: _Optional[str] = ..., generation: _Optional[int] = ..., declaration: _Optional[int] = ..., candidates: _Optional[_Iterable[_Union[Candidate, _Mapping[str, object]]]] = ..., holdout: _Optional[_Union[Window, _Mapping[str, object]]] = ..., outcome: _Optional[str] = ..., reason: _Optional[str] = ..., code: _Optional[str] = ..., cpu: _Optional[str] = ...) -> None: ...

class ConfusionRow(_message.Message):
    __slots__ = ("said",)
    SAID_FIELD_NUMBER: _ClassVar[int]
    said: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, said: _Optional[_Iterable[int]] = ...) -> None: ...

class Metrics(_message.Message):
    __slots__ = ("auc", "log_loss", "accuracy", "precision", "recall", "f1", "calibration_error", "rows", "positive_share", "pr_auc", "brier", "confusion", "averages", "mae", "rmse", "r2", "mape", "pinball")
    class AveragesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    AUC_FIELD_NUMBER: _ClassVar[int]
    LOG_LOSS_FIELD_NUMBER: _ClassVar[int]
    ACCURACY_FIELD_NUMBER: _ClassVar[int]
    PRECISION_FIELD_NUMBER: _ClassVar[int]
    RECALL_FIELD_NUMBER: _ClassVar[int]
    F1_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_ERROR_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    POSITIVE_SHARE_FIELD_NUMBER: _ClassVar[int]
    PR_AUC_FIELD_NUMBER: _ClassVar[int]
    BRIER_FIELD_NUMBER: _ClassVar[int]
    CONFUSION_FIELD_NUMBER: _ClassVar[int]
    AVERAGES_FIELD_NUMBER: _ClassVar[int]
    MAE_FIELD_NUMBER: _ClassVar[int]
    RMSE_FIELD_NUMBER: _ClassVar[int]
    R2_FIELD_NUMBER: _ClassVar[int]
    MAPE_FIELD_NUMBER: _ClassVar[int]
    PINBALL_FIELD_NUMBER: _ClassVar[int]
    auc: float
    log_loss: float
    accuracy: float
    precision: float
    recall: float
    f1: float
    calibration_error: float
    rows: int
    positive_share: float
    pr_auc: float
    brier: float
    confusion: _containers.RepeatedCompositeFieldContainer[ConfusionRow]
    averages: _containers.ScalarMap[str, float]
    mae: float
    rmse: float
    r2: float
    mape: float
    pinball: float
    def __init__(self, auc: _Optional[float] = ..., log_loss: _Optional[float] = ..., accuracy: _Optional[float] = ..., precision: _Optional[float] = ..., recall: _Optional[float] = ..., f1: _Optional[float] = ..., calibration_error: _Optional[float] = ..., rows: _Optional[int] = ..., positive_share: _Optional[float] = ..., pr_auc: _Optional[float] = ..., brier: _Optional[float] = ..., confusion: _Optional[_Iterable[_Union[ConfusionRow, _Mapping[str, object]]]] = ..., averages: _Optional[_Mapping[str, float]] = ..., mae: _Optional[float] = ..., rmse: _Optional[float] = ..., r2: _Optional[float] = ..., mape: _Optional[float] = ..., pinball: _Optional[float] = ...) -> None: ...

class Verdict(_message.Message):
    __slots__ = ("name", "digest", "metrics", "gain", "gain_low", "p_value", "eligible", "reason")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    GAIN_FIELD_NUMBER: _ClassVar[int]
    GAIN_LOW_FIELD_NUMBER: _ClassVar[int]
    P_VALUE_FIELD_NUMBER: _ClassVar[int]
    ELIGIBLE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    name: str
    digest: str
    metrics: Metrics
    gain: float
    gain_low: float
    p_value: float
    eligible: bool
    reason: str
    def __init__(self, name: _Optional[str] = ..., digest: _Optional[str] = ..., metrics: _Optional[_Union[Metrics, _Mapping[str, object]]] = ..., gain: _Optional[float] = ..., gain_low: _Optional[float] = ..., p_value: _Optional[float] = ..., eligible: _Optional[bool] = ..., reason: _Optional[str] = ...) -> None: ...

class ModelEvaluated(_message.Message):
    __slots__ = ("run_id", "pipeline", "generation", "verdicts", "champion", "champion_version", "champion_digest", "winner", "winner_digest", "rule", "outcome", "reason", "holdout")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    VERDICTS_FIELD_NUMBER: _ClassVar[int]
    CHAMPION_FIELD_NUMBER: _ClassVar[int]
    CHAMPION_VERSION_FIELD_NUMBER: _ClassVar[int]
    CHAMPION_DIGEST_FIELD_NUMBER: _ClassVar[int]
    WINNER_FIELD_NUMBER: _ClassVar[int]
    WINNER_DIGEST_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    HOLDOUT_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    pipeline: str
    generation: int
    verdicts: _containers.RepeatedCompositeFieldContainer[Verdict]
    champion: Metrics
    champion_version: int
    champion_digest: str
    winner: str
    winner_digest: str
    rule: str
    outcome: str
    reason: str
    holdout: Window
    def __init__(self, run_id: _Optional[str] = ..., pipeline: _Optional[str] = ..., generation: _Optional[int] = ..., verdicts: _Optional[_Iterable[_Union[Verdict, _Mapping[str, object]]]] = ..., champion: _Optional[_Union[Metrics, _Mapping[str, object]]] = ..., champion_version: _Optional[int] = ..., champion_digest: _Optional[str] = ..., winner: _Optional[str] = ..., winner_digest: _Optional[str] = ..., rule: _Optional[str] = ..., outcome: _Optional[str] = ..., reason: _Optional[str] = ..., holdout: _Optional[_Union[Window, _Mapping[str, object]]] = ...) -> None: ...

class ModelReleased(_message.Message):
    __slots__ = ("pipeline", "generation", "version", "digest", "bytes", "run_id", "by", "reason", "cause", "previous_version", "baseline_version", "baseline_digest", "inputs", "classes", "at_ms", "request_id", "line")
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_VERSION_FIELD_NUMBER: _ClassVar[int]
    BASELINE_VERSION_FIELD_NUMBER: _ClassVar[int]
    BASELINE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    CLASSES_FIELD_NUMBER: _ClassVar[int]
    AT_MS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    LINE_FIELD_NUMBER: _ClassVar[int]
    pipeline: str
    generation: int
    version: int
    digest: str
    bytes: int
    run_id: str
    by: str
    reason: str
    cause: str
    previous_version: int
    baseline_version: int
    baseline_digest: str
    inputs: _containers.RepeatedScalarFieldContainer[str]
    classes: _containers.RepeatedScalarFieldContainer[str]
    at_ms: int
    request_id: str
    line: str
    def __init__(self, pipeline: _Optional[str] = ..., generation: _Optional[int] = ..., version: _Optional[int] = ..., digest: _Optional[str] = ..., bytes: _Optional[int] = ..., run_id: _Optional[str] = ..., by: _Optional[str] = ..., reason: _Optional[str] = ..., cause: _Optional[str] = ..., previous_version: _Optional[int] = ..., baseline_version: _Optional[int] = ..., baseline_digest: _Optional[str] = ..., inputs: _Optional[_Iterable[str]] = ..., classes: _Optional[_Iterable[str]] = ..., at_ms: _Optional[int] = ..., request_id: _Optional[str] = ..., line: _Optional[str] = ...) -> None: ...

class RunFinished(_message.Message):
    __slots__ = ("run_id", "pipeline", "generation", "outcome", "reason", "version", "at_ms")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    AT_MS_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    pipeline: str
    generation: int
    outcome: str
    reason: str
    version: int
    at_ms: int
    def __init__(self, run_id: _Optional[str] = ..., pipeline: _Optional[str] = ..., generation: _Optional[int] = ..., outcome: _Optional[str] = ..., reason: _Optional[str] = ..., version: _Optional[int] = ..., at_ms: _Optional[int] = ...) -> None: ...

class ModelVersion(_message.Message):
    __slots__ = ("pipeline", "generation", "version", "digest", "bytes", "run_id", "candidate", "metrics", "verdict", "inputs", "classes", "created_ms", "released_by", "aliases", "note", "tags", "name", "etag")
    class TagsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    CANDIDATE_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    CLASSES_FIELD_NUMBER: _ClassVar[int]
    CREATED_MS_FIELD_NUMBER: _ClassVar[int]
    RELEASED_BY_FIELD_NUMBER: _ClassVar[int]
    ALIASES_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    pipeline: str
    generation: int
    version: int
    digest: str
    bytes: int
    run_id: str
    candidate: Candidate
    metrics: Metrics
    verdict: Verdict
    inputs: _containers.RepeatedScalarFieldContainer[str]
    classes: _containers.RepeatedScalarFieldContainer[str]
    created_ms: int
    released_by: str
    aliases: _containers.RepeatedScalarFieldContainer[str]
    note: str
    tags: _containers.ScalarMap[str, str]
    name: str
    etag: str
    def __init__(self, pipeline: _Optional[str] = ..., generation: _Optional[int] = ..., version: _Optional[int] = ..., digest: _Optional[str] = ..., bytes: _Optional[int] = ..., run_id: _Optional[str] = ..., candidate: _Optional[_Union[Candidate, _Mapping[str, object]]] = ..., metrics: _Optional[_Union[Metrics, _Mapping[str, object]]] = ..., verdict: _Optional[_Union[Verdict, _Mapping[str, object]]] = ..., inputs: _Optional[_Iterable[str]] = ..., classes: _Optional[_Iterable[str]] = ..., created_ms: _Optional[int] = ..., released_by: _Optional[str] = ..., aliases: _Optional[_Iterable[str]] = ..., note: _Optional[str] = ..., tags: _Optional[_Mapping[str, str]] = ..., name: _Optional[str] = ..., etag: _Optional[str] = ...) -> None: ...

class ModelMarked(_message.Message):
    __slots__ = ("pipeline", "version", "pinned", "note", "tags", "by", "at_ms", "request_id")
    class TagsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PINNED_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    AT_MS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    pipeline: str
    version: int
    pinned: bool
    note: str
    tags: _containers.ScalarMap[str, str]
    by: str
    at_ms: int
    request_id: str
    def __init__(self, pipeline: _Optional[str] = ..., version: _Optional[int] = ..., pinned: _Optional[bool] = ..., note: _Optional[str] = ..., tags: _Optional[_Mapping[str, str]] = ..., by: _Optional[str] = ..., at_ms: _Optional[int] = ..., request_id: _Optional[str] = ...) -> None: ...

class PipelineDeclared(_message.Message):
    __slots__ = ("name", "version", "generation", "yaml", "digest", "by", "at_ms", "quarantined")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    YAML_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    AT_MS_FIELD_NUMBER: _ClassVar[int]
    QUARANTINED_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: int
    generation: int
    yaml: str
    digest: str
    by: str
    at_ms: int
    quarantined: _containers.RepeatedCompositeFieldContainer[Quarantined]
    def __init__(self, name: _Optional[str] = ..., version: _Optional[int] = ..., generation: _Optional[int] = ..., yaml: _Optional[str] = ..., digest: _Optional[str] = ..., by: _Optional[str] = ..., at_ms: _Optional[int] = ..., quarantined: _Optional[_Iterable[_Union[Quarantined, _Mapping[str, object]]]] = ...) -> None: ...

class Quarantined(_message.Message):
    __slots__ = ("pipeline", "span", "reason", "by", "at_ms", "lifted")
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    SPAN_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    AT_MS_FIELD_NUMBER: _ClassVar[int]
    LIFTED_FIELD_NUMBER: _ClassVar[int]
    pipeline: str
    span: Span
    reason: str
    by: str
    at_ms: int
    lifted: bool
    def __init__(self, pipeline: _Optional[str] = ..., span: _Optional[_Union[Span, _Mapping[str, object]]] = ..., reason: _Optional[str] = ..., by: _Optional[str] = ..., at_ms: _Optional[int] = ..., lifted: _Optional[bool] = ...) -> None: ...

class RunOpened(_message.Message):
    __slots__ = ("run_id", "pipeline", "generation", "trigger", "reason", "request_id", "at_ms", "deadline_ms")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    TRIGGER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    AT_MS_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_MS_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    pipeline: str
    generation: int
    trigger: str
    reason: str
    request_id: str
    at_ms: int
    deadline_ms: int
    def __init__(self, run_id: _Optional[str] = ..., pipeline: _Optional[str] = ..., generation: _Optional[int] = ..., trigger: _Optional[str] = ..., reason: _Optional[str] = ..., request_id: _Optional[str] = ..., at_ms: _Optional[int] = ..., deadline_ms: _Optional[int] = ...) -> None: ...

class ArtifactStored(_message.Message):
    __slots__ = ("digest", "bytes", "pipeline", "run_id")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    digest: str
    bytes: int
    pipeline: str
    run_id: str
    def __init__(self, digest: _Optional[str] = ..., bytes: _Optional[int] = ..., pipeline: _Optional[str] = ..., run_id: _Optional[str] = ...) -> None: ...

class ArtifactsCollected(_message.Message):
    __slots__ = ("digests", "by", "at_ms")
    DIGESTS_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    AT_MS_FIELD_NUMBER: _ClassVar[int]
    digests: _containers.RepeatedScalarFieldContainer[str]
    by: str
    at_ms: int
    def __init__(self, digests: _Optional[_Iterable[str]] = ..., by: _Optional[str] = ..., at_ms: _Optional[int] = ...) -> None: ...

class RegistryEvent(_message.Message):
    __slots__ = ("at_ms", "declared", "opened", "stored", "trained", "evaluated", "versioned", "released", "finished", "quarantined", "marked", "collected")
    AT_MS_FIELD_NUMBER: _ClassVar[int]
    DECLARED_FIELD_NUMBER: _ClassVar[int]
    OPENED_FIELD_NUMBER: _ClassVar[int]
    STORED_FIELD_NUMBER: _ClassVar[int]
    TRAINED_FIELD_NUMBER: _ClassVar[int]
    EVALUATED_FIELD_NUMBER: _ClassVar[int]
    VERSIONED_FIELD_NUMBER: _ClassVar[int]
    RELEASED_FIELD_NUMBER: _ClassVar[int]
    FINISHED_FIELD_NUMBER: _ClassVar[int]
    QUARANTINED_FIELD_NUMBER: _ClassVar[int]
    MARKED_FIELD_NUMBER: _ClassVar[int]
    COLLECTED_FIELD_NUMBER: _ClassVar[int]
    at_ms: int
    declared: PipelineDeclared
    opened: RunOpened
    stored: ArtifactStored
    trained: ModelTrained
    evaluated: ModelEvaluated
    versioned: ModelVersion
    released: ModelReleased
    finished: RunFinished
    quarantined: Quarantined
    marked: ModelMarked
    collected: ArtifactsCollected
    def __init__(self, at_ms: _Optional[int] = ..., declared: _Optional[_Union[PipelineDeclared, _Mapping[str, object]]] = ..., opened: _Optional[_Union[RunOpened, _Mapping[str, object]]] = ..., stored: _Optional[_Union[ArtifactStored, _Mapping[str, object]]] = ..., trained: _Optional[_Union[ModelTrained, _Mapping[str, object]]] = ..., evaluated: _Optional[_Union[ModelEvaluated, _Mapping[str, object]]] = ..., versioned: _Optional[_Union[ModelVersion, _Mapping[str, object]]] = ..., released: _Optional[_Union[ModelReleased, _Mapping[str, object]]] = ..., finished: _Optional[_Union[RunFinished, _Mapping[str, object]]] = ..., quarantined: _Optional[_Union[Quarantined, _Mapping[str, object]]] = ..., marked: _Optional[_Union[ModelMarked, _Mapping[str, object]]] = ..., collected: _Optional[_Union[ArtifactsCollected, _Mapping[str, object]]] = ...) -> None: ...
