"""The kill matrix: each service's process and Kafka's killed in turn, and Kafka paused, while
flights come in and a run is under way. What must follow, without a hand: all that was sent is
answered once, and the run ends.

The process is killed by its id on this machine: what `docker kill` ends, Docker leaves ended.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from driftloop.client import Client
from driftloop.contracts import topics
from driftloop.contracts.model_pb2 import ModelTrained, RunFinished
from driftloop.contracts.retrain_pb2 import RetrainResolved
from driftloop.kit.errors import Unavailable
from driftloop.kit.kafka import KafkaBroker
from infra.compose.engine import Engine
from infra.compose.load import Judged, Load
from infra.demo import read

LOOK_S = 0.3
PAUSED_S = 30.0
MARK_S = 1.0  # what is sent so long after the blow can't have been on its way already
WITHIN_S = 120.0  # for all that follows a blow; seen: 5 to 40 s
RUN_S = 60.0  # from the wish for a run to the moment of the blow
MODEL_S = 240.0  # for the first model of the load's pipeline


@dataclass(frozen=True, slots=True)
class Blow:
    """`after`: which word of the run must have been said when it falls. `until`: what tells, beside
    its health, that the one who was hit is back."""

    service: str
    after: str = "accepted"
    until: str = "answered"
    paused: bool = False

    @property
    def name(self) -> str:
        return f"{self.service}, paused" if self.paused else self.service


# Each at the moment at which it has most in its hands.
BLOWS = (
    Blow("ingestion"),
    Blow("features"),
    Blow("serving"),
    Blow("monitor", until="watched"),
    Blow("training", until="finished"),
    Blow("evaluation", after="trained", until="finished"),
    Blow("registry", after="trained", until="finished"),
    Blow("kafka"),
    Blow("kafka", paused=True),
)


@dataclass(slots=True)
class Fallen:
    """What became of one. `from_us`: event time from which on a loss is put down to it."""

    service: str
    completed: bool
    recovered_s: float | None
    from_us: int
    lost: int = 0
    doubled: int = 0
    missing: str = ""


def matrix(
    engine: Engine, client: Client, broker: KafkaBroker, load: Load, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """One entry a blow, for compose.json. Unavailable: the load never came to a model."""
    fallen: list[Fallen] = []
    with load:
        _wait(lambda: _runs(broker, load.name, RunFinished) != [], MODEL_S, "a first run")
        for blow in BLOWS:
            fallen.append(strike(blow, engine, client, broker, load))
            say(_told(fallen[-1]))
        load.end()
        missing = wait_for_the_end(load)
    put_down(fallen, load.judge())
    if missing:  # which of them did it is not known, so it is said of all
        for each in fallen:
            each.completed, each.missing = False, "; ".join(missing)
    for each in fallen:
        if each.lost or each.doubled or not each.completed:
            say(f"NOT harmless: {_told(each)}")
    return [asdict(each) for each in fallen]


def strike(blow: Blow, engine: Engine, client: Client, broker: KafkaBroker, load: Load) -> Fallen:
    """Ask for a run, wait for its moment, strike, and wait until all is as if nothing had been."""
    from_us = load.sent_us()
    run_id = _run(blow, client, broker, load)
    (container, *_) = engine.containers(blow.service)
    hit = time.monotonic()
    if blow.paused:
        engine.docker("pause", container)
        time.sleep(PAUSED_S)
        hit = time.monotonic()
        engine.docker("unpause", container)
    else:
        killed = int(engine.state(container)["Pid"])
        os.kill(killed, signal.SIGKILL)
    time.sleep(MARK_S)
    mark_us = load.sent_us()
    facts: dict[str, Callable[[], bool]] = {
        "running": lambda: _runs_again(engine, container, 0 if blow.paused else killed),
        "answered": lambda: load.answered_us() >= mark_us,
        "watched": lambda: load.watched_us() >= mark_us,
        "finished": lambda: run_id in _runs(broker, load.name, RunFinished),
    }
    seen = _until_all(facts, hit)
    missing = ", ".join(sorted(set(facts) - set(seen)))
    back = {"running", blow.until}
    recovered_s = max(seen[each] for each in back) if back <= set(seen) else None
    return Fallen(blow.name, not missing, recovered_s, from_us, missing=missing)


def put_down(fallen: Sequence[Fallen], judged: Judged) -> None:
    """Losses and doubles to the blow in whose time they were sent."""
    for number, each in enumerate(fallen):
        start = each.from_us if number else 0
        end = fallen[number + 1].from_us if number + 1 < len(fallen) else 1 << 62
        within = (pl.col("time_us") >= start) & (pl.col("time_us") < end)
        each.lost = judged.lost.filter(within).height
        each.doubled = judged.doubled.filter(within).height


def _run(blow: Blow, client: Client, broker: KafkaBroker, load: Load) -> str:
    """The id of a run that has come as far as the blow wants it."""
    request = client.retrain(load.name, f"before the blow to {blow.name}")
    found: list[str] = []

    def accepted() -> bool:
        said = read.said(broker, topics.RETRAIN_RESOLVED, RetrainResolved, load.name)
        found[:] = [e.message.run_id for e in said if e.message.request_id == request]
        return bool(found)

    def arrived() -> bool:
        return blow.after == "accepted" or found[0] in _runs(broker, load.name, ModelTrained)

    _wait(accepted, RUN_S, f"an answer to request {request}")
    _wait(arrived, RUN_S, f"run {found[0]} to be {blow.after}")
    return found[0]


def _runs(broker: KafkaBroker, pipeline: str, kind: Any) -> list[str]:
    """Ids of the runs of which this has been said."""
    topic: Any = {
        RunFinished: topics.RUN_FINISHED,
        ModelTrained: topics.MODEL_TRAINED,
    }[kind]
    return [each.message.run_id for each in read.said(broker, topic, kind, pipeline)]


def _runs_again(engine: Engine, container: str, killed: int) -> bool:
    state = engine.state(container)
    healthy = state.get("Health", {}).get("Status") == "healthy"
    return state["Status"] == "running" and int(state["Pid"]) != killed and healthy


def _until_all(facts: dict[str, Callable[[], bool]], since: float) -> dict[str, float]:
    """Fact → seconds after `since` at which it was first seen."""
    seen: dict[str, float] = {}
    while len(seen) < len(facts) and time.monotonic() - since < WITHIN_S:
        for name, holds in facts.items():
            if name not in seen and _holds(holds):
                seen[name] = round(time.monotonic() - since, 1)
        time.sleep(LOOK_S)
    return seen


def _holds(fact: Callable[[], bool]) -> bool:
    """False while nobody answers: a broker that is down is what we look at."""
    try:
        return fact()
    except Unavailable:
        return False


def _wait(fact: Callable[[], bool], within_s: float, what: str) -> None:
    deadline = time.monotonic() + within_s
    while not _holds(fact):
        if time.monotonic() > deadline:
            raise Unavailable(f"waited {within_s:.0f} s in vain for {what}")
        time.sleep(LOOK_S)


def wait_for_the_end(load: Load) -> Sequence[str]:
    deadline = time.monotonic() + WITHIN_S
    while missing := load.missing():
        if time.monotonic() > deadline:
            return missing
        time.sleep(LOOK_S)
    return ()


def _told(each: Fallen) -> str:
    came = f"back after {each.recovered_s} s" if each.recovered_s is not None else "NOT back"
    rest = f"; still missing: {each.missing}" if each.missing else ""
    counts = f"; {each.lost} lost, {each.doubled} doubled" if each.lost or each.doubled else ""
    return f"{each.service}: {came}{rest}{counts}"
