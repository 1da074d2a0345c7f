"""One judgement, in a child process of its own: fetch the models, score the held-out rows, apply
the gate.

It judges the very bytes that serving would load, on rows that no candidate has seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from driftloop import dataset
from driftloop.betting import gains
from driftloop.contracts.model_pb2 import Candidate, ModelEvaluated, ModelTrained, Window
from driftloop.dataset import Rows
from driftloop.kit import rpc, rpc_trace
from driftloop.kit.broker import Broker
from driftloop.kit.clock import SystemClock
from driftloop.kit.errors import Malformed
from driftloop.kit.events import to_json
from driftloop.kit.kafka import KafkaBroker
from driftloop.kit.trace import Steps
from services.evaluation import codec
from services.evaluation.domain import (
    Case,
    Figures,
    Judgement,
    Rule,
    Ruling,
    barred,
    figures,
    judge,
    losses_of,
    without_model,
)
from services.evaluation.domain.gate import seed_of, surely
from services.evaluation.domain.metrics import Bools
from services.evaluation.onnx import answers, row_us
from services.evaluation.plan import Places, Plan, ReplayPlan
from services.evaluation.record import answered, answered_rows, judged
from services.evaluation.store import Store

RECORD_ROWS_MIN = 100  # that a line has answered; of fewer its figures say little
BASE_RATE, MEAN = "the base rate of the fit window", "the mean of the fit window"

Floats = npt.NDArray[np.float64]
Report = Callable[[dict[str, Any]], None]
Fetch = Callable[[str], bytes]


def decide(argument: dict[str, Any], report: Report) -> dict[str, Any]:
    """`argument`: {"plan": Plan, "places": Places}; gives back {"evaluated": JSON, "spans": what
    it did when}.
    """
    plan, places, clock = argument["plan"], argument["places"], SystemClock()
    steps = Steps(plan.traceparent, clock)
    with rpc.channel(places.registry, places.tls) as channel:
        fetch = Store(rpc_trace.passing(channel), clock).fetch
        evaluated = Court(plan, fetch, _broker(places), steps).evaluated()
    return {"evaluated": to_json(evaluated), "spans": steps.told}


def replay(argument: dict[str, Any], report: Report) -> dict[str, Any]:
    """`argument`: {"plan": ReplayPlan, "places": Places}; gives back {"reply": bytes}."""
    plan, places = argument["plan"], argument["places"]
    with rpc.channel(places.registry, places.tls) as channel:
        reply = replayed(plan, Store(channel, SystemClock()).fetch, _broker(places))
    return {"reply": reply}


def replayed(plan: ReplayPlan, fetch: Fetch, broker: Broker) -> bytes:
    """A ReplayReply: a model's figures on any window."""
    asked = Window.FromString(plan.window)
    rows = dataset.rows_of(broker, asked)
    given = _answers(fetch(plan.digest), rows, plan.classes)
    scored = figures(rows.target, given, plan.classes, threshold=plan.threshold)
    return codec.reply(
        scored, dataset.window(rows, dataset.ranges_of(asked), dataset.times_of(asked))
    )


class Court:
    """One run's judgement."""

    def __init__(
        self, plan: Plan, fetch: Fetch, broker: Broker, steps: Steps | None = None
    ) -> None:
        self._steps = steps or Steps(plan.traceparent, SystemClock())
        self._plan, self._fetch, self._broker = plan, fetch, broker
        self._trained = ModelTrained.FromString(plan.trained)
        self._rule = Rule(plan.metric, plan.confidence)

    def evaluated(self) -> ModelEvaluated:
        """The verdicts and the winner; a candidate whose bytes are no model has lost its case."""
        with self._steps.step("read"):
            rows = self._held_out()
        with self._steps.step("score", "champion", candidate="champion"):
            rows, champion = self._champion(rows)
        given: dict[str, Floats] = {}
        errors: dict[str, str] = {}
        for candidate in self._distinct(lines=False):
            name = candidate.name
            try:
                with self._steps.step("score", f"candidate {name}", candidate=name):
                    given[name] = self._answers(candidate.digest, rows)
            except Malformed as error:
                errors[name] = str(error)
        gained = {name: self._opposed(name, champion, rows) - self._losses(rows, each)
                 for name, each in given.items()}  # fmt: skip
        scored = {name: self._figures(rows, each) for name, each in given.items()}
        with self._steps.step("judge"):
            bars = {**self._no_surer(rows, champion, given), **self._barred(rows, gained, scored)}
            ruling = judge(gained, self._rule, seed_of(self._trained.run_id), bars)
            ruling = self._with_lines(ruling, rows, champion, scored, errors)
        of_champion = None if champion is None else self._figures(rows, champion)
        return codec.evaluated(
            self._trained, self._plan.champion, ruling, scored, of_champion, errors,
            self._said())  # fmt: skip

    def _no_surer(
        self, rows: Rows, champion: Floats | None, given: Mapping[str, Floats]
    ) -> dict[str, str]:
        """A line is live because it errs less, so what follows it must surely err less still: by
        its losses alone, fits on the newest rows take a line's place at each drift and lose it.
        """
        plan, line = self._plan, self._plan.champion.line
        if champion is None or not line:
            return {}
        return {
            name: f"it does not surely err less than line {line} did"
            for name, each in given.items()
            if not surely(
                gains(champion, each, rows.target, plan.classes, plan.threshold), self._rule,
                seed_of(self._trained.run_id),
            )
        }  # fmt: skip

    def _with_lines(
        self,
        ruling: Ruling,
        rows: Rows,
        champion: Floats | None,
        scored: dict[str, Figures],
        errors: dict[str, str],
    ) -> Ruling:
        """The ruling with the lines, which are judged by their record; one that is surely better
        wins where no candidate that was fitted for this run is.
        """
        plan, lines = self._plan, self._distinct(lines=True)
        if not lines:
            return ruling
        of, alpha = (self._trained.pipeline, self._trained.generation), 1.0 - plan.confidence
        judgements = judged(self._broker, of, plan.lines, plan.champion.version, alpha)
        found = []
        for candidate in lines:
            name = candidate.name
            said = answered(self._broker, of, rows, plan.classes, name)
            known = answered_rows(said)
            if name not in judgements or known.sum() < RECORD_ROWS_MIN:
                errors[name] = f"its record holds {known.sum()} of {len(rows)} held-out rows"
                continue
            mine, said = rows.where(known), said[known]
            scored[name] = self._figures(mine, said)
            gain = self._against(champion, known, mine, said)
            bars = self._barred(mine, {name: gain}, scored)
            found.append(_of_line(judgements[name], float(gain.mean()), bars.get(name, "")))
        return _joined(ruling, found)

    def _against(self, champion: Floats | None, known: Bools, rows: Rows, said: Floats) -> Floats:
        """[n] gains in the gate's metric on the rows that the line answered."""
        if champion is None:
            champion = without_model(rows.target, self._plan.classes, len(known))
        return self._losses(rows, champion[known]) - self._losses(rows, said)

    def _said(self) -> str:
        """The rule, whole."""
        limits = self._plan.limits.text()
        return self._rule.text(self._opponent()) + (f"; {limits}" if limits else "")

    def _barred(
        self, rows: Rows, gained: Mapping[str, Floats], scored: Mapping[str, Figures]
    ) -> dict[str, str]:
        """Candidates that can't win, and why."""
        limits = self._plan.limits
        if not limits.text():
            return {}
        slices = {name: rows.vectors[:, at] for name, at in self._plan.slices.items()}
        found = {}
        for candidate in self._distinct():
            if candidate.name not in gained:
                continue
            timed = limits.row_us is not None
            case = Case(
                candidate.bytes,
                row_us(self._fetch(candidate.digest), rows.vectors) if timed else 0.0,
                getattr(scored[candidate.name], "calibration_error", None),
                gained[candidate.name],
            )
            found[candidate.name] = barred(limits, case, slices)
        return {name: why for name, why in found.items() if why}

    def _opponent(self) -> str:
        champion = self._plan.champion
        if champion.digest:
            return f"version {champion.version}"
        return BASE_RATE if self._plan.classes else MEAN

    def _held_out(self) -> Rows:
        held = self._trained.holdout
        rows = dataset.rows_of(self._broker, held)
        if rows.sha256() != held.rows_sha256:
            raise Malformed(
                f"the held-out rows read as {rows.sha256()[:12]}, {held.rows_sha256[:12]} was held "
                "out: the log no longer holds them"
            )
        return rows

    def _champion(self, rows: Rows) -> tuple[Rows, Floats | None]:
        """What is live, on these rows; of a line those that it has answered, as it did then."""
        champion = self._plan.champion
        if not champion.digest:
            return rows, None
        if not champion.line:
            return rows, self._answers(champion.digest, rows)
        of = self._trained.pipeline, self._trained.generation
        said = answered(self._broker, of, rows, self._plan.classes, champion.line, champion.version)
        known = answered_rows(said)
        return rows.where(known), said[known]

    def _distinct(self, *, lines: bool | None = None) -> list[Candidate]:
        """One of each digest: the same bytes twice would only make the gate ask more of both.
        `lines`: those alone, or none of them.
        """
        seen: dict[str, Candidate] = {}
        for candidate in self._trained.candidates:
            if candidate.digest and lines in (None, bool(candidate.line)):
                seen.setdefault(candidate.digest, candidate)
        return list(seen.values())

    def _opposed(self, name: str, champion: Floats | None, rows: Rows) -> Floats:
        """The opponent's losses: the champion's, or of always saying what the candidate's fit
        window says by itself.
        """
        if champion is not None:
            return self._losses(rows, champion)
        candidate = next(one for one in self._trained.candidates if one.name == name)
        # of a model that was fitted elsewhere no window is known: then these rows speak for it
        known = candidate.window.rows > 0
        fitted = dataset.rows_of(self._broker, candidate.window) if known else rows
        said = without_model(fitted.target, self._plan.classes, len(rows))
        return self._losses(rows, said)

    def _answers(self, digest: str, rows: Rows) -> Floats:
        return _answers(self._fetch(digest), rows, self._plan.classes)

    def _losses(self, rows: Rows, given: Floats) -> Floats:
        return losses_of(rows.target, given, self._plan.classes, self._plan.metric)

    def _figures(self, rows: Rows, given: Floats) -> Figures:
        plan = self._plan
        return figures(rows.target, given, plan.classes, threshold=plan.threshold)


def _of_line(judgement: Judgement, gain: float, why: str) -> Judgement:
    if why:
        return replace(judgement, gain=gain, eligible=False, reason=f"barred: {why}")
    return replace(judgement, gain=gain)


def _joined(ruling: Ruling, lines: Sequence[Judgement]) -> Ruling:
    if not lines:
        return ruling
    every, winner = (*ruling.judgements, *lines), ruling.winner
    able = [one for one in lines if one.eligible]
    if winner:
        return Ruling(every, winner, ruling.reason)
    if able:
        best = min(able, key=lambda one: one.p_value)
        return Ruling(every, best.name, f"{best.name}: {best.reason}")
    said = "; ".join(f"{one.name}: {one.reason}" for one in lines)
    return Ruling(every, "", said if not ruling.judgements else f"{ruling.reason}; {said}")


def _answers(model: bytes, rows: Rows, classes: int) -> Floats:
    if classes and len(rows) and rows.target.max() >= classes:
        raise Malformed(f"the model knows {classes} classes, the rows have more")
    return answers(model, rows.vectors, classes)


def _broker(places: Places) -> Broker:
    return KafkaBroker(places.kafka, places.namespace)
