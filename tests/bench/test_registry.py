"""How long the registry takes to make its state again from the log of record, and to answer with
the first page of a long list.

python -m pytest -m bench tests/bench/test_registry.py    → var/bench/registry.json
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from driftloop.contracts.registry_pb2 import ListModelsRequest, ListRunsRequest
from driftloop.contracts.registry_pb2_grpc import RegistryStub, add_RegistryServicer_to_server
from driftloop.kit import rpc
from driftloop.kit.clock import SystemClock
from services.registry.domain import Ledger
from services.registry.handlers import Shown
from services.registry.questions import Questions
from tests.unit.registry.history import lived
from tests.unit.registry.stories import House

OUT = Path(__file__).parents[2] / "var" / "bench" / "registry.json"
VERSIONS, RUNS, ASKED = 10_000, 100_000, 200
REBUILD_S_MAX, PAGE_MS_MAX = 30.0, 200.0


class Asked(Questions):
    """The questions over a ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._shown, self._clock = Shown(), SystemClock()
        self._shown.show(ledger)


@pytest.mark.bench
@pytest.mark.timeout(900)
def test_ten_thousand_versions_are_made_again_and_a_first_page_is_quick() -> None:
    live, log = lived(VERSIONS)
    house = House(declared=False, stored="")
    house.loop.close()
    house.broker.append(log)
    began = time.perf_counter()
    house.start()
    rebuilt_s = time.perf_counter() - began
    equal = house.ledger == live

    many, _ = lived(10, rejected=RUNS - 10)
    models = ListModelsRequest(parent="pipelines/flights", order_by="version desc")
    pinned = ListModelsRequest(parent="pipelines/flights", filter="pinned = true")
    runs = ListRunsRequest(parent="pipelines/flights")
    pages = {
        "models_page_p95_ms": _p95_ms(live, lambda stub: stub.ListModels(models)),
        "models_filtered_p95_ms": _p95_ms(live, lambda stub: stub.ListModels(pinned)),
        "runs_page_p95_ms": _p95_ms(many, lambda stub: stub.ListRuns(runs)),
    }
    figures = {
        "versions": VERSIONS,
        "runs": RUNS,
        "events": len(log),
        "rebuild_s": round(rebuilt_s, 2),
        "rebuild_equal": equal,
        **pages,
    }
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(figures, indent=1) + "\n")
    assert equal and rebuilt_s < REBUILD_S_MAX, figures
    assert max(pages.values()) < PAGE_MS_MAX, figures


def _p95_ms(ledger: Ledger, ask: Callable[[RegistryStub], Any]) -> float:
    """Of calls over a real server, each of a page of 100."""
    doors = Asked(ledger)
    server = rpc.serve([lambda s: add_RegistryServicer_to_server(doors, s)], "127.0.0.1", 0)
    took = []
    with rpc.channel(f"127.0.0.1:{server.port}") as channel:
        stub = RegistryStub(channel)
        for _ in range(ASKED):
            began = time.perf_counter()
            ask(stub)
            took.append(time.perf_counter() - began)
    server.stop(0)
    return round(sorted(took)[int(0.95 * ASKED)] * 1e3, 1)
