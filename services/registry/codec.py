"""Protobuf ↔ facts, with every check of incoming fields, once.

Nothing is decided here. What only people read of a run or a model travels through the ledger as
message bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from driftloop.contracts.model_pb2 import (
    ArtifactsCollected,
    ArtifactStored,
    Candidate,
    Metrics,
    ModelEvaluated,
    ModelMarked,
    ModelReleased,
    ModelTrained,
    ModelVersion,
    PipelineDeclared,
    Quarantined,
    RegistryEvent,
    RunFinished,
    RunOpened,
    Span,
    Verdict,
)
from driftloop.contracts.registry_pb2 import Run
from driftloop.contracts.retrain_pb2 import RetrainResolved
from driftloop.kit.errors import Malformed
from services.registry import domain

TRAINED_OUTCOMES = ("trained", "failed", "cancelled")
EVALUATED_OUTCOMES = ("released", "rejected", "failed")


def opened(
    message: RetrainResolved, at_ms: int, *, deadline_default_ms: int
) -> domain.Opened | None:
    """The run that an accepted request opens; None where the request was not accepted."""
    if message.outcome != "accepted":
        return None
    _names(message.run_id, message.pipeline, "RetrainResolved")
    return domain.Opened(
        run_id=message.run_id,
        pipeline=message.pipeline,
        generation=message.generation or 1,
        trigger=message.trigger,
        reason=message.reason,
        request_id=message.request_id,
        at_ms=at_ms,
        deadline_ms=message.deadline_ms or at_ms + deadline_default_ms,
    )


def trained(message: ModelTrained, at_ms: int) -> domain.Trained:
    _names(message.run_id, message.pipeline, "ModelTrained")
    _one_of(message.outcome, TRAINED_OUTCOMES, "ModelTrained.outcome")
    candidates = {
        c.digest: domain.Candidate(
            c.digest, c.bytes, c.SerializeToString(deterministic=True), c.line
        )
        for c in message.candidates
        if c.digest
    }
    return domain.Trained(
        run_id=message.run_id,
        pipeline=message.pipeline,
        generation=message.generation or 1,
        declaration=message.declaration,
        outcome=message.outcome,
        reason=message.reason,
        candidates=candidates,
        at_ms=at_ms,
        detail=message.SerializeToString(deterministic=True),
    )


def evaluated(message: ModelEvaluated, at_ms: int) -> domain.Evaluated:
    _names(message.run_id, message.pipeline, "ModelEvaluated")
    _one_of(message.outcome, EVALUATED_OUTCOMES, "ModelEvaluated.outcome")
    verdicts = {
        v.digest: domain.Verdict(
            v.SerializeToString(deterministic=True), v.metrics.SerializeToString()
        )
        for v in message.verdicts
    }
    return domain.Evaluated(
        run_id=message.run_id,
        pipeline=message.pipeline,
        generation=message.generation or 1,
        outcome=message.outcome,
        reason=message.reason,
        champion_version=message.champion_version,
        winner_digest=message.winner_digest,
        verdicts=verdicts,
        at_ms=at_ms,
        detail=message.SerializeToString(deterministic=True),
    )


def event(fact: domain.Fact) -> RegistryEvent:
    """The fact as it stands in the log of record."""
    match fact:
        case domain.Declared():
            return RegistryEvent(at_ms=fact.at_ms, declared=declaration(fact))
        case domain.Opened():
            return RegistryEvent(at_ms=fact.at_ms, opened=opening(fact))
        case domain.Stored():
            return RegistryEvent(at_ms=fact.at_ms, stored=stored(fact))
        case domain.Trained():
            return RegistryEvent(at_ms=fact.at_ms, trained=ModelTrained.FromString(fact.detail))
        case domain.Evaluated():
            return RegistryEvent(at_ms=fact.at_ms, evaluated=ModelEvaluated.FromString(fact.detail))
        case domain.Versioned():
            return RegistryEvent(at_ms=fact.created_ms, versioned=version(fact))
        case domain.Released():
            return RegistryEvent(at_ms=fact.at_ms, released=released(fact))
        case domain.Finished():
            return RegistryEvent(at_ms=fact.at_ms, finished=finished(fact))
        case domain.Quarantined():
            return RegistryEvent(at_ms=fact.at_ms, quarantined=quarantined(fact))
        case domain.Marked():
            return RegistryEvent(at_ms=fact.at_ms, marked=marked(fact))
        case domain.Collected():
            gone = ArtifactsCollected(digests=fact.digests, by=fact.by, at_ms=fact.at_ms)
            return RegistryEvent(at_ms=fact.at_ms, collected=gone)


def fact(message: RegistryEvent) -> domain.Fact:
    """The fact that a message of the log of record holds. Malformed where it holds none."""
    kind = message.WhichOneof("kind")
    match kind:
        case "declared":
            return _declared(message.declared)
        case "opened":
            return _opened(message.opened)
        case "stored":
            kept = message.stored
            return domain.Stored(kept.digest, kept.bytes, kept.pipeline, kept.run_id, message.at_ms)
        case "trained":
            return trained(message.trained, message.at_ms)
        case "evaluated":
            return evaluated(message.evaluated, message.at_ms)
        case "versioned":
            return _versioned(message.versioned)
        case "released":
            return _released(message.released)
        case "finished":
            return _finished(message.finished)
        case "quarantined":
            return _quarantined(message.quarantined)
        case "marked":
            return _marked(message.marked)
        case "collected":
            gone = message.collected
            return domain.Collected(tuple(gone.digests), gone.by, gone.at_ms)
    raise Malformed("RegistryEvent without a kind")


def declaration(
    fact: domain.Declared, quarantines: Sequence[domain.Quarantined] = ()
) -> PipelineDeclared:
    """A declaration with what is quarantined now."""
    return PipelineDeclared(
        quarantined=[quarantined(one) for one in quarantines],
        name=fact.name,
        version=fact.version,
        generation=fact.generation,
        yaml=fact.yaml,
        digest=fact.digest,
        by=fact.by,
        at_ms=fact.at_ms,
    )


def quarantined(fact: domain.Quarantined) -> Quarantined:
    return Quarantined(
        pipeline=fact.pipeline,
        span=Span(from_us=fact.from_us, to_us=fact.to_us),
        reason=fact.reason,
        by=fact.by,
        at_ms=fact.at_ms,
        lifted=fact.lifted,
    )


def marked(fact: domain.Marked) -> ModelMarked:
    return ModelMarked(**asdict(fact))


def opening(fact: domain.Opened) -> RunOpened:
    return RunOpened(
        run_id=fact.run_id,
        pipeline=fact.pipeline,
        generation=fact.generation,
        trigger=fact.trigger,
        reason=fact.reason,
        request_id=fact.request_id,
        at_ms=fact.at_ms,
        deadline_ms=fact.deadline_ms,
    )


def stored(fact: domain.Stored) -> ArtifactStored:
    return ArtifactStored(
        digest=fact.digest, bytes=fact.size, pipeline=fact.pipeline, run_id=fact.run_id
    )


def version(
    fact: domain.Versioned,
    aliases: dict[str, int] | None = None,
    by: str = "",
    mark: domain.Marked | None = None,
) -> ModelVersion:
    """A version with the aliases that point to it, who has made it live since, and what a person
    has said of it.
    """
    named = [name for name, number in (aliases or {}).items() if number == fact.version]
    named += ["pinned"] if mark and mark.pinned else []
    return ModelVersion(
        pipeline=fact.pipeline,
        generation=fact.generation,
        version=fact.version,
        digest=fact.digest,
        bytes=fact.size,
        run_id=fact.run_id,
        candidate=Candidate.FromString(fact.candidate),
        metrics=Metrics.FromString(fact.metrics),
        verdict=Verdict.FromString(fact.verdict),
        inputs=fact.inputs,
        classes=fact.classes,
        created_ms=fact.created_ms,
        released_by=by or fact.released_by,
        aliases=named,
        note=mark.note if mark else "",
        tags=dict(mark.tags) if mark else {},
    )


def released(fact: domain.Released) -> ModelReleased:
    return ModelReleased(
        pipeline=fact.pipeline,
        generation=fact.generation,
        version=fact.version,
        digest=fact.digest,
        bytes=fact.size,
        run_id=fact.run_id,
        by=fact.by,
        reason=fact.reason,
        cause=fact.cause,
        previous_version=fact.previous_version,
        baseline_version=fact.baseline_version,
        baseline_digest=fact.baseline_digest,
        inputs=fact.inputs,
        classes=fact.classes,
        at_ms=fact.at_ms,
        request_id=fact.request_id,
        line=fact.line,
    )


def finished(fact: domain.Finished) -> RunFinished:
    return RunFinished(
        run_id=fact.run_id,
        pipeline=fact.pipeline,
        generation=fact.generation,
        outcome=fact.outcome,
        reason=fact.reason,
        version=fact.version,
        at_ms=fact.at_ms,
    )


def run(known: domain.Run) -> Run:
    """All that is known of a run, with the wall time of each step."""
    message = Run()
    steps = {
        "opened": known.opened,
        "trained": known.trained,
        "evaluated": known.evaluated,
        "released": known.released,
        "finished": known.finished,
    }
    for name, step in steps.items():
        if step is not None:
            getattr(message, name).CopyFrom(getattr(event(step), name))
            message.at_ms[name] = step.at_ms
    if known.opened is not None:
        message.name = f"pipelines/{known.opened.pipeline}/runs/{known.opened.run_id}"
    return message


def _declared(message: PipelineDeclared) -> domain.Declared:
    return domain.Declared(
        message.name,
        message.version,
        message.generation,
        message.yaml,
        message.digest,
        message.by,
        message.at_ms,
    )


def _opened(message: RunOpened) -> domain.Opened:
    return domain.Opened(
        message.run_id,
        message.pipeline,
        message.generation,
        message.trigger,
        message.reason,
        message.request_id,
        message.at_ms,
        message.deadline_ms,
    )


def _versioned(message: ModelVersion) -> domain.Versioned:
    return domain.Versioned(
        pipeline=message.pipeline,
        generation=message.generation,
        version=message.version,
        digest=message.digest,
        size=message.bytes,
        run_id=message.run_id,
        inputs=tuple(message.inputs),
        classes=tuple(message.classes),
        created_ms=message.created_ms,
        released_by=message.released_by,
        candidate=message.candidate.SerializeToString(deterministic=True),
        verdict=message.verdict.SerializeToString(),
        metrics=message.metrics.SerializeToString(deterministic=True),
        line=message.candidate.line,
    )


def _released(message: ModelReleased) -> domain.Released:
    return domain.Released(
        pipeline=message.pipeline,
        generation=message.generation,
        version=message.version,
        digest=message.digest,
        size=message.bytes,
        run_id=message.run_id,
        by=message.by,
        reason=message.reason,
        cause=message.cause,
        previous_version=message.previous_version,
        baseline_version=message.baseline_version,
        baseline_digest=message.baseline_digest,
        inputs=tuple(message.inputs),
        classes=tuple(message.classes),
        at_ms=message.at_ms,
        request_id=message.request_id,
        line=message.line,
    )


def _finished(message: RunFinished) -> domain.Finished:
    end = (message.outcome, message.reason, message.version, message.at_ms)
    return domain.Finished(message.run_id, message.pipeline, message.generation, *end)


def _quarantined(message: Quarantined) -> domain.Quarantined:
    said = (message.reason, message.by, message.at_ms, message.lifted)
    return domain.Quarantined(message.pipeline, message.span.from_us, message.span.to_us, *said)


def _marked(message: ModelMarked) -> domain.Marked:
    said = (message.pinned, message.note, dict(sorted(message.tags.items())))
    asked = (message.by, message.at_ms, message.request_id)
    return domain.Marked(message.pipeline, message.version, *said, *asked)


def _names(run_id: str, pipeline: str, message: str) -> None:
    if not run_id or not pipeline:
        raise Malformed(
            f"{message}: run_id {run_id!r} and pipeline {pipeline!r}, wanted both",
            rule="missing_field",
        )


def _one_of(value: str, wanted: tuple[str, ...], field: str) -> None:
    if value not in wanted:
        raise Malformed(
            f"{field} is {value!r}, wanted one of {', '.join(wanted)}", rule="wrong_outcome"
        )
