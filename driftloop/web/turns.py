"""The loop's turns as the page tells them: drifts, triggers with what came of them, releases as
bands, and one run in full.

Pure: facts of `control` in, plain values out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from driftloop.client.plain import Plain, plain
from driftloop.client.story import Step, timeline
from driftloop.contracts.model_pb2 import Candidate, Metrics, ModelEvaluated, ModelReleased, Verdict
from driftloop.contracts.retrain_pb2 import DriftDetected, RetrainRequested
from driftloop.kit.errors import Refused
from driftloop.kit.events import Event
from driftloop.web.control import Control

STAGES = ("detect", "decide", "train", "evaluate", "release", "swap")
UNDER_WAY, UNANSWERED = "under way", "unanswered"
FirstAnswered = Callable[[int, int, int], int | None]  # version, from µs, after ms → µs


def bands(told: Control, first_answered: FirstAnswered) -> list[Plain]:
    """A band a release: from the first bucket that it answered to the next one's. None: not yet."""
    found: list[Plain] = []
    from_us = 0
    for event in told.releases:
        message = event.message
        start_us = first_answered(message.version, from_us, event.time_ms)
        from_us = start_us or from_us
        if found:
            found[-1] |= {"to_us": start_us, "to_ms": event.time_ms}
        found.append(
            {
                "version": message.version,
                "from_us": start_us,
                "to_us": None,
                "from_ms": event.time_ms,
                "to_ms": None,
                "run_id": message.run_id,
                "cause": message.cause,
                "by": message.by,
                "reason": message.reason,
            }
        )
    return found


def drifts(told: Control) -> list[Plain]:
    """Every detection, and where it led."""
    by_drift = {e.message.drift_id: e for e in told.requests.values() if e.message.drift_id}
    return [_drift(event, by_drift.get(event.id), told) for event in told.drifts.values()]


def triggers(told: Control) -> list[Plain]:
    """Every request for a retrain with its outcome."""
    return [_trigger(event, told) for event in told.requests.values()]


def outcomes(told: Control) -> dict[str, int]:
    """How runs ended."""
    return dict(sorted(Counter(e.message.outcome for e in told.finished.values()).items()))


def run(told: Control, run_id: str) -> Plain:
    """One run in full. Refused: there is none of that name."""
    if run_id not in told.opened and run_id not in told.finished:
        raise Refused(f"no run {run_id}", status="NOT_FOUND")
    opened, finished = told.opened.get(run_id), told.finished.get(run_id)
    trained, evaluated = told.trained.get(run_id), told.evaluated.get(run_id)
    request = told.requests.get(opened.request_id) if opened else None
    judged = evaluated.message if evaluated else None
    return {
        "run_id": run_id,
        "trigger": opened.trigger if opened else "",
        "reason": request.message.reason if request else opened.reason if opened else "",
        "outcome": finished.message.outcome if finished else UNDER_WAY,
        "outcome_reason": finished.message.reason if finished else "",
        "version": (finished.message.version or None) if finished else None,
        "evidence": _evidence(request),
        "request": _request(request),
        "candidates": [_candidate(e) for e in trained.message.candidates] if trained else [],
        "verdicts": [_verdict(each) for each in judged.verdicts] if judged else [],
        "champion": _champion(judged),
        "rule": judged.rule if judged else "",
        "holdout": _holdout(judged),
        "winner": judged.winner if judged else "",
        "stages": stages(told, run_id),
        "steps": [_step(each) for each in _steps(told, run_id, request)],
    }


def stages(told: Control, run_id: str) -> dict[str, float | None]:
    """Seconds by stage, as differences of append times; None where its end did not come."""
    opened = told.opened.get(run_id)
    request = told.requests.get(opened.request_id) if opened else None
    drift = told.drifts.get(request.message.drift_id) if request else None
    released = _released(told, run_id)
    marks = [
        drift.message.evidence.newest_row_ms if drift else 0,
        *(
            event.time_ms if event else 0
            for event in (
                drift,
                request,
                told.trained.get(run_id),
                told.evaluated.get(run_id),
                released,
            )
        ),
        _swapped_ms(told, released),
    ]
    return {
        stage: (end - start) / 1_000 if start and end else None
        for stage, start, end in zip(STAGES, marks, marks[1:], strict=False)
    }


def _drift(
    event: Event[DriftDetected], request: Event[RetrainRequested] | None, told: Control
) -> Plain:
    evidence = event.message.evidence
    outcome, _, run_id = _came_of(request, told) if request else (UNANSWERED, "", "")
    return {
        "id": event.id,
        "from_us": evidence.from_us,
        "to_us": evidence.to_us,
        "at_ms": event.time_ms,
        "lane": evidence.lane,
        "detector": evidence.detector,
        "statistic": evidence.statistic,
        "value": evidence.value,
        "reference": evidence.reference,
        "threshold": evidence.threshold,
        "score": evidence.score,
        "rows": evidence.rows,
        "model_version": evidence.model_version,
        "request_id": request.id if request else "",
        "run_id": run_id,
        "outcome": outcome,
    }


def _trigger(event: Event[RetrainRequested], told: Control) -> Plain:
    message = event.message
    outcome, why, run_id = _came_of(event, told)
    finished = told.finished.get(run_id) if outcome == "released" else None
    return {
        "id": event.id,
        "trigger": message.trigger or "manual",
        "at_us": message.evidence.to_us or message.window.end_us or None,
        "at_ms": event.time_ms,
        "outcome": outcome,
        "reason": message.reason,
        "outcome_reason": why,
        "run_id": run_id,
        "drift_id": message.drift_id,
        "version": finished.message.version if finished else None,
    }


def _came_of(request: Event[RetrainRequested], told: Control) -> tuple[str, str, str]:
    """Outcome, its reason and the run: of the run where there is one of its own."""
    answer = told.resolved.get(request.id)
    if answer is None:
        return UNANSWERED, "", ""
    message = answer.message
    if message.outcome != "accepted":
        return message.outcome, message.reason, message.run_id
    finished = told.finished.get(message.run_id)
    if finished is None:
        return UNDER_WAY, "", message.run_id
    return finished.message.outcome, finished.message.reason, message.run_id


def _released(told: Control, run_id: str) -> Event[ModelReleased] | None:
    return next(
        (e for e in told.releases if e.message.run_id == run_id and e.message.cause == "release"),
        None,
    )


def _swapped_ms(told: Control, released: Event[ModelReleased] | None) -> int:
    """When the last of the partitions was answered by the released version; 0: never."""
    if released is None or told.pipeline is None:
        return 0
    missing = set(range(told.pipeline.partitions))
    for each in told.acknowledged:
        if each.time_ms >= released.time_ms and each.message.version == released.message.version:
            missing -= set(each.message.partitions)
            if not missing:
                return each.time_ms
    return 0


def _evidence(request: Event[RetrainRequested] | None) -> Plain | None:
    if request is None or not request.message.HasField("evidence"):
        return None
    known = plain(request.message.evidence)
    known.pop("window")
    return known


def _request(request: Event[RetrainRequested] | None) -> Plain | None:
    if request is None:
        return None
    message = request.message
    return {
        "id": request.id,
        "at_ms": request.time_ms,
        "by": message.by,
        "reason": message.reason,
        "drift_id": message.drift_id,
        "to_us": message.evidence.to_us or message.window.end_us or None,
    }


def _candidate(candidate: Candidate) -> Plain:
    window = candidate.window
    return {
        "name": candidate.name,
        "kind": candidate.kind,
        "digest": candidate.digest,
        "rows": window.rows,
        "from_us": window.start_us or None,
        "to_us": window.end_us or None,
        "fit_s": candidate.fit_s,
        "export_s": candidate.export_s,
        "parity_max": candidate.parity_max,
        "params": plain(candidate)["params"] or {},
        "error": candidate.error,
    }


def _verdict(verdict: Verdict) -> Plain:
    return {
        "name": verdict.name,
        "metrics": metrics(verdict.metrics),
        "gain": verdict.gain,
        "gain_low": verdict.gain_low,
        "p_value": verdict.p_value,
        "eligible": verdict.eligible,
        "reason": verdict.reason,
    }


def _champion(judged: ModelEvaluated | None) -> Plain | None:
    if judged is None or not judged.champion_version:
        return None
    return {"version": judged.champion_version, "metrics": metrics(judged.champion)}


def _holdout(judged: ModelEvaluated | None) -> Plain | None:
    if judged is None:
        return None
    window = judged.holdout
    return {
        "rows": window.rows,
        "from_us": window.start_us or None,
        "to_us": window.end_us or None,
    }


def metrics(message: Metrics) -> Plain:
    """Those that are known."""
    return {name: value for name, value in plain(message).items() if value not in (None, [], {})}


def _steps(told: Control, run_id: str, request: Event[RetrainRequested] | None) -> Sequence[Step]:
    thread = request.id if request else run_id
    return [
        step
        for step in timeline(list(told.events()))
        if step.run_id == run_id or step.thread == thread
    ]


def _step(step: Step) -> dict[str, Any]:
    return {
        "at_ms": step.at_ms,
        "kind": step.kind,
        "says": step.says,
        "details": list(step.details),
    }
