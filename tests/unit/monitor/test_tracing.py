"""A turn's trace begins where its evidence does, and again the same after a crash."""

from __future__ import annotations

import pytest

from driftloop.kit.broker import Record
from driftloop.kit.task import Moment
from driftloop.kit.trace import NoTracer, Span
from services.monitor import tracing
from services.monitor.domain.drift import Raised
from services.monitor.domain.policy import Wish
from tests.support.traced import Kept

RAISED = Raised(0.6, 0.3, 1, 2, 500, newest_row_ms=900)
DRIFT = Wish("drift", "log_loss rose", 7, raised=RAISED, drift=True, version=3)


def bucket(appended_ms: int) -> Record:
    return Record("p.statistics", 0, 4, None, b"", (), appended_ms)


def turn(wish: Wish, cause: Record, at_ms: int = 1_500) -> dict[str, Span]:
    context = tracing.turn(Kept(), "request-p-g1-drift-7", cause)
    made = tracing.spans(context, wish, "request-p-g1-drift-7", "p", cause, Moment(at_ms))
    return {span.name: span for span in made}


def test_detect_is_from_the_newest_evidence_row_to_the_bucket_and_decide_follows() -> None:
    spans = turn(DRIFT, bucket(1_200))
    root, detect, decide = spans["turn"], spans["detect"], spans["decide"]
    assert (root.parent_id, root.start_ns, root.end_ns) == (b"", 900_000_000, 0)
    assert (detect.start_ns, detect.end_ns) == (900_000_000, 1_500_000_000)
    assert (decide.start_ns, decide.end_ns) == (0, 0), "from the batch to its commit"
    assert {detect.parent_id, decide.parent_id} == {root.span_id}
    assert detect.attributes["driftloop.value"] == 0.6


def test_the_same_decision_made_again_is_the_same_trace_and_that_of_another_log_is_not() -> None:
    assert turn(DRIFT, bucket(1_200)) == turn(DRIFT, bucket(1_200))
    assert (
        turn(DRIFT, bucket(1_200))["turn"].trace_id != turn(DRIFT, bucket(1_201))["turn"].trace_id
    )


@pytest.mark.parametrize("suppressed", ["", "a run is open"])
def test_without_a_drift_a_turn_begins_with_the_bucket(suppressed: str) -> None:
    spans = turn(Wish("schedule", "7 days since", 7, suppressed), bucket(1_200))
    assert set(spans) == {"turn", "decide"}
    assert spans["turn"].start_ns == 1_200_000_000
    assert spans["turn"].attributes.get("driftloop.suppressed", "") == suppressed


def test_with_tracing_off_there_is_a_context_for_the_logs_and_no_span() -> None:
    context = tracing.turn(NoTracer(), "request-1", bucket(1_200))
    assert not context.sampled
    assert tracing.spans(context, DRIFT, "request-1", "p", bucket(1_200), Moment(1_500)) == []
