"""`make demo` in its short form: the first 36 days of the flights, faster than by default."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from playwright.sync_api import Browser

from infra.demo.faults import BROKEN, EVERY
from tests.support.eventually import eventually
from tests.support.page import opened

pytestmark = pytest.mark.timeout(240)
ROOT = Path(__file__).resolve().parents[2]
KEYS = {
    "days", "wall_s", "setup_s", "records", "scores", "runs", "triggers", "drift_to_redeployed_s",
    "go_live_delay_event_h", "latency_ms", "cpu_s", "rss_mb", "rows_per_s",
}  # fmt: skip
SCORES = ("loop-auc", "loop-log_loss", "frozen-auc", "frozen-log_loss")
COUNTS = ("predicted", "scored", "unlabelled", "runs", "releases")


def demo(folder: Path, **settings: str) -> subprocess.Popen[str]:
    environ = {**os.environ, "DEMO_FOLDER": str(folder), **settings}
    return subprocess.Popen(
        [sys.executable, "-m", "infra.demo"],
        cwd=ROOT,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@dataclass(frozen=True)
class Replayed:
    """A demo that has made its report and whose stack is still up. `page`: its address."""

    folder: Path
    report: dict[str, Any]
    page: str


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replayed]:
    folder = tmp_path_factory.mktemp("replayed") / "demo"
    with demo(folder, DAYS="36", SPEED="300000", KEEP="1") as process:
        assert process.stdout is not None
        said: list[str] = []
        while not said or (said[-1] and not said[-1].startswith("the stack stays up")):
            said.append(process.stdout.readline())  # "" at its end
        report = folder / "report.json"
        assert report.exists(), "".join(said)
        [page] = [line.split()[-1] for line in said if line.startswith("the page of the loop")]
        yield Replayed(folder, json.loads(report.read_text()), page)
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=60)
    assert process.returncode == 0, "".join(said) + rest


def test_every_flight_is_accounted_for_and_the_report_is_whole(replayed: Replayed) -> None:
    report = replayed.report
    assert set(report) >= KEYS
    records = report["records"]
    assert (records["missing"], records["doubled"]) == (0, 0)
    assert records["predicted"] == records["distinct"] > 30_000
    assert records["dead"] == EVERY * len(BROKEN)
    assert [run["trigger"] for run in report["runs"]][:1] == ["first"]
    assert set(report["cpu_s"]) >= {"kafka", "ingestion", "features", "serving", "monitor"}
    html = (replayed.folder / "report.html").read_text()
    assert f"{records['distinct']:,}" in html
    assert "<script" not in html
    assert 'src="http' not in html


def test_the_page_has_the_reports_figures(replayed: Replayed, browser: Browser) -> None:
    report, records = replayed.report, replayed.report["records"]
    with opened(browser, replayed.page) as there:
        shown = {name: there.total(name) for name in (*SCORES, *COUNTS)}
        assert there.wrong == []
    for name in SCORES:
        lane, metric = name.split("-")
        figure = (report["scores"][lane] or {}).get(metric)
        assert shown[name] == ("–" if figure is None else f"{figure:.4f}")
    wanted = {**records, "runs": len(report["runs"]), "releases": _released(report)}
    assert {name: shown[name] for name in COUNTS} == {n: f"{wanted[n]:,}" for n in COUNTS}


def _released(report: dict[str, Any]) -> int:
    return sum(run["outcome"] == "released" for run in report["runs"])


@pytest.mark.soak  # the short form is the end of `replayed`: Ctrl-C there too
def test_ctrl_c_stops_everything(tmp_path: Path) -> None:
    process = demo(tmp_path / "demo", DAYS="36")
    log = tmp_path / "demo" / "log" / "serving.log"
    eventually(lambda: log.exists() and "started" in log.read_text(), within_s=60)
    family = psutil.Process(process.pid).children(recursive=True)
    assert len(family) > 8
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130, said
    _, alive = psutil.wait_procs(family, timeout=10)
    assert alive == []


def test_a_setting_that_is_no_number_is_named_in_one_line(tmp_path: Path) -> None:
    process = demo(tmp_path / "demo", DAYS="many")
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "DAYS is 'many', wanted a number from 1 to 365" in " ".join(said.split())
