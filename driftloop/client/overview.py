"""Processes and pipelines as they are now: pure, from pulses and control events to plain values.

What is wrong with them says `driftloop.client.problems`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from driftloop.client.plain import Plain, iso
from driftloop.client.pulses import LATELY_MS, Pulses
from driftloop.contracts.model_pb2 import ModelReleased, PipelineDeclared, RunFinished
from driftloop.contracts.pulse_pb2 import LoopPulse
from driftloop.contracts.retrain_pb2 import (
    RetrainRequested,
    RetrainResolved,
    Statistics,
    TrainingProgress,
)
from driftloop.kit.events import Event

SERVICES = ("registry", "ingestion", "features", "serving", "monitor", "training", "evaluation")
BY_PIPELINE = ("ingestion", "features", "serving", "monitor")  # a loop for each pipeline
SILENT_MS = 10_000  # a process pulses every second; ten missed are no hiccup
GROWS_RECORDS_MIN = 500  # less is what lies between two transactions
GROWS_RATIO_MIN = 1.2  # over the pulses of the last minute
GROWS_SPAN_MS_MIN = 5_000
# what is told of a pipeline → the control events that it is told from
FROM: Mapping[str, Sequence[str]] = {
    "live": ("released",),
    "last_trigger": ("requested", "resolved", "finished"),
    "open_run": ("resolved", "finished"),
    "last_runs": ("finished",),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A question: what is told by its answer, the topic that has it, and of which pipeline."""

    what: str
    topic: str
    pipeline: str = ""


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """A source topic of a pipeline. `partitions` None: it isn't there; `newest_ms` 0: it is
    empty."""

    topic: str
    partitions: int | None
    newest_ms: int


@dataclass(frozen=True, slots=True)
class Facts:
    """All that was found out. `unread`: what was not, and why, in words."""

    now_ms: int  # by the broker's clock, as far as it is known
    pulses: Pulses = ()  # of the last minute, and some from before it; the oldest first
    declared: Sequence[PipelineDeclared] = ()
    released: Sequence[Event[ModelReleased]] = ()
    requested: Sequence[Event[RetrainRequested]] = ()
    resolved: Sequence[Event[RetrainResolved]] = ()
    finished: Sequence[Event[RunFinished]] = ()
    progress: Sequence[Event[TrainingProgress]] = ()
    statistics: Mapping[str, Sequence[Statistics]] = field(default_factory=dict)
    sources: Mapping[str, Sequence[SourceFacts]] = field(default_factory=dict)
    calls: Mapping[str, str] = field(default_factory=dict)  # service → "" or why it can't be asked
    unread: Mapping[Asked, str] = field(default_factory=dict)
    skew_ms: int = 0  # this machine's clock is so far ahead of the broker's; 0: it is right


def services(facts: Facts) -> list[Plain]:
    """The seven, and whoever else pulses, each with its replicas."""
    found = processes(facts)
    names = [*SERVICES, *sorted({p["service"] for p in found} - set(SERVICES))]
    return [_service(name, [p for p in found if p["service"] == name], facts) for name in names]


def processes(facts: Facts) -> list[Plain]:
    """Each replica that has pulsed: running, silent, or ended in good order."""
    history: dict[tuple[str, str], Pulses] = {}
    for event in facts.pulses:
        key = event.message.service, event.message.replica
        history[key] = [*history.get(key, ()), event]
    return [_process(history[key], facts.now_ms) for key in sorted(history)]


def pipelines(facts: Facts) -> list[Plain]:
    """The declared ones, with their model, their last trigger and their open run."""
    running = processes(facts)
    return [_pipeline(one, facts, running) for one in facts.declared]


def _service(name: str, replicas: Sequence[Plain], facts: Facts) -> Plain:
    live = [p for p in replicas if p["state"] == "running"]
    errors = [p for p in replicas if p["last_error"]]
    last = max(errors, key=lambda p: p["last_error_ms"], default=None)
    return {
        "service": name,
        "running": len(live),
        "replicas": list(replicas),
        "lag_records": sum(p["lag_records"] for p in live),
        "lag_grows": any(p["lag_grows"] for p in live),
        "rows_per_s": round(sum(p["rows_per_s"] for p in live), 1),
        "loops": _states(live),
        "last_error": last["last_error"] if last else "",
        "last_error_age_s": _age_s(last["last_error_ms"], facts.now_ms) if last else None,
        "answers": facts.calls.get(name),
    }


def _states(live: Sequence[Plain]) -> dict[str, int]:
    """State → how many loops."""
    found: dict[str, int] = {}
    for loop in (loop for p in live for loop in p["loops"]):
        found[loop["state"]] = found.get(loop["state"], 0) + 1
    return found


def of_last_minute(pulses: Pulses, now_ms: int) -> Pulses:
    """Those that tell how it is now; an older one only tells that somebody was there."""
    return [event for event in pulses if now_ms - event.time_ms <= LATELY_MS]


def _process(history: Pulses, now_ms: int) -> Plain:
    last, newest = history[-1], history[-1].message
    start = [e for e in history if e.message.started_ms == newest.started_ms]
    oldest = (of_last_minute(start, now_ms) or [last])[0]
    before = {loop.loop: loop for loop in oldest.message.loops}
    span_ms = newest.at_ms - oldest.message.at_ms
    loops = [_loop(loop, before.get(loop.loop, loop), span_ms) for loop in newest.loops]
    error = max(loops, key=lambda loop: loop["last_error_ms"], default=None)
    state = "silent" if now_ms - last.time_ms > SILENT_MS else "running"
    return {
        "service": newest.service,
        "replica": newest.replica,
        "state": "ended" if newest.ended else state,
        "version": newest.version,
        "at_ms": last.time_ms,
        "started_ms": newest.started_ms,
        "restarted": len(start) < len(history),
        "up_s": round((newest.at_ms - newest.started_ms) / 1_000, 1),
        "cpu_s": round(newest.cpu_s, 1),
        "rss_mb": round(newest.rss_mb),
        "lag_records": sum(loop["lag_records"] for loop in loops),
        "lag_grows": any(loop["lag_grows"] for loop in loops),
        "rows_per_s": round(sum(loop["rows_per_s"] for loop in loops), 1),
        "last_error": error["last_error"] if error else "",
        "last_error_ms": error["last_error_ms"] if error else 0,
        "loops": loops,
    }


def _loop(loop: LoopPulse, before: LoopPulse, span_ms: int) -> Plain:
    rows = max(0, loop.rows_in - before.rows_in)
    return {
        "loop": loop.loop,
        "pipeline": loop.pipeline,
        "state": loop.state,
        "rows_in": loop.rows_in,
        "rows_out": loop.rows_out,
        "rows_per_s": round(rows / span_ms * 1_000, 1) if span_ms > 0 else 0.0,
        "lag_records": loop.lag_records,
        "lag_grows": span_ms >= GROWS_SPAN_MS_MIN
        and loop.lag_records >= GROWS_RECORDS_MIN
        and loop.lag_records > GROWS_RATIO_MIN * before.lag_records,
        "watermark": iso(loop.watermark_us),
        "model_version": loop.model_version,
        "error": loop.error,
        "last_error": loop.last_error or loop.error,
        "last_error_ms": loop.last_error_ms,
    }


def _pipeline(declared: PipelineDeclared, facts: Facts, running: Sequence[Plain]) -> Plain:
    name, unknown = declared.name, _unknown(facts)
    live = _live(name, facts.released)
    loops = [
        {**loop, "service": p["service"]}
        for p in running
        for loop in p["loops"]
        if p["state"] == "running" and loop["pipeline"] == name
    ]
    runs = _runs(name, facts)
    statistics = facts.statistics.get(name, ())
    return {
        "name": name,
        "declaration": declared.version,
        "generation": declared.generation,
        "declared_ms": declared.at_ms,
        "model": "unknown" if "live" in unknown else _model(name, live),
        "live": live,
        "last_trigger": _last_trigger(name, facts),
        "open_run": runs["open"],
        "last_runs": runs["ended"],
        **dict.fromkeys(unknown),
        "unknown": unknown,
        "event_time": _event_time(loops, statistics),
        "label_coverage": _coverage(statistics),
        "lag_records": sum(loop["lag_records"] for loop in loops),
        "lag_grows": any(loop["lag_grows"] for loop in loops),
        "sources": [_source(one, facts.now_ms) for one in facts.sources.get(name, ())],
        "loops": loops,
        "trouble": [
            f"{loop['service']}: {loop['error'] or loop['state']}"
            for loop in loops
            if loop["state"] in ("failed", "crashed")
        ],
    }


def _model(name: str, live: Plain | None) -> str:
    return f"{name}@{live['version']}" if live else "none yet"


def _unknown(facts: Facts) -> list[str]:
    """Which of a pipeline's fields can't be told."""
    unread = {asked.what for asked in facts.unread}
    return [name for name, kinds in FROM.items() if unread.intersection(kinds)]


def _live(name: str, released: Sequence[Event[ModelReleased]]) -> Plain | None:
    found = [event for event in released if event.message.pipeline == name]
    if not found:
        return None
    message = found[-1].message
    return {
        "version": message.version,
        "since_ms": message.at_ms or found[-1].time_ms,
        "cause": message.cause,
        "by": message.by,
        "reason": message.reason,
        "run_id": message.run_id,
        "previous_version": message.previous_version,
    }


def _last_trigger(name: str, facts: Facts) -> Plain | None:
    """The newest wish for a retrain and what came of it, followed by ids."""
    found = [event for event in facts.requested if event.message.pipeline == name]
    if not found:
        return None
    event = found[-1]
    answer = next((e.message for e in facts.resolved if e.message.request_id == event.id), None)
    end = _end(answer.run_id, facts) if answer and answer.outcome == "accepted" else None
    outcome = answer.outcome if answer else "unanswered"
    if outcome == "accepted":
        outcome = end.outcome if end else "under way"
    return {
        "trigger": event.message.trigger or "manual",
        "at_ms": event.time_ms,
        "reason": event.message.reason,
        "by": event.message.by,
        "outcome": outcome,
        "outcome_reason": (end.reason if end else "") or (answer.reason if answer else ""),
        "run_id": answer.run_id if answer else "",
        "version": end.version if end and end.version else None,
    }


def _end(run_id: str, facts: Facts) -> RunFinished | None:
    return next((e.message for e in facts.finished if e.message.run_id == run_id), None)


def _runs(name: str, facts: Facts) -> dict[str, Any]:
    """The newest run that has no end yet, and the ends of the newest ones, the newest last."""
    accepted = [
        e for e in facts.resolved if e.message.pipeline == name and e.message.outcome == "accepted"
    ]
    ends = [e for e in facts.finished if e.message.pipeline == name]
    done = {e.message.run_id for e in ends}
    waiting = [e for e in accepted if e.message.run_id not in done]
    return {
        "open": _open_run(waiting[-1], facts) if waiting else None,
        "ended": [
            {
                "run_id": e.message.run_id,
                "outcome": e.message.outcome,
                "reason": e.message.reason,
                "at_ms": e.message.at_ms or e.time_ms,
            }
            for e in ends[-5:]
        ],
    }


def _open_run(event: Event[RetrainResolved], facts: Facts) -> Plain:
    message = event.message
    steps = [e.message for e in facts.progress if e.message.run_id == message.run_id]
    return {
        "run_id": message.run_id,
        "trigger": message.trigger,
        "since_ms": event.time_ms,
        "stage": f"{steps[-1].stage} {steps[-1].candidate}".strip() if steps else "accepted",
        "deadline_ms": message.deadline_ms,
    }


def _event_time(loops: Sequence[Plain], statistics: Sequence[Statistics]) -> str:
    newest = [loop["watermark"] for loop in loops if loop["watermark"]]
    return max([*newest, *(iso(one.end_us) for one in statistics)], default="")


def _coverage(statistics: Sequence[Statistics]) -> float | None:
    """Of the predicted rows whose horizon is over, the share whose label came."""
    scored = sum(one.scored for one in statistics)
    over = scored + sum(one.unlabelled for one in statistics)
    return round(scored / over, 4) if over else None


def _source(one: SourceFacts, now_ms: int) -> Plain:
    return {
        "topic": one.topic,
        "there": one.partitions is not None,
        "newest_ms": one.newest_ms,
        "silent_s": _age_s(one.newest_ms, now_ms),
    }


def _age_s(at_ms: int, now_ms: int) -> float | None:
    return round(max(0, now_ms - at_ms) / 1_000, 1) if at_ms else None
