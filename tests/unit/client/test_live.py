"""The live view's state: AUC and log-loss from histograms, and what came of the last drift."""

from __future__ import annotations

import numpy as np
import pytest

from driftloop.client.live import LiveState
from driftloop.contracts.model_pb2 import ModelReleased, RunFinished
from driftloop.contracts.pulse_pb2 import Live
from driftloop.contracts.retrain_pb2 import RetrainRequested, RetrainResolved, Statistics
from driftloop.statistics import PROBABILITY_BINS as POSITIVE
from tests.unit.client.world import DAY_US, T, a_drift


def pairs(*counts: tuple[int, int]) -> bytes:
    return np.array(counts, "<i4").tobytes()


def a_bucket(
    day: int, scores: bytes, loss: float, rows: int, frozen: bytes = b"", frozen_loss: float = 0.0
) -> Statistics:
    return Statistics(
        pipeline="small",
        start_us=T + day * DAY_US,
        end_us=T + (day + 1) * DAY_US,
        version=1,
        scored=rows,
        predicted=rows,
        loss_sum=loss,
        baseline_loss_sum=frozen_loss,
        score_histogram=scores,
        baseline_histogram=frozen,
    )


def test_quality_is_over_all_and_over_the_last_week() -> None:
    state = LiveState("small")
    good, bad = (
        pairs((100, 5), (POSITIVE + 900, 5)),
        pairs((900, 5), (POSITIVE + 100, 5)),
    )
    state.on_statistics(a_bucket(0, bad, 9.0, 10, bad, 9.0))
    state.on_statistics(a_bucket(20, good, 1.0, 10, bad, 8.0))

    shown = state.snapshot()

    assert (shown.loop.rows, shown.loop.auc, shown.loop.log_loss) == (20, 0.5, 0.5)
    assert (shown.loop_lately.auc, shown.frozen_lately.auc) == (1.0, 0.0)
    assert shown.frozen.log_loss == pytest.approx(0.85)
    assert shown.event_time == "2013-04-22T00:00:00Z"


def test_a_bucket_without_scored_rows_counts_for_time_alone() -> None:
    state = LiveState("small")
    state.on_statistics(a_bucket(3, b"", 0.0, 0))

    assert state.snapshot().loop.auc is None
    assert state.snapshot().event_time == "2013-04-05T00:00:00Z"


def test_what_came_of_a_drift_is_followed_to_its_end() -> None:
    state = LiveState("small")
    outcomes = []

    def note() -> None:
        drift = state.snapshot().drift
        outcomes.append(drift.outcome if drift else "none")

    note()
    state.on_drift("drift-1", a_drift())
    note()
    state.on_requested("request-1", RetrainRequested(drift_id="drift-1"))
    note()
    state.on_resolved(RetrainResolved(request_id="request-1", outcome="accepted", run_id="run-1"))
    note()
    state.on_finished(RunFinished(run_id="run-1", outcome="rejected", reason="gain 0.001"))
    note()

    assert outcomes == [
        "none",
        "no retrain asked for yet",
        "retrain asked for",
        "run-1 under way",
        "rejected (gain 0.001)",
    ]


def test_a_coalesced_request_names_its_run() -> None:
    state = LiveState("small")
    state.on_drift("drift-1", a_drift())
    state.on_requested("request-1", RetrainRequested(drift_id="drift-1"))
    state.on_resolved(
        RetrainResolved(
            request_id="request-1", outcome="coalesced", run_id="run-7", reason="one runs"
        )
    )

    drift = state.snapshot().drift

    assert drift is not None
    assert drift.outcome == "coalesced into run-7 (one runs)"


def test_trouble_is_said_once_and_the_newest_lines_are_kept() -> None:
    state = LiveState("small")
    for number in range(9):
        state.on_live(Live(pipeline="small", trouble={"serving": f"away {number}"}))
        state.on_live(Live(pipeline="small", trouble={"serving": f"away {number}"}))

    assert state.snapshot().trouble == tuple(f"serving: away {number}" for number in range(4, 9))


def test_the_newest_release_is_the_models_version() -> None:
    state = LiveState("small")
    state.on_released(ModelReleased(version=1))
    state.on_released(ModelReleased(version=4))

    assert (state.snapshot().model_version, state.snapshot().releases) == (4, 2)
