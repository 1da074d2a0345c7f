"""Judgements ↔ messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from driftloop.contracts.evaluation_pb2 import ReplayReply
from driftloop.contracts.model_pb2 import (
    Candidate,
    ConfusionRow,
    Metrics,
    ModelEvaluated,
    ModelTrained,
    Verdict,
    Window,
)
from services.evaluation.domain import Figures, Judgement, Ruling
from services.evaluation.plan import Champion


def evaluated(
    trained: ModelTrained,
    champion: Champion,
    ruling: Ruling,
    scored: Mapping[str, Figures],
    of_champion: Figures | None,
    errors: Mapping[str, str],
    rule: str,
) -> ModelEvaluated:
    """The whole judgement. Candidates of the same bytes share a case."""
    message = _of_run(trained, champion)
    judgements = {one.name: one for one in ruling.judgements}
    first = {one.digest: one.name for one in reversed(trained.candidates) if one.digest}
    for candidate in trained.candidates:
        case = first.get(candidate.digest, candidate.name)
        message.verdicts.append(_verdict(candidate, case, judgements, scored, errors))
    if of_champion is not None:
        message.champion.CopyFrom(metrics(of_champion))
    message.winner = ruling.winner
    message.winner_digest = next(
        (one.digest for one in trained.candidates if one.name == ruling.winner), "")  # fmt: skip
    message.rule, message.reason = rule, ruling.reason
    message.outcome = "released" if ruling.winner else "rejected"
    return message


def failed(trained: ModelTrained, champion: Champion, reason: str) -> ModelEvaluated:
    """No judgement came about."""
    message = _of_run(trained, champion)
    message.outcome, message.reason = "failed", reason
    return message


def stale(message: ModelEvaluated, now: Champion) -> ModelEvaluated:
    """The champion changed while it was judged: what was compared is no longer the question."""
    message.outcome = "rejected"
    message.reason = (
        f"stale: judged against version {message.champion_version}, "
        f"version {now.version} is live now; it had said {message.reason}"
    )
    message.winner, message.winner_digest = "", ""
    return message


def reply(scored: Figures, window: Window) -> bytes:
    return ReplayReply(metrics=metrics(scored), window=window).SerializeToString()


def metrics(scored: Figures) -> Metrics:
    figures = {name: value for name, value in asdict(scored).items() if value is not None}
    table = figures.pop("confusion", ())
    return Metrics(**figures, confusion=[ConfusionRow(said=row) for row in table])


def _of_run(trained: ModelTrained, champion: Champion) -> ModelEvaluated:
    return ModelEvaluated(
        run_id=trained.run_id, pipeline=trained.pipeline, generation=trained.generation,
        champion_version=champion.version, champion_digest=champion.digest,
        holdout=trained.holdout)  # fmt: skip


def _verdict(
    candidate: Candidate,
    case: str,
    judgements: Mapping[str, Judgement],
    scored: Mapping[str, Figures],
    errors: Mapping[str, str],
) -> Verdict:
    verdict = Verdict(name=candidate.name, digest=candidate.digest)
    verdict.reason = candidate.error or errors.get(case, "")
    judgement = judgements.get(case)
    if judgement is None:
        return verdict
    verdict.metrics.CopyFrom(metrics(scored[case]))
    verdict.gain, verdict.gain_low = judgement.gain, judgement.low
    verdict.p_value, verdict.eligible = judgement.p_value, judgement.eligible
    verdict.reason = judgement.reason
    if case != candidate.name:
        verdict.reason = f"the same bytes as {case}; {judgement.reason}"
    return verdict
