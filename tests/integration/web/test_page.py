"""The page's server as a process against a real Kafka and a real registry: figures, events,
changes, and everything around it restarted while a page is open."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import httpx
import pytest

from driftloop.contracts.registry_pb2_grpc import RegistryStub
from driftloop.kit.kafka import KafkaBroker
from infra.demo import figures, report
from infra.local.kafka import Kafka
from tests.integration.running import Service, running
from tests.integration.test_registry import _applied
from tests.integration.web.page import Browser, Page, opened
from tests.support.eventually import eventually
from tests.support.kafka import SharedKafka
from tests.support.year import fill
from tests.unit.registry.stories import evaluated, resolved, trained
from tests.unit.registry.test_rpc import uploaded

API = "/api/pipelines/flights"
DAYS = 3


def test_the_page_tells_the_topics_figures_and_ends_within_seconds(
    kafka: SharedKafka, prefix: str, tmp_path: Path
) -> None:
    broker = KafkaBroker(kafka.properties, prefix)
    fill(broker, days=DAYS)
    with opened(Page(kafka, prefix, tmp_path)) as page, Browser(page, "flights") as browser:
        eventually(lambda: len(page.get(API)["buckets"]["rows"]) == 4 * DAYS, within_s=30)
        eventually(lambda: page.get(API)["totals"]["runs"] == {"rejected": 6, "released": 6})
        eventually(lambda: len(page.get(API)["triggers"]) == 12)
        told = page.get(API)
        for run in figures.runs(report.control(broker, "flights"), 4):
            mine = page.get(f"{API}/runs/{run['id']}")
            assert (mine["outcome"], mine["version"] or 0) == (run["outcome"], run["version"])
        assert {s["service"] for s in page.get("/api/services")} >= {"serving", "registry"}
        wanted = {name: told[name] for name in ("buckets", "totals", "models", "bands", "psi")}
        eventually(lambda: {name: browser.document.get(name) for name in wanted} == wanted)

        assert page.end() == 0
    broker.close()


def test_a_version_is_promoted_and_rolled_back_and_the_registry_may_be_away(
    kafka: SharedKafka, prefix: str, tmp_path: Path
) -> None:
    registry = Service("registry", kafka, prefix, tmp_path)
    broker = KafkaBroker(kafka.properties, prefix)
    page = Page(kafka, prefix, tmp_path, {"DRIFTLOOP_REGISTRY": registry.address})
    with running(registry), registry.channel() as channel, opened(page):
        stub = RegistryStub(channel)
        eventually(lambda: _applied(stub), 60)
        uploaded(stub, b"a")
        uploaded(stub, b"b")
        broker.append([resolved("r1"), trained("r1", "a"), evaluated("r1", "a")])
        broker.append([resolved("r2"), trained("r2", "b"), evaluated("r2", "b", champion=1)])
        with Browser(page, "flights") as browser:
            eventually(lambda: browser.document.get("model_version") == 2, within_s=30)

            back = page.ask(f"{API}/rollback", {"reason": "worse"})
            assert (back.status_code, back.json()["version"]) == (200, 1)
            eventually(lambda: browser.document["model_version"] == 1)
            last = browser.document["bands"][-1]
            assert (last["cause"], last["reason"]) == ("rollback", "worse")

            again = page.ask(f"{API}/promote", {"version": 2, "reason": "after all"})
            assert again.json() == {"version": 2, "message": "version 2 is live, 1 was before"}
            wrong = page.ask(f"{API}/promote", {"version": 9})
            assert (wrong.status_code, "9" in wrong.json()["error"]) == (404, True)
            other = page.ask(f"{API}/promote", {"version": 1}, origin="http://evil.example")
            assert other.status_code == 403

            registry.end(signal.SIGKILL)
            away = page.ask(f"{API}/rollback", {})
            assert (away.status_code, "registry" in away.json()["error"]) == (503, True)
            eventually(lambda: any("registry" in each for each in browser.troubles), within_s=30)
            registry.start()
            eventually(lambda: done(page.ask(f"{API}/rollback", {})), within_s=60)
            eventually(lambda: browser.document["model_version"] == 1)
            assert browser.opened == 1
    broker.close()


@pytest.mark.timeout(300)  # three starts; on a busy machine a broker takes up to a minute
def test_a_page_stays_open_while_kafka_and_its_own_server_are_restarted(tmp_path: Path) -> None:
    first = Kafka(tmp_path / "kafka", brief=True).start()
    port = int(first.bootstrap.rpartition(":")[2])
    where = SharedKafka(first.bootstrap, {"bootstrap.servers": first.bootstrap})
    broker = KafkaBroker(where.properties)
    fill(broker, days=1)
    page = Page(where, "", tmp_path)
    with opened(page), Browser(page, "flights") as browser:
        eventually(lambda: rows(browser) == 4, within_s=30)

        first.stop()
        eventually(lambda: any("no broker answers" in t for t in browser.troubles), within_s=30)
        assert rows(browser) == 4
        second = Kafka(tmp_path / "kafka", port, brief=True).start()
        eventually(lambda: "no broker" not in browser.troubles[-1], within_s=60)
        fill(broker, pipeline="flights", days=2)
        eventually(lambda: rows(browser) == 8, within_s=30)
        assert browser.opened == 1

        page.end(signal.SIGKILL)
        page.start()
        eventually(lambda: browser.opened > 1, within_s=60)
        eventually(lambda: browser.document["buckets"] == page.get(API)["buckets"], within_s=30)
        second.stop()
    broker.close()


def done(answer: httpx.Response) -> bool:
    assert answer.status_code == 200, answer.text
    return True


def rows(browser: Browser) -> int:
    """Buckets on the time axis of the open page."""
    return len(browser.document.get("buckets", {}).get("rows", ()))


def test_a_port_that_is_taken_is_said_in_one_line(
    kafka: SharedKafka, prefix: str, tmp_path: Path
) -> None:
    page = Page(kafka, prefix, tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", page.port))
        taken.listen()
        page.start()

        assert page.status() == 2

    assert page.log.read_text().count("\n") == 1
    assert f"port {page.port} is in use" in page.log.read_text()
