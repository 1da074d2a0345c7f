"""How soon a year stands on the page: 1,460 buckets and their triggers, in a real browser.

python -m pytest -m bench tests/bench/test_page.py writes var/bench/page.json.
"""

from __future__ import annotations

import contextlib
import json
import platform
import statistics
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from driftloop.kit.kafka import KafkaBroker
from tests.support.kafka import SharedKafka
from tests.support.page import WAIT_MS, chromium, opened, served
from tests.support.year import fill

TRIES = 7
OPENS_S_MAX = 1.0
FILE = Path("var/bench/page.json")

pytestmark = pytest.mark.bench


def test_a_year_opens_within_a_second(kafka: SharedKafka, prefix: str) -> None:
    with contextlib.closing(KafkaBroker(kafka.properties, prefix)) as broker:
        fill(broker)
    environ = {"KAFKA_BOOTSTRAP": kafka.bootstrap, "DRIFTLOOP_NAMESPACE": prefix}
    with served(environ) as address, chromium() as launched:
        read(launched, address)
        told = [measured(launched, address) for _ in range(TRIES)]
    drawn_s = statistics.median(each["drawn_s"] for each in told)
    figures = {
        "drawn_s": drawn_s,
        "drawn_s_max": max(each["drawn_s"] for each in told),
        "buckets": told[0]["buckets"],
        "machine": f"{platform.processor() or platform.machine()}, Chromium {launched.version}",
    }
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(json.dumps(figures, indent=1) + "\n")
    assert figures["buckets"] == 1_460
    assert drawn_s <= OPENS_S_MAX, figures


def read(launched: Browser, address: str) -> None:
    """Until the server has read all of the log."""
    with opened(launched, address) as there:
        drifts = there.page.locator('[data-total="drifts"]')
        expect(drifts).to_have_text("11", timeout=WAIT_MS)


def measured(launched: Browser, address: str) -> dict[str, float]:
    """One opening in a new context, so with nothing cached."""
    with opened(launched, address) as there:
        return {
            "drawn_s": there.drawn_s(),
            "buckets": there.page.evaluate(
                "fetch('api/pipelines/flights').then((a) => a.json())"
                ".then((all) => all.buckets.start_us.length)"
            ),
        }
