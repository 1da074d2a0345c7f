"""The pipeline file as frozen values: what stands in it, with the defaults of what does not.

Durations are int microseconds. Words of the file that Python keeps for itself have other names
here: `from` is `from_`, `schema` is `fields`, `role` is `roles`. What the parts mean together is
checked in `meaning`, and `parse` does both.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from driftloop.spec.kinds import with_losses
from driftloop.spec.learner import Learner
from driftloop.spec.scalars import (
    ClassName,
    Duration,
    DurationOrZero,
    FieldType,
    OneOrMore,
    Scalar,
    arrow_of,
    duration_us,
    wrong,
)
from driftloop.spec.strict import Name, Strict, Text

Role = Literal["predict", "update", "label"]
ROLE_BITS: Mapping[str, int] = {"predict": 1, "update": 2, "label": 4}
Aggregate = Literal["count", "sum", "mean", "share", "last", "age", "open"]
Loss = Literal["log_loss", "squared_error"]
Number = Annotated[float, Field(strict=False, allow_inf_nan=False)]
CLASSES_MAX = 100  # each judgement tells the confusion of any two of them

# The columns of `records` that come before the fields; `_` keeps them apart from any field.
HEAD_COLUMNS: Mapping[str, str] = {
    "_source": "int16",
    "_roles": "uint8",
    "_id": "string",
    "_joins": "string",
    "_time": "int64",
    "_source_ms": "int64",
    "_sequence": "uint64",
    "_late": "bool",
}


class Rule(Strict):
    """`that` is an expression over the row; where it is false the row is a dead letter,
    `rule:<name>`.

    A row that lacks a field which `that` needs is not judged by it.
    """

    name: Name
    that: Text


class Source(Strict):
    """A topic of the user's, and what its rows are for."""

    topic: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,249}$")]
    roles: Annotated[tuple[Role, ...], OneOrMore, Field(alias="role", min_length=1, strict=False)]
    format: Literal["json"] = "json"
    fields: dict[str, FieldType] = Field(alias="schema", min_length=1)
    id: Annotated[tuple[str, ...], Field(strict=False)] = ()  # none: topic, partition and offset
    time: str
    joins: Annotated[tuple[str, ...], Field(strict=False)] = ()
    from_: Literal["earliest", "latest"] = Field("earliest", alias="from")
    lateness: DurationOrZero = duration_us("1h")
    late: Literal["keep", "drop", "dead"] = "keep"
    dedup_window: DurationOrZero = duration_us("2d")
    rules: Annotated[tuple[Rule, ...], Field(strict=False)] = ()

    def role_bits(self) -> int:
        """1 predict, 2 update, 4 label."""
        return sum(ROLE_BITS[role] for role in set(self.roles))


class FieldFeature(Strict):
    """The row's own field: a number (NaN where missing), or with `encode: ordinal` a string's code
    (-1 where missing).
    """

    name: Name
    field: str
    encode: Literal["none", "ordinal"] = "none"
    hidden: bool = False


class ExprFeature(Strict):
    """An expression over the row's fields, `time` and the features that stand above."""

    name: Name
    expr: Text
    hidden: bool = False


class Shrink(Strict):
    """(sum + rows · prior) / (count + rows): few rows say little."""

    rows: Annotated[float, Field(gt=0, strict=False)]
    prior: Number


class Closes(Strict):
    """A row of `source` closes the row that it joins."""

    source: str


class WindowFeature(Strict):
    """Something about earlier rows of `from_` with the same entity: [t − window, t), never the row
    itself.
    """

    name: Name
    from_: str = Field(alias="from")
    by: str
    agg: Aggregate
    window: Duration | None = None  # all but last and age
    max_age: Duration | None = None  # last and age: older is missing
    value: Text | None = None  # sum, mean, last: an expression over the rows of `from_`
    where: Text | None = None  # share: what is counted over all; else which rows count at all
    default: Number | None = None  # instead of missing
    shrink: Shrink | None = None  # mean, share
    closes: Closes | None = None  # open
    hidden: bool = False


def _feature_kind(value: Any) -> str | None:
    keys = value if isinstance(value, dict) else vars(value) if isinstance(value, Strict) else ()
    return next((f"<{kind}>" for kind in ("field", "expr") if kind in keys), "<window>")


Feature = Annotated[
    Annotated[FieldFeature, Tag("<field>")]
    | Annotated[ExprFeature, Tag("<expr>")]
    | Annotated[WindowFeature, Tag("<window>")],
    Discriminator(_feature_kind),
]


class Target(Strict):
    """What is to be foretold: of a row of `from_`, joined to the row that it is the truth of.

    binary: `positive` is the condition for 1, and `threshold` the probability from which on a row
    is said to be so. multiclass: `value`, a string or a whole number, is one of `classes`.
    regression: `value` is the number itself.
    """

    name: Name
    from_: str = Field(alias="from")
    kind: Literal["binary", "multiclass", "regression"] = "binary"
    positive: Text | None = None
    value: Text | None = None
    classes: Annotated[tuple[ClassName, ...], Field(strict=False, max_length=CLASSES_MAX)] = ()
    horizon: Duration
    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.5

    @property
    def class_count(self) -> int:
        """How many classes there are; 0: it is a number."""
        return 0 if self.kind == "regression" else max(2, len(self.classes))

    @property
    def class_names(self) -> tuple[str, ...]:
        """What they are called, in the order of a model's outputs; none of a number."""
        return self.classes or (("0", "1") if self.kind == "binary" else ())

    @property
    def outputs(self) -> int:
        """How many numbers a model answers a row with: a probability for each class, or a value."""
        return max(1, self.class_count)

    @property
    def loss(self) -> Loss:
        """What a row's answer is measured by, once its truth is known."""
        return "squared_error" if self.kind == "regression" else "log_loss"


class Holdout(Strict):
    """The newest labelled rows that no candidate sees."""

    rows: Annotated[int, Field(ge=100, le=1_000_000)] = 5_000
    share_max: Annotated[float, Field(gt=0, le=0.5)] = 0.1


class Limits(Strict):
    """What bars a candidate whatever its gain: its size, the median time of one row's answer in µs,
    its calibration error, and by how much its mean loss may be above the opponent's in any value of
    `slices`.
    """

    bytes: Annotated[int, Field(ge=1)] | None = None
    row_us: Annotated[Number, Field(gt=0)] | None = None
    calibration_error: Annotated[Number, Field(gt=0, le=1)] | None = None
    slice_margin: Annotated[Number, Field(ge=0)] | None = None


class Evaluation(Strict):
    """How a candidate is judged. `metric`: of classes log_loss, of a number squared_error, unless
    the file says otherwise.
    """

    metric: Loss = "log_loss"
    holdout: Holdout = Field(default_factory=Holdout)
    rule: Literal["paired_bootstrap"] = "paired_bootstrap"
    confidence: Annotated[float, Field(ge=0.5, lt=1)] = 0.95
    slices: Annotated[tuple[Name, ...], Field(strict=False, max_length=20)] = ()  # features
    limits: Limits = Field(default_factory=Limits)


class Release(Strict):
    """Who says yes, until when a person may, and whether the first release goes on being scored
    beside the live one.
    """

    mode: Literal["auto", "approve"] = "auto"
    expiry: Duration = duration_us("1d")  # of a version that waits to be approved, wall time
    baseline: Literal["first", "none"] = "first"


# River's own names: another one would only be refused by the monitor, which must not end by a file
DETECTOR_PARAMS: Mapping[str, frozenset[str]] = {
    "PageHinkley": frozenset({"min_instances", "delta", "threshold", "alpha", "mode"}),
    "ADWIN": frozenset({"delta", "clock", "max_buckets", "min_window_length", "grace_period"}),
}


class DetectorSpec(Strict):
    """A detector of river, by name, over closed buckets of one lane."""

    kind: Literal["PageHinkley", "ADWIN"] = "PageHinkley"
    lane: Literal["realised"] = "realised"
    on: Loss = "log_loss"  # of a number squared_error
    params: dict[str, Scalar] = Field(default_factory=dict)

    @field_validator("params")
    @classmethod
    def _known(cls, params: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        known = DETECTOR_PARAMS.get(info.data.get("kind", ""), frozenset(params))
        for name, value in params.items():
            if name not in known:
                raise wrong(name, f"one of {', '.join(sorted(known))}")
            if name == "mode" and value not in ("up", "down", "both"):
                raise wrong(value, "up, down or both for mode")
            if name != "mode" and (isinstance(value, bool) or not isinstance(value, int | float)):
                raise wrong(value, f"a number for {name}")
        return params


class Psi(Strict):
    """Population stability of each feature, for reading."""

    buckets: Annotated[int, Field(ge=2, le=10)] = 10


class Monitor(Strict):
    """Event-time buckets: how long, and how much later they close."""

    bucket: Duration = duration_us("6h")
    slack: Duration = duration_us("8h")
    detectors: Annotated[
        tuple[DetectorSpec, ...], Field(min_length=1, max_length=1, strict=False)
    ] = (DetectorSpec(),)  # one until the monitor combines several
    psi: Psi = Field(default_factory=Psi)


class Retrain(Strict):
    """When to train: the first time after `first` of event time, then as `on` says."""

    first: Duration = duration_us("28d")
    rows_min: Annotated[int, Field(ge=100)] = 2_000
    on: Annotated[
        tuple[Literal["drift", "schedule", "volume", "manual"], ...], Field(strict=False)
    ] = ("drift", "manual")
    every: Duration | None = None
    volume: Annotated[int, Field(ge=100)] | None = None
    cooldown: Duration = duration_us("1d")
    deadline: Duration = duration_us("15m")


class Pipeline(Strict):
    """One pipeline file."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,40}$")]
    version: Annotated[int, Field(ge=1)] | None = None
    owner: Text = ""
    description: Text = ""
    partitions: Annotated[int, Field(ge=1, le=64)] = 1
    sources: Annotated[tuple[Source, ...], Field(min_length=1, max_length=64, strict=False)]
    entities: dict[
        str, Annotated[tuple[str, ...], OneOrMore, Field(min_length=1, max_length=8, strict=False)]
    ] = Field(default_factory=dict)
    features: Annotated[tuple[Feature, ...], Field(min_length=1, max_length=2_000, strict=False)]
    target: Target
    learners: Annotated[tuple[Learner, ...], Field(min_length=1, max_length=32, strict=False)]
    evaluation: Evaluation = Field(default_factory=Evaluation)
    release: Release = Field(default_factory=Release)
    monitor: Monitor = Field(default_factory=Monitor)
    retrain: Retrain = Field(default_factory=Retrain)

    @model_validator(mode="before")
    @classmethod
    def _by_kind(cls, data: Any) -> Any:
        """What is measured follows the target's kind where the file doesn't say it."""
        return with_losses(data)

    @property
    def lines(self) -> tuple[Learner, ...]:
        """The online learners."""
        return tuple(learner for learner in self.learners if learner.snapshot is not None)

    @property
    def windowed(self) -> tuple[Learner, ...]:
        """Those that are fitted on a window at each retrain."""
        return tuple(learner for learner in self.learners if learner.snapshot is None)

    @property
    def predict(self) -> Source:
        """The one source whose rows are scored."""
        return next(source for source in self.sources if "predict" in source.roles)

    def source(self, topic: str) -> Source:
        """The source of that topic. KeyError: there is none."""
        for source in self.sources:
            if source.topic == topic:
                return source
        raise KeyError(topic)

    def feature_names(self) -> list[str]:
        """The vector's columns, in order: all features that are not hidden."""
        return [feature.name for feature in self.features if not feature.hidden]

    def field_types(self) -> dict[str, str]:
        """Every distinct field of all sources, in order of appearance; `?` where any source may
        lack it.
        """
        types: dict[str, str] = {}
        for source in self.sources:
            for name, kind in source.fields.items():
                known = types.get(name, kind)
                types[name] = known if known.endswith("?") or not kind.endswith("?") else kind
        return types

    def record_columns(self) -> dict[str, str]:
        """The Arrow types of `records` envelopes, in order. A field named `time` is the event time,
        `_time`.
        """
        fields = {
            name: arrow_of(kind) for name, kind in self.field_types().items() if name != "time"
        }
        return {**HEAD_COLUMNS, **fields}

    def digest(self) -> str:
        """sha256 of the whole declaration, hex; spelling and comments do not count."""
        return _sha256(self.model_dump(mode="json", by_alias=True))

    def generation_digest(self) -> str:
        """sha256 of what a generation fixes: sources, entities, features, target (its threshold
        apart), partitions.
        """
        whole = self.model_dump(mode="json", by_alias=True)
        parts = {
            key: whole[key] for key in ("sources", "entities", "features", "target", "partitions")
        }
        parts["target"] = {
            key: value for key, value in parts["target"].items() if key != "threshold"
        }
        return _sha256(parts)


def _sha256(value: object) -> str:
    # Keys stay in the model's order; within `schema` the file's order counts, since fields are
    # columns.
    text = json.dumps(value, sort_keys=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
