"""What the registry tells on /metrics of its ledger."""

from __future__ import annotations

from driftloop.kit.metrics import Metrics
from services.registry import domain
from services.registry.handlers import Shown
from services.registry.meter import Meter
from tests.support.figures import samples, value


def a_ledger() -> domain.Ledger:
    ledger = domain.Ledger()
    ledger.apply(domain.Declared("sea", 1, 1, "", "d", "ada", 0))
    ledger.apply(domain.Stored("a", 700, "sea", "run-1", 0))
    ledger.apply(domain.Stored("b", 300, "sea", "run-1", 0))
    return ledger


def ours(page: str) -> list[str]:
    names = ("driftloop_pipelines", "driftloop_models", "driftloop_artifact_bytes")
    return [name for name, _, _ in samples(page) if name in names]


def test_the_owner_of_the_loop_tells_what_the_ledger_holds_and_who_stands_by_nothing() -> None:
    metrics, shown = Metrics(), Shown()
    metrics.before_scrape(Meter(metrics, shown).show)
    assert ours(metrics.text()) == []
    shown.show(a_ledger())
    page = metrics.text()
    assert value(page, "driftloop_pipelines") == 1
    assert value(page, "driftloop_artifact_bytes") == 1_000
    shown.show(None)
    assert ours(metrics.text()) == []
