"""The report's arithmetic on small made logs."""

from __future__ import annotations

import polars as pl
import pytest

from driftloop.contracts.model_pb2 import (
    Candidate,
    ModelEvaluated,
    ModelReleased,
    ModelTrained,
    RunFinished,
    Window,
)
from driftloop.contracts.retrain_pb2 import (
    DriftDetected,
    Evidence,
    RetrainRequested,
    RetrainResolved,
    ServingAcknowledged,
)
from infra.demo import figures, report
from infra.demo.page import page
from infra.demo.read import Said

HOUR = 3_600_000_000


def predictions() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "event_id": ["a", "b", "c", "d", "d"],
            "time_us": [1, 2, 3, 4, 4],
            "source_ms": [10, 20, 30, 40, 40],
            "version": [0, 1, 1, 2, 2],
            "loop": [float("nan"), 0.2, 0.8, 0.4, 0.4],
            "frozen": [float("nan"), 0.2, 0.8, 0.9, 0.9],
        }
    )


def examples() -> pl.DataFrame:
    return pl.DataFrame({"event_id": ["a", "b", "d"], "target": [1.0, 0.0, 1.0]})


def test_each_scheduled_row_is_accounted_for() -> None:
    told = figures.records(
        12, pl.Series(["a", "b", "c", "d", "e"]), predictions(), examples(), {"not_json": 2}
    )
    assert told == {
        "produced": 12,
        "distinct": 5,
        "predicted": 4,
        "scored": 3,
        "unlabelled": 1,
        "no_model": 1,
        "missing": 1,
        "doubled": 1,
        "dead": 2,
    }


def test_an_answer_to_what_was_never_scheduled_makes_up_for_no_missing_one() -> None:
    told = figures.records(
        4, pl.Series(["a", "b", "c", "e"]), predictions().head(4), examples(), {}
    )
    assert (told["distinct"], told["predicted"], told["missing"]) == (4, 4, 1)
    assert not report.whole({"records": told})


def test_a_row_too_many_is_not_accounted_for() -> None:
    told = figures.records(3, pl.Series(["a", "b", "c"]), predictions().head(4), examples(), {})
    assert (told["predicted"], told["missing"], told["doubled"]) == (4, 0, 0)
    assert not report.whole({"records": told})


def test_scores_are_taken_over_the_same_rows_for_loop_and_frozen() -> None:
    rows = figures.scored_rows(predictions(), examples())
    assert rows["event_id"].to_list() == ["b", "d", "d"]
    assert figures.quality(rows, "loop")["auc"] == 1.0
    assert (
        figures.quality(rows.head(1), "loop")["auc"] != figures.quality(rows.head(1), "loop")["auc"]
    )  # NaN


def test_a_released_drift_run_has_all_its_stages() -> None:
    [run] = figures.runs(a_log(), partitions=2)
    assert run["stages_s"] == pytest.approx(
        {"detect": 0.1, "decide": 0.2, "train": 2.0, "evaluate": 1.0, "release": 0.5, "swap": 0.3}
    )
    assert (run["outcome"], run["version"], run["trigger"], run["rows"]) == (
        "released",
        2,
        "drift",
        900,
    )
    assert figures.drift_to_redeployed([run]) == {"p50": 4.0, "p95": 4.0}


def test_the_swap_is_over_when_the_last_partition_answers() -> None:
    log = a_log()
    [run] = figures.runs(log, partitions=3)
    assert "swap" not in run["stages_s"]


def test_a_run_that_nothing_came_of_yet_is_open_and_counts_in_no_percentile() -> None:
    log = a_log()
    bare = figures.Log(log.drifts, log.requests, log.resolved, [], [], [], [], [])
    [run] = figures.runs(bare, partitions=2)
    assert run["outcome"] == "open"
    assert figures.drift_to_redeployed([run]) == {"p50": None, "p95": None}


def test_going_live_is_measured_from_the_evidence_to_the_first_answer_in_event_time() -> None:
    rows = predictions().with_columns(pl.col("time_us") * HOUR)
    run = {"outcome": "released", "version": 2, "evidence_to_us": HOUR}
    assert figures.go_live_delay([run], rows)["p50"] == 3.0


def test_latency_is_from_append_to_append() -> None:
    scores = pl.DataFrame({"event_id": ["a", "b"], "scored_ms": [15, 35]})
    assert figures.latency(predictions().unique("event_id"), scores)["p50"] == 10.0


def test_the_page_shows_the_figures_and_asks_no_outside_host() -> None:
    [run] = figures.runs(a_log(), partitions=2)
    report = {
        "days": 365,
        "wall_s": 290.0,
        "records": {"distinct": 336_776},
        "runs": [run],
        "cpu_s": {"kafka": 9.5},
        "rss_mb": {"kafka": 400.0},
        "latency_ms": {"p50": 54.0, "p99": 90.0},
        "drift_to_redeployed_s": {"p50": 4.0, "p95": 5.0},
        "go_live_delay_event_h": {"p50": 1.0, "p95": 2.0},
        "scores": {
            "loop": {"auc": 0.79, "log_loss": 0.43},
            "frozen": {"auc": 0.77, "log_loss": 0.45},
            "weekly": [
                {
                    "week": week,
                    "loop_auc": 0.8,
                    "frozen_auc": 0.7,
                    "loop_log_loss": 0.4,
                    "frozen_log_loss": 0.5,
                    "rows": 900,
                }
                for week in (4, 5)
            ],
        },
    }
    html = page(report, ["the <loop> won"])
    assert "the &lt;loop&gt; won" in html
    assert "336,776" in html
    assert "http" not in html.replace("http-equiv", "")


def a_log() -> figures.Log:
    drift = DriftDetected(pipeline="p", evidence=Evidence(newest_row_ms=900, to_us=7))
    request = RetrainRequested(
        pipeline="p", trigger="drift", drift_id="drift-1", evidence=Evidence(to_us=7)
    )
    trained = ModelTrained(run_id="run-1", candidates=[Candidate(window=Window(rows=900))])
    return figures.Log(
        [Said("drift-1", 1_000, drift)],
        [Said("request-1", 1_200, request)],
        [
            Said(
                "r",
                1_250,
                RetrainResolved(
                    request_id="request-1", run_id="run-1", outcome="accepted", trigger="drift"
                ),
            )
        ],
        [Said("t", 3_200, trained)],
        [Said("e", 4_200, ModelEvaluated(run_id="run-1"))],
        [Said("m", 4_700, ModelReleased(run_id="run-1", version=2))],
        [Said("f", 4_700, RunFinished(run_id="run-1", outcome="released", version=2))],
        [
            Said("1", 4_800, ServingAcknowledged(version=2, partitions=[0])),
            Said("2", 5_000, ServingAcknowledged(version=2, partitions=[1])),
        ],
    )
