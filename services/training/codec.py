"""Control events ↔ training's own values, and what a child is told."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from driftloop.contracts import topics
from driftloop.contracts.model_pb2 import Given, ModelTrained, Window
from driftloop.contracts.retrain_pb2 import (
    RetrainRequested,
    RetrainResolved,
    TrainingProgress,
    Trial,
)
from driftloop.dataset import Range, ranges_of
from driftloop.kit.errors import Malformed
from driftloop.kit.events import Event, from_json
from services.training.domain import Resolution, Run, Wish

_DIGEST = re.compile(r"[0-9a-f]{64}")
NOTE_BYTES_MAX = 3_800  # the broker keeps 4,096 of a committed offset's metadata by default


def wish(event: Event[RetrainRequested], partitions: Mapping[str, int]) -> Wish:
    """A request; `partitions`: how many `examples` has, of each pipeline that is declared."""
    message = event.message
    return Wish(
        event.id,
        message.pipeline,
        message.generation,
        message.trigger,
        message.suppressed,
        _wrong(message, partitions.get(message.pipeline, 0)),
    )


def given(message: RetrainRequested) -> Given | None:
    """A model that was fitted elsewhere; None: models are to be fitted."""
    return message.given if message.HasField("given") else None


def malformed(request_id: str, error: Malformed) -> Wish:
    """A request that can't be read still gets its answer."""
    return Wish(request_id, "", 0, "", wrong=f"malformed: {error}")


def resolved(resolution: Resolution) -> RetrainResolved:
    return RetrainResolved(
        request_id=resolution.request_id,
        pipeline=resolution.pipeline,
        generation=resolution.generation,
        outcome=resolution.outcome,
        reason=resolution.reason,
        run_id=resolution.run_id,
        trigger=resolution.trigger,
        deadline_ms=resolution.deadline_ms,
    )


def resolution(message: RetrainResolved) -> Resolution:
    """Malformed: an outcome that is none of ours."""
    if message.outcome not in ("accepted", "coalesced", "refused", "suppressed"):
        raise Malformed(f"RetrainResolved.outcome is {message.outcome!r}")
    return Resolution(
        message.request_id,
        message.pipeline,
        message.generation,
        message.trigger,
        message.outcome,  # type: ignore[arg-type]  # one of the four, as just seen
        message.reason,
        message.run_id,
        message.deadline_ms,
    )


def window_of(message: RetrainRequested) -> Sequence[Range]:
    """The offsets that the request names; empty where it names none."""
    return [one for one in ranges_of(message.window) if one.end > one.start]


def note(windows: Mapping[str, Sequence[Range]]) -> str:
    """The windows of unfinished runs, to be committed beside the request's offset."""
    return json.dumps(
        {
            run: [[one.topic, one.partition, one.start, one.end] for one in ranges]
            for run, ranges in windows.items()
        },
        separators=(",", ":"),
    )


def windows(note: str) -> dict[str, list[Range]]:
    """Malformed: not written by `note`."""
    try:
        return {
            run: [Range(str(t), int(p), int(s), int(e)) for t, p, s, e in ranges]
            for run, ranges in json.loads(note or "{}").items()
        }
    except (ValueError, AttributeError, TypeError) as error:
        raise Malformed(f"training's note {note[:80]!r}: {error}") from error


def trained(result: Mapping[str, Any]) -> ModelTrained:
    """What a child gave back."""
    return from_json(result["trained"], ModelTrained, "the child's result")


def failed(run: Run, declaration: int, outcome: str, reason: str) -> ModelTrained:
    """A run that has no model: outcome failed or cancelled."""
    return ModelTrained(
        run_id=run.run_id,
        pipeline=run.pipeline,
        generation=run.generation,
        declaration=declaration,
        outcome=outcome,
        reason=reason,
    )


def progress(run: Run, report: Mapping[str, Any]) -> TrainingProgress:
    message = TrainingProgress(
        run_id=run.run_id,
        pipeline=run.pipeline,
        generation=run.generation,
        stage=str(report["stage"]),
        candidate=str(report.get("candidate", "")),
        done=float(report.get("done", 0.0)),
        rows=int(report.get("rows", 0)),
        seconds=float(report.get("seconds", 0.0)),
    )
    if said := report.get("trial"):
        _tell(message.trial, said, run.run_id)
    return message


def of_trial(trial: Trial) -> str:
    """Of an event's id: each state of a trial is told once, however often it is sent."""
    passing = trial.state in ("running", "killed")
    return f"-{trial.number}" + (f"-{trial.state}-{trial.attempt}" if passing else "")


def _tell(trial: Trial, said: Mapping[str, Any], run_id: str) -> None:
    for name in ("number", "state", "error", "attempt", "worker", "seconds"):
        setattr(trial, name, said[name])
    if said["loss"] is not None:
        trial.loss = said["loss"]
    trial.losses.extend(said["losses"])
    trial.params.update(dict(said["params"]))
    trial.kept = said["run_id"] != run_id


def _wrong(message: RetrainRequested, partitions: int) -> str:
    """What can't be so in a request that is well-formed."""
    named = message.window.ranges
    if message.HasField("given") and not _DIGEST.fullmatch(message.given.digest):
        return f"given: found digest {message.given.digest!r}, wanted a sha256 in hex"
    if not named or not partitions:
        return ""
    topic = topics.EXAMPLES.topic(message.pipeline, message.generation or 1).name
    if any(one.topic != topic for one in named):
        return f"window: found {sorted({one.topic for one in named})}, wanted offsets of {topic}"
    if any(not 0 <= one.partition < partitions or one.start < 0 for one in named):
        return f"window: wanted partitions 0 to {partitions - 1} and offsets from 0"
    return _doubled(message.window)


def _doubled(window: Window) -> str:
    named = sorted((one.partition, one.start, one.end) for one in window.ranges)
    twice = any(a[0] == b[0] and b[1] < a[2] for a, b in pairwise(named))
    return "window: offsets of a partition are named twice" if twice else ""
