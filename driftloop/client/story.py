"""Why a pipeline did or did not retrain: its control events as one timeline, with the evidence and
the gate's numbers.

Pure: events in, steps out. What came of what is told by ids, never by nearness in time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from driftloop.client.plain import iso
from driftloop.contracts import topics
from driftloop.contracts.model_pb2 import (
    Candidate,
    Metrics,
    ModelEvaluated,
    ModelReleased,
    ModelTrained,
    RunFinished,
    Verdict,
)
from driftloop.contracts.retrain_pb2 import (
    DriftDetected,
    Evidence,
    RetrainRequested,
    RetrainResolved,
    ServingAcknowledged,
)
from driftloop.kit.events import Event
from driftloop.kit.topic import ControlTopic

TOLD: tuple[ControlTopic[Any], ...] = (  # what a timeline is made of, beside the releases
    topics.DRIFT_DETECTED,
    topics.RETRAIN_REQUESTED,
    topics.RETRAIN_RESOLVED,
    topics.MODEL_TRAINED,
    topics.MODEL_EVALUATED,
    topics.RUN_FINISHED,
    topics.SERVING_ACKNOWLEDGED,
)
Numbers = Mapping[str, float | int | str]


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened. `thread` ties the steps of one cause together: the request's id."""

    at_ms: int
    kind: str
    says: str
    thread: str
    run_id: str = ""
    event_time: str = ""  # ISO 8601; where the step speaks of a span of event time, its end
    numbers: Numbers = field(default_factory=dict)
    details: Sequence[str] = ()
    event_id: str = ""


def timeline(events: Sequence[Event[Any]]) -> list[Step]:
    """Steps in the order in which they were written. `events`: of the control topics, of one
    pipeline, in any order.
    """
    threads = _threads(events)
    steps = [
        replace(_TELLERS[type(event.message)](event, threads), event_id=event.id)
        for event in events
        if type(event.message) in _TELLERS
    ]
    return sorted(steps, key=lambda step: (step.at_ms, _ORDER.get(step.kind, 0)))


@dataclass(frozen=True, slots=True)
class _Threads:
    """Ids of requests by what they are known under elsewhere."""

    by_drift: Mapping[str, str]
    by_run: Mapping[str, str]


def _threads(events: Sequence[Event[Any]]) -> _Threads:
    by_drift = {
        e.message.drift_id: e.id
        for e in events
        if isinstance(e.message, RetrainRequested) and e.message.drift_id
    }
    by_run = {
        e.message.run_id: e.message.request_id
        for e in events
        if isinstance(e.message, RetrainResolved) and e.message.outcome == "accepted"
    }
    return _Threads(by_drift, by_run)


def _drift(event: Event[DriftDetected], threads: _Threads) -> Step:
    evidence = event.message.evidence
    return Step(
        event.time_ms,
        "drift",
        evidence_says(evidence),
        threads.by_drift.get(event.id, event.id),
        event_time=iso(evidence.to_us),
        numbers=_evidence_numbers(evidence),
    )


def _requested(event: Event[RetrainRequested], threads: _Threads) -> Step:
    message = event.message
    says = (
        "retrain asked for: "
        f"{message.trigger or 'manual'}{_because(message.reason)}{_by(message.by)}"
    )
    return Step(
        event.time_ms,
        "requested",
        says,
        event.id,
        event_time=iso(message.evidence.to_us),
        numbers={"labelled_rows": message.window.rows} if message.window.rows else {},
    )


def _resolved(event: Event[RetrainResolved], threads: _Threads) -> Step:
    message = event.message
    into = f" into {message.run_id}" if message.outcome == "coalesced" else ""
    says = f"{message.outcome}{into}{_because(message.reason)}"
    return Step(
        event.time_ms,
        message.outcome or "resolved",
        says,
        message.request_id,
        run_id=message.run_id,
    )


def _trained(event: Event[ModelTrained], threads: _Threads) -> Step:
    message = event.message
    fitted = [candidate for candidate in message.candidates if candidate.digest]
    says = (
        f"{len(fitted)} of {len(message.candidates)} candidates fitted"
        if message.outcome == "trained"
        else f"training {message.outcome}{_because(message.reason)}"
    )
    details = [candidate_says(candidate) for candidate in message.candidates]
    return Step(
        event.time_ms,
        "trained",
        says,
        threads.by_run.get(message.run_id, message.run_id),
        message.run_id,
        iso(message.holdout.end_us),
        {"holdout_rows": message.holdout.rows},
        details,
    )


def _evaluated(event: Event[ModelEvaluated], threads: _Threads) -> Step:
    message = event.message
    opponent = (
        f"version {message.champion_version}" if message.champion_version else "the base rate"
    )
    says = (
        f"judged against {opponent}: {message.outcome}"
        f"{f', {message.winner} wins' if message.winner else ''}{_because(message.reason)}"
    )
    details = [f"rule: {message.rule}"] if message.rule else []
    if message.HasField("champion"):
        details.append(f"champion: {metrics_say(message.champion)}")
    details += [verdict_says(verdict) for verdict in message.verdicts]
    return Step(
        event.time_ms,
        "judged",
        says,
        threads.by_run.get(message.run_id, message.run_id),
        message.run_id,
        iso(message.holdout.end_us),
        _gate_numbers(message),
        details,
    )


def _released(event: Event[ModelReleased], threads: _Threads) -> Step:
    message = event.message
    says = (
        f"version {message.version} released by "
        f"{message.by or message.cause}{_because(message.reason)}"
    )
    return Step(
        event.time_ms,
        "released",
        says,
        threads.by_run.get(message.run_id, message.run_id or event.id),
        message.run_id,
        numbers={"version": message.version, "previous_version": message.previous_version},
    )


def _finished(event: Event[RunFinished], threads: _Threads) -> Step:
    message = event.message
    version = f" as version {message.version}" if message.version else ""
    says = f"run ended: {message.outcome}{version}{_because(message.reason)}"
    return Step(
        event.time_ms,
        "finished",
        says,
        threads.by_run.get(message.run_id, message.run_id),
        message.run_id,
    )


def _swapped(event: Event[ServingAcknowledged], threads: _Threads) -> Step:
    message = event.message
    held = ", ".join(map(str, message.partitions))
    says = f"version {message.version} answers " + (f"partitions {held}" if held else "calls")
    return Step(
        event.time_ms,
        "swapped",
        f"{says} ({message.replica})",
        threads.by_run.get(message.run_id, message.run_id or event.id),
        message.run_id,
    )


def evidence_says(evidence: Evidence) -> str:
    """`realised log_loss 0.560 against 0.433 (PageHinkley, threshold 500) on 12,000 rows of version
    3`.
    """
    figure = f" at {evidence.score:.4g}" if evidence.score else ""
    return (
        f"{evidence.lane} {evidence.statistic} {evidence.value:.3f} against "
        f"{evidence.reference:.3f} "
        f"({evidence.detector}{figure}, threshold {evidence.threshold:.4g}) on {evidence.rows:,} "
        "rows "
        f"of version {evidence.model_version}"
    )


def candidate_says(candidate: Candidate) -> str:
    """`all (lightgbm): 152,004 rows to 2013-06-22T00:00:00Z, fitted in 1.3 s`, or why there is
    none.
    """
    window = candidate.window
    if candidate.line and not candidate.error:
        return f"{candidate.name} (line, {candidate.kind}): {candidate.rows_learnt:,} rows learnt"
    if candidate.cached_from and not candidate.error:
        made = f"{window.rows:,} rows to {iso(window.end_us)}, cached"
        return f"{candidate.name} ({candidate.kind}): {made}, fitted in {candidate.cached_from}"
    fitted = f"{window.rows:,} rows to {iso(window.end_us)}, fitted in {candidate.fit_s:.1f} s"
    return f"{candidate.name} ({candidate.kind}): {candidate.error or fitted}"


def verdict_says(verdict: Verdict) -> str:
    """One candidate's numbers in a line."""
    word = "eligible" if verdict.eligible else "not eligible"
    return (
        f"{verdict.name}: {metrics_say(verdict.metrics)}; gain {verdict.gain:+.4f}, at least "
        f"{verdict.gain_low:+.4f}, "
        f"p {verdict.p_value:.3f}: {word}{_because(verdict.reason)}"
    )


def metrics_say(metrics: Metrics) -> str:
    """The two that people compare, where they are known."""
    known = [
        f"{name} {getattr(metrics, field):.4f}"
        for name, field in (("AUC", "auc"), ("log-loss", "log_loss"))
        if metrics.HasField(field)
    ]
    return ", ".join([*known, f"{metrics.rows:,} rows"])


def _evidence_numbers(evidence: Evidence) -> Numbers:
    return {
        "value": evidence.value,
        "reference": evidence.reference,
        "score": evidence.score,
        "threshold": evidence.threshold,
        "rows": evidence.rows,
        "model_version": evidence.model_version,
    }


def _gate_numbers(message: ModelEvaluated) -> Numbers:
    numbers: dict[str, float | int | str] = {"holdout_rows": message.holdout.rows}
    for verdict in message.verdicts:
        numbers[f"{verdict.name}.gain"] = verdict.gain
        numbers[f"{verdict.name}.gain_low"] = verdict.gain_low
        numbers[f"{verdict.name}.p_value"] = verdict.p_value
    return numbers


def _because(reason: str) -> str:
    return f" ({reason})" if reason else ""


def _by(who: str) -> str:
    return f", by {who}" if who else ""


# Teller of each message; within one millisecond steps stand in the order of the loop.
_TELLERS: Mapping[type[Any], Callable[[Any, _Threads], Step]] = {
    DriftDetected: _drift,
    RetrainRequested: _requested,
    RetrainResolved: _resolved,
    ModelTrained: _trained,
    ModelEvaluated: _evaluated,
    ModelReleased: _released,
    RunFinished: _finished,
    ServingAcknowledged: _swapped,
}
_ORDER = {
    kind: at
    for at, kinds in enumerate(
        (
            ("drift",),
            ("requested",),
            ("suppressed", "refused", "coalesced", "accepted"),
            ("trained",),
            ("judged",),
            ("released",),
            ("finished",),
            ("swapped",),
        )
    )
    for kind in kinds
}
