"""One judgement, in a child process of its own: fetch the models, score the held-out rows, apply
the gate.

It judges the very bytes that serving would load, on rows that no candidate has seen.
"""

from __future__ import annotations

from collections.abc import Callable
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
from services.evaluation.domain import Rule, base_rate, judge, losses, score
from services.evaluation.domain.gate import seed_of
from services.evaluation.onnx import probabilities
from services.evaluation.plan import Places, Plan, ReplayPlan
from services.evaluation.store import Store

BASE_RATE = "the base rate of the fit window"

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
    rows, _ = dataset.read(broker, dataset.ranges_of(asked))
    scored = score(rows.target, _answers(fetch(plan.digest), rows), threshold=plan.threshold)
    return codec.reply(scored, dataset.window(rows, dataset.ranges_of(asked)))


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
        answers: dict[str, Floats] = {}
        errors: dict[str, str] = {}
        for candidate in self._distinct():
            name = candidate.name
            try:
                with self._steps.step("score", f"candidate {name}", candidate=name):
                    answers[name] = _answers(self._fetch(candidate.digest), rows)
            except Malformed as error:
                errors[name] = str(error)
        gains = {name: self._opposed(name, champion, rows) - self._losses(rows, given)
                 for name, given in answers.items()}  # fmt: skip
        with self._steps.step("judge"):
            ruling = judge(gains, self._rule, seed_of(self._trained.run_id))
        scored = {name: score(rows.target, given, threshold=self._plan.threshold)
                  for name, given in answers.items()}  # fmt: skip
        opponent = BASE_RATE if champion is None else f"version {self._plan.champion.version}"
        of_champion = None
        if champion is not None:
            of_champion = score(rows.target, champion, threshold=self._plan.threshold)
        return codec.evaluated(
            self._trained, self._plan.champion, ruling, scored, of_champion, errors,
            self._rule.text(opponent))  # fmt: skip

    def _held_out(self) -> Rows:
        held = self._trained.holdout
        rows, _ = dataset.read(self._broker, dataset.ranges_of(held))
        if rows.sha256() != held.rows_sha256:
            raise Malformed(
                f"the held-out rows read as {rows.sha256()[:12]}, {held.rows_sha256[:12]} was held "
                "out: the log no longer holds them"
            )
        return rows

    def _champion(self, rows: Rows) -> Floats | None:
        digest = self._plan.champion.digest
        return _answers(self._fetch(digest), rows) if digest else None

    def _distinct(self) -> list[Candidate]:
        """One of each digest: the same bytes twice would only make the gate ask more of both."""
        seen: dict[str, Candidate] = {}
        for candidate in self._trained.candidates:
            if candidate.digest:
                seen.setdefault(candidate.digest, candidate)
        return list(seen.values())

    def _opposed(self, name: str, champion: Floats | None, rows: Rows) -> Floats:
        """The opponent's losses: the champion's, or of always saying the candidate's base rate."""
        if champion is not None:
            return self._losses(rows, champion)
        candidate = next(one for one in self._trained.candidates if one.name == name)
        fitted, _ = dataset.read(self._broker, dataset.ranges_of(candidate.window))
        rate = base_rate(fitted.target, max(2, int(rows.target.max(initial=0)) + 1))
        return self._losses(rows, np.tile(rate, (len(rows), 1)))

    def _losses(self, rows: Rows, probability: Floats) -> Floats:
        return losses(rows.target, probability, self._plan.metric)


def _answers(model: bytes, rows: Rows) -> Floats:
    given = probabilities(model, rows.vectors)
    if len(rows) and rows.target.max() >= given.shape[1]:
        raise Malformed(f"the model knows {given.shape[1]} classes, the rows have more")
    return given


def _broker(places: Places) -> Broker:
    return KafkaBroker(places.kafka, places.namespace)
