"""Who scrapes and hangs holds up nobody: neither who scrapes next, nor what is counted."""

from __future__ import annotations

import time
from contextlib import closing

import pytest

from driftloop.kit.metrics import Metrics
from infra.local.ports import HOST
from tests.support import figures
from tests.support.eventually import eventually
from tests.support.scrapers import ASKS, hung

LARGE = 8_000_000  # bytes: more than any buffer on its way takes


@pytest.mark.parametrize("ask", ASKS, ids=["silent", "half a question", "never reads"])
def test_a_scraper_that_hangs_holds_nobody_up(ask: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = Metrics()
    monkeypatch.setattr(metrics, "text", lambda: "# " + "x" * LARGE)
    port = metrics.serve(HOST, 0).port

    with closing(hung(port, ask)) as reader:
        if ask == ASKS[-1]:
            eventually(lambda: reader.recv(4) == b"HTTP")  # in the midst of the answer
        begun_s = time.monotonic()
        assert len(figures.page(port)) > LARGE
        metrics.forget("flights")
        assert time.monotonic() - begun_s < 5.0
