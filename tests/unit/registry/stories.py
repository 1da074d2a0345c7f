"""Givens of the registry's tests: what other services say of a run, a pipeline, a loop over
MemoryBroker.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, TypeVar

from google.protobuf.message import Message

from driftloop.contracts import topics
from driftloop.contracts.model_pb2 import (
    Candidate,
    Metrics,
    ModelEvaluated,
    ModelReleased,
    ModelTrained,
    PipelineDeclared,
    RegistryEvent,
    RunFinished,
    Verdict,
)
from driftloop.contracts.retrain_pb2 import RetrainResolved
from driftloop.kit.broker import Subscription
from driftloop.kit.clock import FakeClock
from driftloop.kit.events import event, read_event
from driftloop.kit.inbox import Inbox
from driftloop.kit.loop import Loop, LoopSpec
from driftloop.kit.memory import MemoryBroker
from driftloop.kit.topic import Emit, Topic
from services.registry import topology
from services.registry.domain import Declared, Ledger, Stored, Terms
from services.registry.handlers import INPUTS, RegistryTask, Shown
from services.registry.tracing import Command
from tests.support.traced import Kept

M = TypeVar("M", bound=Message)
TERMS = Terms(("a", "b"), ("0", "1"), baseline=True, approve=False)
DEADLINE_MS = 900_000


def digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def resolved(run: str, outcome: str = "accepted", deadline_ms: int = 0) -> Emit:
    return said(
        topics.RETRAIN_RESOLVED.topic(),
        RetrainResolved(
            request_id=f"request-{run}",
            pipeline="flights",
            generation=1,
            outcome=outcome,
            reason="loss rose",
            run_id=run,
            trigger="drift",
            deadline_ms=deadline_ms,
        ),
    )


def trained(run: str, *names: str, outcome: str = "trained", reason: str = "") -> Emit:
    candidates = [
        Candidate(name=name, kind="lightgbm", digest=digest(name), bytes=10) for name in names
    ]
    return said(
        topics.MODEL_TRAINED.topic(),
        ModelTrained(
            run_id=run,
            pipeline="flights",
            generation=1,
            declaration=1,
            candidates=candidates,
            outcome=outcome,
            reason=reason,
        ),
    )


def evaluated(run: str, winner: str = "", champion: int = 0, outcome: str = "released") -> Emit:
    verdict = Verdict(
        name=winner, digest=digest(winner), gain=0.01, metrics=Metrics(auc=0.8, rows=5000)
    )
    return said(
        topics.MODEL_EVALUATED.topic(),
        ModelEvaluated(
            run_id=run,
            pipeline="flights",
            generation=1,
            verdicts=[verdict],
            champion_version=champion,
            winner=winner,
            winner_digest=digest(winner) if winner else "",
            outcome=outcome,
            reason="the gate's reason",
        ),
    )


def said(topic: Topic[M], message: M) -> Emit:
    return event(topic, message, id="any", source="test", time_ms=1, key="flights")


def carrying(traceparent: str, emit: Emit) -> Emit:
    """The same event as part of a trace."""
    return replace(emit, headers=[*emit.headers, ("traceparent", traceparent.encode())])


class House:
    """The registry's loop without a process."""

    def __init__(
        self, terms: Terms = TERMS, *, declared: bool = True, stored: Sequence[str] = "abc"
    ) -> None:
        self.terms, self.tracer = terms, Kept()
        self.clock = FakeClock()
        self.broker = MemoryBroker(self.clock)
        self.broker.create(topology.control())
        self.start()
        if declared:
            self.obey(
                lambda book, now_ms: book.declare(
                    Declared("flights", 0, 1, "name: flights", "d1", "me", now_ms)
                )
            )
        for name in stored:
            fact = Stored(digest(name), 10, "flights", "", self.clock.ms())
            self.obey(lambda book, now_ms, fact=fact: (fact, book.store(fact)))

    def start(self) -> None:
        """As a new process: nothing is known but the log."""
        self.inbox: Inbox[Command] = Inbox()
        self.shown = Shown()
        self.loop = Loop(
            LoopSpec(
                "registry",
                "",
                Subscription(
                    "registry", INPUTS, "registry-0", start=dict.fromkeys(INPUTS, "earliest")
                ),
                lambda: RegistryTask(
                    lambda _: self.terms,
                    self.inbox,
                    self.shown,
                    deadline_default_ms=DEADLINE_MS,
                    tracer=self.tracer,
                ),
                interval_s=0.0,
                wake=self.inbox.wake,
            ),
            self.broker,
            self.clock,
            tracer=self.tracer,
        )
        self.loop.open()
        self.loop.drain()

    def hear(self, *emits: Emit) -> None:
        self.broker.append(emits)
        self.loop.drain()

    def obey(self, command: Any) -> Any:
        future: Future[Any] = self.inbox.submit(command)
        self.loop.drain()
        return future.result(0)

    def run(self, name: str, winner: str, champion: int) -> None:
        """A whole run that releases."""
        self.hear(resolved(name), trained(name, winner), evaluated(name, winner, champion))

    @property
    def ledger(self) -> Ledger:
        with self.shown.reading() as ledger:
            return ledger

    def finished(self) -> list[tuple[str, str, int]]:
        return [
            (m.run_id, m.outcome, m.version)
            for m in self.messages(topics.RUN_FINISHED.topic(), RunFinished)
        ]

    def releases(self) -> list[ModelReleased]:
        return list(self.messages(topics.MODEL_RELEASED.topic(), ModelReleased))

    def declarations(self) -> list[PipelineDeclared]:
        return list(self.messages(topics.PIPELINES.topic(), PipelineDeclared))

    def events(self) -> list[RegistryEvent]:
        return list(self.messages(topics.REGISTRY_EVENTS.topic(), RegistryEvent))

    def messages(self, topic: Topic[Any], kind: type[M]) -> Iterator[M]:
        for record in self.broker.read(topic.name, 0, *self.broker.bounds(topic.name, 0)):
            yield read_event(record, kind).message
