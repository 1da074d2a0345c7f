import builtins
from driftloop.contracts import model_pb2 as _model_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ApplyRequest(_message.Message):
    __slots__ = ("yaml", "by")
    YAML_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    yaml: str
    by: str
    def __init__(self, yaml: _Optional[str] = ..., by: _Optional[str] = ...) -> None: ...

class ApplyReply(_message.Message):
    __slots__ = ("pipeline", "changed", "created_topics", "warnings")
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    CREATED_TOPICS_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    pipeline: _model_pb2.PipelineDeclared
    changed: bool
    created_topics: _containers.RepeatedScalarFieldContainer[str]
    warnings: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, pipeline: _Optional[_Union[_model_pb2.PipelineDeclared, _Mapping[str, object]]] = ..., changed: _Optional[bool] = ..., created_topics: _Optional[_Iterable[str]] = ..., warnings: _Optional[_Iterable[str]] = ...) -> None: ...

class PipelinesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class PipelinesReply(_message.Message):
    __slots__ = ("pipelines",)
    PIPELINES_FIELD_NUMBER: _ClassVar[int]
    pipelines: _containers.RepeatedCompositeFieldContainer[_model_pb2.PipelineDeclared]
    def __init__(self, pipelines: _Optional[_Iterable[_Union[_model_pb2.PipelineDeclared, _Mapping[str, object]]]] = ...) -> None: ...

class ModelsRequest(_message.Message):
    __slots__ = ("pipeline",)
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    pipeline: str
    def __init__(self, pipeline: _Optional[str] = ...) -> None: ...

class ModelsReply(_message.Message):
    __slots__ = ("models",)
    MODELS_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[_model_pb2.ModelVersion]
    def __init__(self, models: _Optional[_Iterable[_Union[_model_pb2.ModelVersion, _Mapping[str, object]]]] = ...) -> None: ...

class ModelRequest(_message.Message):
    __slots__ = ("pipeline", "version", "alias", "digest")
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ALIAS_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    pipeline: str
    version: int
    alias: str
    digest: str
    def __init__(self, pipeline: _Optional[str] = ..., version: _Optional[int] = ..., alias: _Optional[str] = ..., digest: _Optional[str] = ...) -> None: ...

class Run(_message.Message):
    __slots__ = ("opened", "trained", "evaluated", "finished", "released", "at_ms", "name")
    class AtMsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    OPENED_FIELD_NUMBER: _ClassVar[int]
    TRAINED_FIELD_NUMBER: _ClassVar[int]
    EVALUATED_FIELD_NUMBER: _ClassVar[int]
    FINISHED_FIELD_NUMBER: _ClassVar[int]
    RELEASED_FIELD_NUMBER: _ClassVar[int]
    AT_MS_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    opened: _model_pb2.RunOpened
    trained: _model_pb2.ModelTrained
    evaluated: _model_pb2.ModelEvaluated
    finished: _model_pb2.RunFinished
    released: _model_pb2.ModelReleased
    at_ms: _containers.ScalarMap[str, int]
    name: str
    def __init__(self, opened: _Optional[_Union[_model_pb2.RunOpened, _Mapping[str, object]]] = ..., trained: _Optional[_Union[_model_pb2.ModelTrained, _Mapping[str, object]]] = ..., evaluated: _Optional[_Union[_model_pb2.ModelEvaluated, _Mapping[str, object]]] = ..., finished: _Optional[_Union[_model_pb2.RunFinished, _Mapping[str, object]]] = ..., released: _Optional[_Union[_model_pb2.ModelReleased, _Mapping[str, object]]] = ..., at_ms: _Optional[_Mapping[str, int]] = ..., name: _Optional[str] = ...) -> None: ...

class RunsRequest(_message.Message):
    __slots__ = ("pipeline", "newest")
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    NEWEST_FIELD_NUMBER: _ClassVar[int]
    pipeline: str
    newest: int
    def __init__(self, pipeline: _Optional[str] = ..., newest: _Optional[int] = ...) -> None: ...

class RunsReply(_message.Message):
    __slots__ = ("runs",)
    RUNS_FIELD_NUMBER: _ClassVar[int]
    runs: _containers.RepeatedCompositeFieldContainer[Run]
    def __init__(self, runs: _Optional[_Iterable[_Union[Run, _Mapping[str, object]]]] = ...) -> None: ...

class PromoteRequest(_message.Message):
    __slots__ = ("pipeline", "version", "by", "reason", "request_id", "etag")
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    pipeline: str
    version: int
    by: str
    reason: str
    request_id: str
    etag: str
    def __init__(self, pipeline: _Optional[str] = ..., version: _Optional[int] = ..., by: _Optional[str] = ..., reason: _Optional[str] = ..., request_id: _Optional[str] = ..., etag: _Optional[str] = ...) -> None: ...

class CollectRequest(_message.Message):
    __slots__ = ("older_than_ms", "keep", "dry_run", "by")
    OLDER_THAN_MS_FIELD_NUMBER: _ClassVar[int]
    KEEP_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    older_than_ms: int
    keep: int
    dry_run: bool
    by: str
    def __init__(self, older_than_ms: _Optional[int] = ..., keep: _Optional[int] = ..., dry_run: _Optional[bool] = ..., by: _Optional[str] = ...) -> None: ...

class CollectReply(_message.Message):
    __slots__ = ("artifacts", "bytes")
    ARTIFACTS_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    artifacts: _containers.RepeatedCompositeFieldContainer[_model_pb2.ArtifactStored]
    bytes: int
    def __init__(self, artifacts: _Optional[_Iterable[_Union[_model_pb2.ArtifactStored, _Mapping[str, object]]]] = ..., bytes: _Optional[int] = ...) -> None: ...

class DecideRequest(_message.Message):
    __slots__ = ("pipeline", "version", "by", "reason", "request_id", "etag")
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    pipeline: str
    version: int
    by: str
    reason: str
    request_id: str
    etag: str
    def __init__(self, pipeline: _Optional[str] = ..., version: _Optional[int] = ..., by: _Optional[str] = ..., reason: _Optional[str] = ..., request_id: _Optional[str] = ..., etag: _Optional[str] = ...) -> None: ...

class RollbackRequest(_message.Message):
    __slots__ = ("pipeline", "by", "reason", "request_id", "etag")
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    pipeline: str
    by: str
    reason: str
    request_id: str
    etag: str
    def __init__(self, pipeline: _Optional[str] = ..., by: _Optional[str] = ..., reason: _Optional[str] = ..., request_id: _Optional[str] = ..., etag: _Optional[str] = ...) -> None: ...

class WhoServedRequest(_message.Message):
    __slots__ = ("pipeline", "at_ms")
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    AT_MS_FIELD_NUMBER: _ClassVar[int]
    pipeline: str
    at_ms: int
    def __init__(self, pipeline: _Optional[str] = ..., at_ms: _Optional[int] = ...) -> None: ...

class WhoServedReply(_message.Message):
    __slots__ = ("released", "model")
    RELEASED_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    released: _model_pb2.ModelReleased
    model: _model_pb2.ModelVersion
    def __init__(self, released: _Optional[_Union[_model_pb2.ModelReleased, _Mapping[str, object]]] = ..., model: _Optional[_Union[_model_pb2.ModelVersion, _Mapping[str, object]]] = ...) -> None: ...

class QuarantineRequest(_message.Message):
    __slots__ = ("pipeline", "span", "reason", "by", "lift")
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    SPAN_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    LIFT_FIELD_NUMBER: _ClassVar[int]
    pipeline: str
    span: _model_pb2.Span
    reason: str
    by: str
    lift: bool
    def __init__(self, pipeline: _Optional[str] = ..., span: _Optional[_Union[_model_pb2.Span, _Mapping[str, object]]] = ..., reason: _Optional[str] = ..., by: _Optional[str] = ..., lift: _Optional[bool] = ...) -> None: ...

class QuarantineReply(_message.Message):
    __slots__ = ("quarantined",)
    QUARANTINED_FIELD_NUMBER: _ClassVar[int]
    quarantined: _containers.RepeatedCompositeFieldContainer[_model_pb2.Quarantined]
    def __init__(self, quarantined: _Optional[_Iterable[_Union[_model_pb2.Quarantined, _Mapping[str, object]]]] = ...) -> None: ...

class UpdateModelRequest(_message.Message):
    __slots__ = ("pipeline", "version", "pinned", "note", "tags", "by", "request_id", "etag")
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
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    pipeline: str
    version: int
    pinned: bool
    note: str
    tags: _containers.ScalarMap[str, str]
    by: str
    request_id: str
    etag: str
    def __init__(self, pipeline: _Optional[str] = ..., version: _Optional[int] = ..., pinned: _Optional[bool] = ..., note: _Optional[str] = ..., tags: _Optional[_Mapping[str, str]] = ..., by: _Optional[str] = ..., request_id: _Optional[str] = ..., etag: _Optional[str] = ...) -> None: ...

class GetModelRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ListModelsRequest(_message.Message):
    __slots__ = ("parent", "page_size", "page_token", "filter", "order_by")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    ORDER_BY_FIELD_NUMBER: _ClassVar[int]
    parent: str
    page_size: int
    page_token: str
    filter: str
    order_by: str
    def __init__(self, parent: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., filter: _Optional[str] = ..., order_by: _Optional[str] = ...) -> None: ...

class ListModelsReply(_message.Message):
    __slots__ = ("models", "next_page_token")
    MODELS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[_model_pb2.ModelVersion]
    next_page_token: str
    def __init__(self, models: _Optional[_Iterable[_Union[_model_pb2.ModelVersion, _Mapping[str, object]]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetRunRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ListRunsRequest(_message.Message):
    __slots__ = ("parent", "page_size", "page_token", "filter")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    parent: str
    page_size: int
    page_token: str
    filter: str
    def __init__(self, parent: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., filter: _Optional[str] = ...) -> None: ...

class ListRunsReply(_message.Message):
    __slots__ = ("runs", "next_page_token")
    RUNS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    runs: _containers.RepeatedCompositeFieldContainer[Run]
    next_page_token: str
    def __init__(self, runs: _Optional[_Iterable[_Union[Run, _Mapping[str, object]]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ArtifactChunk(_message.Message):
    __slots__ = ("digest", "pipeline", "run_id", "bytes", "data")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    digest: str
    pipeline: str
    run_id: str
    bytes: int
    data: builtins.bytes
    def __init__(self, digest: _Optional[str] = ..., pipeline: _Optional[str] = ..., run_id: _Optional[str] = ..., bytes: _Optional[int] = ..., data: _Optional[builtins.bytes] = ...) -> None: ...

class ArtifactRequest(_message.Message):
    __slots__ = ("digest",)
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    digest: str
    def __init__(self, digest: _Optional[str] = ...) -> None: ...
