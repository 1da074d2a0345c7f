"""What `driftloop status` is told from, of a loop that is whole; shared by its tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from driftloop.client.overview import Facts, SourceFacts
from driftloop.contracts.model_pb2 import ModelReleased, PipelineDeclared, RunFinished
from driftloop.contracts.pulse_pb2 import LoopPulse, Pulse
from driftloop.contracts.retrain_pb2 import RetrainRequested, RetrainResolved, Statistics
from driftloop.kit.broker import Record
from driftloop.kit.events import Event

NOW = 1_700_000_000_000
MINUTE, HOUR = 60_000, 3_600_000
LATE = "was not read in time"
LOOPS = {
    "ingestion": ["order-sea"],
    "features": ["windows-sea", "join-sea"],
    "serving": ["scores-sea"],
    "monitor": ["buckets-sea", "decide-sea"],
    "training": ["control"],
    "evaluation": ["control"],
    "registry": ["registry"],
}


def a_pulse(
    service: str, at_ms: int = NOW - 500, replica: str = "", off_ms: int = 0, **more: Any
) -> Event[Pulse]:
    """Of a process that has been up for an hour, with its loops running; its own clock is `off_ms`
    ahead of the broker's."""
    loops = more.pop("loops", [a_loop(name) for name in LOOPS[service]])
    started = more.pop("started_ms", NOW - HOUR)
    message = Pulse(
        service=service,
        replica=replica or f"{service}-0",
        at_ms=at_ms + off_ms,
        started_ms=started + off_ms,
        version="0.1.0",
        loops=loops,
        **more,
    )
    return an_event(message, at_ms)


def a_loop(name: str, **more: Any) -> LoopPulse:
    pipeline = "sea" if name.endswith("-sea") else ""
    version = 2 if name.startswith("scores") else 0
    defaults: dict[str, Any] = {"state": "running", "model_version": version}
    return LoopPulse(loop=name, pipeline=pipeline, **{**defaults, **more})


def an_event(message: Any, at_ms: int = NOW - HOUR, name: str = "e") -> Event[Any]:
    return Event(name, at_ms, message, Record("t", 0, 0, None, None, (), at_ms))


def a_release(version: int = 2, **more: Any) -> Event[ModelReleased]:
    return an_event(
        ModelReleased(
            pipeline="sea",
            version=version,
            at_ms=NOW - HOUR,
            by="gate",
            cause="release",
            run_id="run-1",
            **more,
        )
    )


def a_request(at_ms: int = NOW - 2 * HOUR) -> Event[RetrainRequested]:
    return an_event(RetrainRequested(pipeline="sea", trigger="drift"), at_ms, "request-1")


def an_answer(outcome: str = "accepted", **more: Any) -> Event[RetrainResolved]:
    message = RetrainResolved(
        request_id="request-1", pipeline="sea", outcome=outcome, run_id="run-1", **more
    )
    return an_event(message, NOW - HOUR)


def an_end(outcome: str = "released", run: str = "run-1", **more: Any) -> Event[RunFinished]:
    return an_event(
        RunFinished(run_id=run, pipeline="sea", outcome=outcome, at_ms=NOW - HOUR, **more)
    )


def whole() -> Facts:
    """A loop that has gone round once and rests."""
    return Facts(
        NOW,
        [a_pulse(service) for service in LOOPS],
        [PipelineDeclared(name="sea", version=1, generation=1, at_ms=NOW - 2 * HOUR)],
        released=[a_release()],
        requested=[a_request()],
        resolved=[an_answer()],
        finished=[an_end(version=2)],
        statistics={"sea": [Statistics(end_us=60_000_000, scored=90, unlabelled=10)]},
        sources={"sea": [SourceFacts("sea.events", 1, NOW - 1_000)]},
        calls={"registry": "", "serving": ""},
    )


def with_pulse(facts: Facts, pulse: Event[Pulse]) -> Facts:
    """The service's own pulse replaced."""
    return replace(facts, pulses=[*without(facts, pulse.message.service), pulse])


def without(facts: Facts, service: str) -> list[Event[Pulse]]:
    return [pulse for pulse in facts.pulses if pulse.message.service != service]


def failed(facts: Facts) -> Facts:
    loop = a_loop("scores-sea", state="failed", error="schema: no column a")
    return with_pulse(facts, a_pulse("serving", loops=[loop]))
