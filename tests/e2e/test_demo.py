"""`make demo` in its short form: the first 36 days of the flights, faster than by default."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from infra.demo.faults import BROKEN, EVERY
from tests.support.eventually import eventually

pytestmark = pytest.mark.timeout(240)
ROOT = Path(__file__).resolve().parents[2]
KEYS = {
    "days", "wall_s", "setup_s", "records", "scores", "runs", "triggers", "drift_to_redeployed_s",
    "go_live_delay_event_h", "latency_ms", "cpu_s", "rss_mb", "rows_per_s",
}  # fmt: skip


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


def test_every_flight_is_accounted_for_and_the_report_is_whole(tmp_path: Path) -> None:
    process = demo(tmp_path / "demo", DAYS="36", SPEED="300000")
    said, _ = process.communicate(timeout=200)
    assert process.returncode == 0, said
    report = json.loads((tmp_path / "demo" / "report.json").read_text())
    assert set(report) >= KEYS
    records = report["records"]
    assert (records["missing"], records["doubled"]) == (0, 0)
    assert records["predicted"] == records["distinct"] > 30_000
    assert records["dead"] == EVERY * len(BROKEN)
    assert [run["trigger"] for run in report["runs"]][:1] == ["first"]
    assert set(report["cpu_s"]) >= {"kafka", "ingestion", "features", "serving", "monitor"}
    html = (tmp_path / "demo" / "report.html").read_text()
    assert f"{records['distinct']:,}" in html
    assert "<script" not in html
    assert 'src="http' not in html


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
