"""A backtest, in a child process of its own: the rows of a span of event time or of a model's
window, every contender's answers to them, and the document that `domain.backtest` makes.

What was answered live is read from `predictions`, as it stood in each model's time and with the
labels that had come by then; the others answer now, by the very bytes that serving would load.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from driftloop import archive, dataset
from driftloop.contracts.evaluation_pb2 import BacktestReply
from driftloop.contracts.model_pb2 import Window
from driftloop.dataset import Rows, Times
from driftloop.event_times import narrowed
from driftloop.kit import rpc
from driftloop.kit.broker import Broker
from driftloop.kit.clock import SystemClock
from driftloop.kit.errors import Malformed, Refused
from driftloop.kit.kafka import KafkaBroker
from driftloop.kit.objects import Objects
from services.evaluation.domain.backtest import Contest, Side, backtest
from services.evaluation.domain.metrics import Bools
from services.evaluation.onnx import answers
from services.evaluation.plan import HistoryPlan, Rival
from services.evaluation.record import answered
from services.evaluation.store import Store

Fetch = Callable[[str], bytes]
ROWS_MIN = 2  # one row has no spread


def history(argument: dict[str, Any], report: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """`argument`: {"plan": HistoryPlan, "places": Places}; gives back {"reply": bytes}, or
    {"refused": why}.
    """
    plan, places = argument["plan"], argument["places"]
    broker = KafkaBroker(places.kafka, places.namespace)
    with rpc.channel(places.registry, places.tls) as channel:
        fetch = Store(channel, SystemClock()).fetch
        try:
            reply = History(plan, fetch, broker).reply()
        except (Refused, Malformed) as error:
            return {"refused": str(error)}
    return {"reply": reply.SerializeToString()}


@dataclass(frozen=True, slots=True)
class History:
    """One backtest."""

    plan: HistoryPlan
    fetch: Fetch
    broker: Broker

    def reply(self) -> BacktestReply:
        """Refused: no rows, or rows that can't be read any more."""
        plan = self.plan
        rows, window, source = self._rows()
        if len(rows) < ROWS_MIN:
            raise Refused(f"{len(rows)} labelled rows of {plan.pipeline} are there, wanted more")
        if rows.vectors.shape[1] != len(plan.names):
            raise Refused(
                f"rows have {rows.vectors.shape[1]} features, the pipeline {len(plan.names)}"
            )
        columns = {name: rows.vectors[:, plan.names.index(name)] for name in plan.slices}
        contest = Contest(
            rows.times, rows.target, plan.classes, plan.metric, plan.threshold, columns
        )
        told = backtest(contest, [self._side(rival, rows) for rival in plan.rivals])
        about = {"pipeline": plan.pipeline, "source": source}
        span = {"from_us": int(rows.times[0]), "to_us": int(rows.times[-1])}
        return BacktestReply(report=json.dumps({**about, **span, **told}), window=window)

    def _rows(self) -> tuple[Rows, Window, str]:
        plan = self.plan
        if plan.window:
            asked = Window.FromString(plan.window)
            shelf = archive.Archive(Objects(plan.archive)) if plan.archive else None
            found = archive.recall(self.broker, asked, shelf)
            return found.rows, asked, found.source
        times = Times(plan.from_us, plan.to_us)
        every = dataset.bounds(self.broker, plan.pipeline, plan.generation, plan.partitions)
        ranges = narrowed(self.broker, every, times, plan.pipeline, plan.generation)
        rows, _ = dataset.read(self.broker, ranges, times=times)
        return rows, dataset.window(rows, ranges, times), "log"

    def _side(self, rival: Rival, rows: Rows) -> Side:
        if rival.live:
            of = self.plan.pipeline, self.plan.generation
            given = answered(self.broker, of, rows, self.plan.classes)
        else:
            model = rival.model or self.fetch(rival.digest)
            given = answers(model, rows.vectors, self.plan.classes)
        return Side(rival.name, given, _seen(rival, rows))


def _seen(rival: Rival, rows: Rows) -> Bools:
    """[n] whether it was fitted on the row."""
    if not rival.window:
        return np.zeros(len(rows), bool)
    window = Window.FromString(rival.window)
    inside = dataset.within(dataset.ranges_of(window), rows.partitions, rows.offsets)
    return np.asarray(inside & dataset.times_of(window).hold(rows.times), bool)
