"""Where kit and contracts meet: the `main` of every service, its pulse, and how it learns which
pipelines there are.

The kit knows no topic; services know the contracts. What all of them need of both stands here,
once.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn, TypeVar

from driftloop import spec
from driftloop.contracts import topics
from driftloop.contracts.model_pb2 import PipelineDeclared
from driftloop.contracts.pulse_pb2 import LoopPulse, Pulse
from driftloop.kit.broker import Record
from driftloop.kit.errors import Unavailable
from driftloop.kit.events import event
from driftloop.kit.follow import Follower
from driftloop.kit.health import usage
from driftloop.kit.log import logger
from driftloop.kit.loop import LoopState
from driftloop.kit.run import App, Kit, run
from driftloop.kit.topic import Emit
from driftloop.kit.version import VERSION

C = TypeVar("C")
log = logger("service")

PORTS: Mapping[str, int] = {
    "registry": 17101,
    "features": 17102,
    "serving": 17103,
    "training": 17104,
    "evaluation": 17105,
    "ingestion": 17106,
    "monitor": 17107,
}
METRICS_PORT_ABOVE = 100  # /metrics of each is at its gRPC port + 100
PULSE_S = 1.0


@dataclass(frozen=True, slots=True)
class Declared:
    """A pipeline as it is declared now; `version` rises with each accepted change of its file."""

    name: str
    version: int
    generation: int
    pipeline: spec.Pipeline
    digest: str
    quarantined: Sequence[tuple[int, int]] = ()  # spans of event time, µs, [from, to)


def main(name: str, config: type[C], build: Callable[[C, Kit], App]) -> NoReturn:
    """Run service `name` until a signal, and exit with its status."""
    port = PORTS.get(name, -METRICS_PORT_ABOVE)
    sys.exit(
        run(
            name,
            config,
            build,
            ports=(max(0, port), port + METRICS_PORT_ABOVE),
            beside=(send_pulses,),
            farewell=send_good_bye,
        )
    )


def follow_pipelines(
    kit: Kit,
    on_pipeline: Callable[[Declared], None],
    on_removed: Callable[[str], None],
    *,
    quarantines: bool = False,
) -> Follower[PipelineDeclared]:
    """Tell of every declared pipeline, then of each change, from one thread of its own; waits while
    the topic isn't there.

    With `quarantines`, also where only what is quarantined has changed: that is training's
    business alone, and others would begin their loops anew for it.

    A declaration that this build can't read is logged and passed over: the registry of a newer
    build has accepted it.
    """

    told: dict[str, tuple[int, int, str]] = {}

    def heard(key: str | None, message: PipelineDeclared | None, record: Record) -> None:
        if message is None:
            told.pop(key or "", None)
            on_removed(key or "")
            kit.metrics.forget(key or "")
            return
        declared, named = _declared(message), (message.version, message.generation, message.digest)
        known = told.get(message.name) == named
        told[message.name] = named
        if declared is not None and (quarantines or not known):
            on_pipeline(declared)

    return kit.follow(topics.PIPELINES.topic(), heard)


def send_pulses(kit: Kit, stop: threading.Event) -> None:
    """A pulse a second until `stop`. Those that the broker doesn't take are lost and counted; that
    it is away is said by kit.run."""
    while not stop.is_set():
        try:
            kit.broker.append([pulse_emit(kit)])
        except Unavailable as error:
            kit.metrics.pulses_lost_total.labels().inc()
            log.debug("a pulse is lost: %s", error)
        kit.clock.sleep(PULSE_S, stop)


def send_good_bye(kit: Kit) -> None:
    """The last pulse of a process that ends in good order. A replica that falls silent without one
    crashed, was killed, or is cut off."""
    with suppress(Unavailable):
        kit.broker.append([pulse_emit(kit, ended=True)])


def pulse_emit(kit: Kit, *, ended: bool = False) -> Emit:
    """How this process is now, for the live view and `driftloop status`."""
    used, now_ms = usage(), kit.clock.ms()
    loops = [
        _loop_pulse(state, kit.metrics.answering(state.pipeline)) for state in kit.loops.states()
    ]
    pulse = Pulse(
        service=kit.service,
        replica=kit.replica,
        at_ms=now_ms,
        started_ms=kit.started_ms,
        cpu_s=used.cpu_s,
        rss_mb=used.rss_mb,
        loops=loops,
        version=VERSION,
        ended=ended,
        address=kit.address,
    )
    return event(
        topics.PULSE.topic(),
        pulse,
        id=f"{kit.replica}-{now_ms}",
        source=f"/driftloop/{kit.service}",
        time_ms=now_ms,
        key=kit.replica,
    )


def _loop_pulse(state: LoopState, version: int) -> LoopPulse:
    return LoopPulse(
        loop=state.name,
        pipeline=state.pipeline,
        rows_in=state.rows_in,
        rows_out=state.rows_out,
        commits=state.commits,
        aborts=state.aborts,
        lag_records=state.lag,
        watermark_us=state.watermark_us,
        model_version=version,
        state=state.state,
        error=state.error,
        last_error=state.last_error,
        last_error_ms=state.last_error_ms,
        latency_ms=list(state.latency),
        counts=dict(state.counts),
    )


def _declared(message: PipelineDeclared) -> Declared | None:
    try:
        pipeline = spec.parse(message.yaml, f"{message.name}.yaml")
    except spec.Mistakes as error:
        log.error(
            "pipeline %s version %d can't be read by this build: %s",
            message.name,
            message.version,
            error,
        )
        return None
    spans = tuple((one.span.from_us, one.span.to_us) for one in message.quarantined)
    of = (message.name, message.version, message.generation, pipeline, message.digest)
    return Declared(*of, spans)
