"""A long history of a registry, made by its own book: each run uploads, is judged and released, or
is rejected; every tenth version is pinned.
"""

from __future__ import annotations

from driftloop.contracts import topics
from driftloop.contracts.model_pb2 import Candidate, Metrics, ModelEvaluated, ModelTrained, Verdict
from driftloop.kit.events import event
from driftloop.kit.topic import Emit
from services.registry import codec
from services.registry.domain import Book, Declared, Fact, Ledger, Opened, Stored
from tests.unit.registry.stories import TERMS, digest


def lived(versions: int, rejected: int = 0) -> tuple[Ledger, list[Emit]]:
    """The ledger, and its log of record."""
    book = Book(Ledger(), lambda _: TERMS)
    _, facts = book.declare(Declared("flights", 0, 1, "name: flights", "d1", "me", 1))
    for number in range(versions + rejected):
        facts += _run(book, number, released=number < versions)
    return book.ledger, [_said(fact) for fact in facts]


def _said(fact: Fact) -> Emit:
    topic = topics.REGISTRY_EVENTS.topic()
    return event(topic, codec.event(fact), id="any", source="test", time_ms=1, key="flights")


def _run(book: Book, number: int, *, released: bool) -> list[Fact]:
    name, winner, at_ms = f"run-{number}", f"model-{number}", 1_000 * number
    request = f"request-{number}"
    opened = Opened(name, "flights", 1, "drift", "loss rose", request, at_ms, at_ms + 900_000)
    facts = book.learn(opened, at_ms)
    if released:
        facts += book.store(Stored(digest(winner), 100_000, "flights", name, at_ms))
    facts += book.learn(codec.trained(_trained(name, winner), at_ms + 400), at_ms + 400)
    champion = book.ledger.champion("flights")
    judged = _evaluated(name, winner, champion.version if champion else 0, released=released)
    facts += book.learn(codec.evaluated(judged, at_ms + 500), at_ms + 500)
    if released and number % 10 == 0:
        facts += _pinned(book, number, at_ms)
    return facts


def _pinned(book: Book, number: int, at_ms: int) -> list[Fact]:
    tags, version = {"ten": str(number)}, book.ledger.newest("flights")
    return book.mark("flights", version, pinned=True, note=None, tags=tags, by="me", now_ms=at_ms)


def _trained(name: str, winner: str) -> ModelTrained:
    candidate = Candidate(name="gbm", kind="lightgbm", digest=digest(winner), bytes=100_000)
    return ModelTrained(
        run_id=name,
        pipeline="flights",
        generation=1,
        declaration=1,
        candidates=[candidate],
        outcome="trained",
    )


def _evaluated(name: str, winner: str, champion: int, *, released: bool) -> ModelEvaluated:
    metrics = Metrics(auc=0.8, log_loss=0.4, rows=5000)
    verdict = Verdict(name="gbm", digest=digest(winner), gain=0.01, metrics=metrics)
    return ModelEvaluated(
        run_id=name,
        pipeline="flights",
        generation=1,
        verdicts=[verdict],
        champion_version=champion,
        winner="gbm",
        winner_digest=digest(winner),
        outcome="released" if released else "rejected",
        reason="the gate's reason",
    )
