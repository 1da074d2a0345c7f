"""The page with a year of buckets: how long until it is read, asked, and opened again.

python -m pytest -m bench tests/bench/test_web.py    → var/bench/web.json
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil
import pytest

from driftloop.kit.kafka import KafkaBroker
from tests.integration.web.page import Page, opened
from tests.support.eventually import eventually
from tests.support.kafka import SharedKafka
from tests.support.year import fill

OUT = Path(__file__).parents[2] / "var" / "bench" / "web.json"
API = "/api/pipelines/flights"
TRIES = 30


@pytest.mark.bench
@pytest.mark.timeout(600)
def test_a_year_of_buckets_is_answered_within_100_ms(
    kafka: SharedKafka, prefix: str, tmp_path: Path
) -> None:
    broker = KafkaBroker(kafka.properties, prefix)
    messages = fill(broker)
    broker.close()
    page = Page(kafka, prefix, tmp_path)
    begun = time.perf_counter()
    with opened(page):
        up_s = time.perf_counter() - begun
        eventually(lambda: len(page.get(API)["buckets"]["rows"]) == 1_460, within_s=120)
        eventually(lambda: page.get(API)["totals"]["predicted"] > 320_000, within_s=120)
        read_s = time.perf_counter() - begun
        with httpx.Client(base_url=page.url) as client:
            plain = [_ms(lambda: client.get(API)) for _ in range(TRIES)]
            answer = client.get(API)
        process = psutil.Process(page.pid)
        figures = {
            "messages": messages,
            "up_s": round(up_s, 2),
            "read_s": round(read_s, 2),
            "get_ms_p50": round(statistics.median(plain), 1),
            "get_ms_max": round(max(plain), 1),
            "document_kb": round(len(answer.content) / 1e3),
            "gzip_kb": round(int(answer.headers["content-length"]) / 1e3),
            "rss_mb": round(process.memory_info().rss / 1e6),
            "cpu_s": round(sum(process.cpu_times()[:2]), 2),
        }
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(figures, indent=1) + "\n")

    assert figures["get_ms_p50"] < 100, figures


def _ms(ask: Callable[[], httpx.Response]) -> float:
    begun = time.perf_counter()
    assert ask().status_code == 200
    return (time.perf_counter() - begun) * 1_000
