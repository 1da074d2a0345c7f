"""Every figure on /metrics, declared once: a name, what it means, its unit, its labels, and which
services count it.

The attribute's name is the figure's, with `driftloop_` before it; units are seconds, bytes and
rows. Who counts writes `metrics.rows_in_total.labels(loop, pipeline).inc(20)`; the table in
infra/prometheus/README.md is made from here, and tests/contract/test_metrics.py wants each figure
counted by its owners and by no one else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Generic, TypeVar, overload

from driftloop.kit.metrics.cells import (
    PIPELINE,
    Cell,
    Counter,
    Family,
    Figure,
    Gauge,
    Histogram,
    Label,
    SharedCounter,
    SharedHistogram,
)

C = TypeVar("C", bound=Cell)
EVERY = ("ingestion", "features", "serving", "monitor", "training", "evaluation", "registry")

OF_PIPELINE = Label(PIPELINE, most=100)
LOOP = (Label("loop", most=20), OF_PIPELINE)
VERSION = Label("version", most=10, newest=True)
ORIGIN = Label("origin", values=("stream", "call"))
LANE = Label("lane", values=("loop", "frozen"))
STAGES = ("detect", "decide", "train", "evaluate", "release", "swap")
TRIGGERS = ("first", "drift", "schedule", "volume", "manual")
ANSWERS = ("accepted", "coalesced", "refused", "suppressed")
ENDS = ("released", "rejected", "failed", "cancelled", "timed_out")
BECAME = ("accepted", "duplicate", "late", "dead")
CODES = (
    *("OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND"),
    *("ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION"),
    *("ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"),
    "UNAUTHENTICATED",
)

BATCH_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
SCORE_S = (0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0, 60.0)
MODEL_S = (0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.2, 1.0)
CALL_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 60.0)
WORK_S = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0)
ROWS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)


class Declared(Generic[C]):
    """A row of the table; on a process's figures, the family in which it counts."""

    def __init__(self, figure: Figure, family: Callable[[Figure], Family[C]]) -> None:
        self.figure, self.family = figure, family

    def __set_name__(self, owner: type, name: str) -> None:
        self.figure = replace(self.figure, name=name)

    @overload
    def __get__(self, process: None, owner: type) -> Declared[C]: ...
    @overload
    def __get__(self, process: Figures, owner: type) -> Family[C]: ...
    def __get__(self, process: Figures | None, owner: type) -> Declared[C] | Family[C]:
        """Seldom called: a process's families stand in its own dictionary, and are found first."""
        return self if process is None else self.family(self.figure)


def _counter(
    text: str, unit: str, labels: Sequence[Label] = (), by: Sequence[str] = EVERY
) -> Declared[Counter]:
    figure = Figure("", "counter", text, unit, labels, by)
    return Declared(figure, lambda figure: Family(figure, Counter, SharedCounter))


def _gauge(
    text: str, unit: str, labels: Sequence[Label] = (), by: Sequence[str] = EVERY
) -> Declared[Gauge]:
    figure = Figure("", "gauge", text, unit, labels, by)
    return Declared(figure, lambda figure: Family(figure, Gauge, Gauge))


def _histogram(
    text: str,
    unit: str,
    buckets: Sequence[float],
    labels: Sequence[Label] = (),
    by: Sequence[str] = EVERY,
) -> Declared[Histogram]:
    figure = Figure("", "histogram", text, unit, labels, by, buckets)
    return Declared(figure, lambda figure: Family(figure, Histogram, SharedHistogram))


class Figures:
    """The table. An instance is one process's figures."""

    # Each loop of each service
    rows_in_total = _counter("Rows that a loop took.", "rows", LOOP)
    rows_out_total = _counter("Rows that a loop gave.", "rows", LOOP)
    batch_seconds = _histogram("A batch through its task.", "seconds", BATCH_S, LOOP)
    commit_seconds = _histogram("A transaction, begin to answer.", "seconds", BATCH_S, LOOP)
    lag_records = _gauge("Messages that a loop is behind its inputs' ends.", "messages", LOOP)
    commits_total = _counter("Transactions committed.", "transactions", LOOP)
    aborts_total = _counter("Transactions, or whole sessions, given up.", "transactions", LOOP)
    watermark_timestamp_seconds = _gauge(
        "Event time that a loop has reached, once it has.",
        "unix seconds",
        LOOP,
        ("ingestion", "features", "serving", "monitor"),
    )
    loop_running = _gauge("1: holds partitions and runs; else 0.", "1 or 0", LOOP)
    queue_rows = _gauge(
        "Rows, calls or runs that wait inside the process.",
        "rows",
        (*LOOP, Label("queue", most=10)),
        ("ingestion", "features", "serving", "monitor", "training", "evaluation"),
    )
    state_rows = _gauge(
        "Rows or keys that a loop remembers.", "rows", LOOP, ("ingestion", "features", "monitor")
    )
    state_bytes = _gauge(
        "Memory of what a loop remembers; numpy's arrays, and an estimate of the rest.",
        "bytes",
        LOOP,
        ("ingestion", "features", "monitor"),
    )

    # Ingestion
    records_total = _counter(
        "Source records by what became of them; a late one that is kept counts as accepted too.",
        "records",
        (OF_PIPELINE, Label("outcome", values=BECAME)),
        ("ingestion",),
    )
    dead_letters_total = _counter(
        "Source records that went to the dead letters, by the rule that they broke.",
        "records",
        (OF_PIPELINE, Label("rule", most=50)),
        ("ingestion",),
    )

    # Serving
    score_seconds = _histogram(
        "A row's way from its source's append to its score, commit excluded.",
        "seconds",
        SCORE_S,
        (OF_PIPELINE, VERSION),
        ("serving",),
    )
    predict_seconds = _histogram(
        "One run of the model, the baseline's included.",
        "seconds",
        MODEL_S,
        (OF_PIPELINE, VERSION, ORIGIN),
        ("serving",),
    )
    predict_rows = _histogram(
        "Rows of one run of the model.", "rows", ROWS, (OF_PIPELINE, VERSION, ORIGIN), ("serving",)
    )
    model_version = _gauge("The version that answers.", "version", (OF_PIPELINE,), ("serving",))
    model_released_timestamp_seconds = _gauge(
        "When the version that answers was released: its age is time() less this.",
        "unix seconds",
        (OF_PIPELINE,),
        ("serving",),
    )
    no_model_rows_total = _counter(
        "Rows that were answered NO_MODEL.", "rows", (OF_PIPELINE,), ("serving",)
    )
    calls_dropped_total = _counter(
        "Rows of calls that were answered and not written down.",
        "rows",
        (OF_PIPELINE,),
        ("serving",),
    )
    provider_info = _gauge(
        "1 for the provider of onnxruntime that models run on.",
        "1",
        (Label("provider", most=5),),
        ("serving",),
    )

    # Monitor: what is measured
    realised_loss = _gauge(
        "Mean loss of the newest 1,000 labelled rows; frozen: of the first release on the same.",
        "loss",
        (OF_PIPELINE, LANE),
        ("monitor",),
    )
    realised_auc = _gauge(
        "AUC of the same rows; NaN where it is not known.", "AUC", (OF_PIPELINE, LANE), ("monitor",)
    )
    realised_reference_loss = _gauge(
        "Mean loss that the detector compares with: of this version's rows, once it has spoken of "
        "those before the change.",
        "loss",
        (OF_PIPELINE,),
        ("monitor",),
    )
    label_coverage_ratio = _gauge(
        "Share of rows whose label came within its horizon, of the newest 1,000 or more whose "
        "fate is known.",
        "ratio",
        (OF_PIPELINE,),
        ("monitor",),
    )
    psi = _gauge(
        "Population stability index against the version's first rows; for reading.",
        "index",
        (OF_PIPELINE, Label("feature", most=200)),
        ("monitor",),
    )
    drifts_total = _counter(
        "Drifts that a detector spoke of.",
        "drifts",
        (OF_PIPELINE, Label("detector", most=10)),
        ("monitor",),
    )

    # Monitor: the turns of the loop, as the control topics tell them
    retrains_total = _counter(
        "Answers to requests for a retrain.",
        "requests",
        (
            OF_PIPELINE,
            Label("trigger", values=TRIGGERS),
            Label("outcome", values=ANSWERS),
        ),
        ("monitor",),
    )
    runs_total = _counter(
        "Runs that ended.", "runs", (OF_PIPELINE, Label("outcome", values=ENDS)), ("monitor",)
    )
    runs_open = _gauge("Runs that are under way.", "runs", (OF_PIPELINE,), ("monitor",))
    runs_rejected_in_a_row = _gauge(
        "Runs rejected by the gate since the last that was released.",
        "runs",
        (OF_PIPELINE,),
        ("monitor",),
    )
    stage_seconds = _histogram(
        "The stages of a turn that released a model, as differences of append times.",
        "seconds",
        WORK_S,
        (OF_PIPELINE, Label("stage", values=STAGES)),
        ("monitor",),
    )
    redeploy_seconds = _histogram(
        "From drift.detected until the last partition answers with the new model.",
        "seconds",
        WORK_S,
        (OF_PIPELINE,),
        ("monitor",),
    )

    # Training, evaluation, registry
    fit_seconds = _histogram(
        "A candidate's fit.",
        "seconds",
        WORK_S,
        (OF_PIPELINE, Label("learner", most=20)),
        ("training",),
    )
    fit_rows = _gauge(
        "Rows of the newest fit.", "rows", (OF_PIPELINE, Label("learner", most=20)), ("training",)
    )
    children = _gauge("Child processes at work.", "processes", (), ("training", "evaluation"))
    judge_seconds = _histogram(
        "A run's judgement, from the start of its child.",
        "seconds",
        WORK_S,
        (OF_PIPELINE,),
        ("evaluation",),
    )
    judged_rows = _gauge(
        "Held-out rows of the newest judgement.", "rows", (OF_PIPELINE,), ("evaluation",)
    )
    pipelines = _gauge("Declared pipelines.", "pipelines", (), ("registry",))
    models = _gauge("Versions of a pipeline's model.", "versions", (OF_PIPELINE,), ("registry",))
    artifact_bytes = _gauge("All artifacts that are kept.", "bytes", (), ("registry",))

    # Each process; the names of process_* are prometheus_client's
    rpc_seconds = _histogram(
        "A call that this server answered, by its status.",
        "seconds",
        CALL_S,
        (Label("method", most=50), Label("code", values=CODES)),
    )
    pulses_lost_total = _counter("Pulses that the broker didn't take.", "pulses")
    spans_total = _counter(
        "Spans for the OTLP receiver; none where tracing is off.",
        "spans",
        (Label("outcome", values=("sent", "failed", "dropped")),),
    )
    build_info = _gauge(
        "1; which build this process is.", "1", (Label("service", most=1), Label("version", most=1))
    )

    def __init__(self) -> None:
        self.families = {name: each.family(each.figure) for name, each in _table().items()}
        vars(self).update(self.families)


def declared() -> Sequence[Figure]:
    """The table, in its order."""
    return [each.figure for each in _table().values()]


def _table() -> dict[str, Declared[Cell]]:
    return {name: each for name, each in vars(Figures).items() if isinstance(each, Declared)}
