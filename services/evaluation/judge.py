"""One judgement, in a child process of its own: fetch the models, score the held-out rows, apply
the gate.

It judges the very bytes that serving would load, on rows that no candidate has seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from driftloop import dataset
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
    Rule,
    barred,
    figures,
    judge,
    losses_of,
    without_model,
)
from services.evaluation.domain.gate import seed_of
from services.evaluation.onnx import answers, row_us
from services.evaluation.plan import Places, Plan, ReplayPlan
from services.evaluation.store import Store

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
            champion = self._champion(rows)
        given: dict[str, Floats] = {}
        errors: dict[str, str] = {}
        for candidate in self._distinct():
            name = candidate.name
            try:
                with self._steps.step("score", f"candidate {name}", candidate=name):
                    given[name] = self._answers(candidate.digest, rows)
            except Malformed as error:
                errors[name] = str(error)
        gains = {name: self._opposed(name, champion, rows) - self._losses(rows, each)
                 for name, each in given.items()}  # fmt: skip
        scored = {name: self._figures(rows, each) for name, each in given.items()}
        with self._steps.step("judge"):
            bars = self._barred(rows, gains, scored)
            ruling = judge(gains, self._rule, seed_of(self._trained.run_id), bars)
        of_champion = None if champion is None else self._figures(rows, champion)
        return codec.evaluated(
            self._trained, self._plan.champion, ruling, scored, of_champion, errors,
            self._said())  # fmt: skip

    def _said(self) -> str:
        """The rule, whole."""
        limits = self._plan.limits.text()
        return self._rule.text(self._opponent()) + (f"; {limits}" if limits else "")

    def _barred(
        self, rows: Rows, gains: Mapping[str, Floats], scored: Mapping[str, Figures]
    ) -> dict[str, str]:
        """Candidates that can't win, and why."""
        limits = self._plan.limits
        if not limits.text():
            return {}
        slices = {name: rows.vectors[:, at] for name, at in self._plan.slices.items()}
        found = {}
        for candidate in self._distinct():
            if candidate.name not in gains:
                continue
            timed = limits.row_us is not None
            case = Case(
                candidate.bytes,
                row_us(self._fetch(candidate.digest), rows.vectors) if timed else 0.0,
                getattr(scored[candidate.name], "calibration_error", None),
                gains[candidate.name],
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

    def _champion(self, rows: Rows) -> Floats | None:
        digest = self._plan.champion.digest
        return self._answers(digest, rows) if digest else None

    def _distinct(self) -> list[Candidate]:
        """One of each digest: the same bytes twice would only make the gate ask more of both."""
        seen: dict[str, Candidate] = {}
        for candidate in self._trained.candidates:
            if candidate.digest:
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


def _answers(model: bytes, rows: Rows, classes: int) -> Floats:
    if classes and len(rows) and rows.target.max() >= classes:
        raise Malformed(f"the model knows {classes} classes, the rows have more")
    return answers(model, rows.vectors, classes)


def _broker(places: Places) -> Broker:
    return KafkaBroker(places.kafka, places.namespace)
