"""The real Prometheus for tests: found or brought by infra.tools.prometheus, on a free port.

Where it can't be had the tests that need it are skipped with the reason; not where CI=true, since
there nobody would read it.
"""

from __future__ import annotations

import json
import os
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pytest
import yaml

from driftloop.kit.errors import DriftloopError
from infra.local import ports
from infra.local.process import Process
from infra.tools import prometheus
from tests.support.eventually import eventually
from tests.support.process import beside

ANSWER_S = 10.0


def tools(environ: Mapping[str, str] = os.environ) -> prometheus.Tools:
    """The two binaries; else the test is skipped, or fails on a machine of CI's."""
    try:
        return prometheus.tools()
    except DriftloopError as reason:
        excused(str(reason), environ)


def excused(reason: str, environ: Mapping[str, str]) -> NoReturn:
    """Ends the test."""
    if environ.get("CI") == "true":
        pytest.fail(f"{reason}; with CI=true nothing is skipped")
    pytest.skip(reason)


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """What it said, and its exit status."""
    command = [str(tools().promtool), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=110)


class NotParsed(Exception):
    """Prometheus refuses the expression."""


@dataclass(frozen=True)
class Server:
    """A running one."""

    port: int
    process: Process

    def value(self, expression: str) -> list[dict[str, Any]]:
        """The series that the expression has now. Raises NotParsed."""
        found = self._asked("query", query=expression)
        return list(found["result"]) if found["resultType"] == "vector" else [found]

    def rules(self) -> dict[str, dict[str, Any]]:
        """Name → state of each rule that it runs."""
        groups = self._asked("rules")["groups"]
        return {rule["name"]: rule for group in groups for rule in group["rules"]}

    def targets(self) -> dict[str, str]:
        """Service → health of what is scraped."""
        active = self._asked("targets")["activeTargets"]
        return {target["labels"]["job"]: target["health"] for target in active}

    def _asked(self, what: str, **words: str) -> Any:
        url = f"http://{ports.HOST}:{self.port}/api/v1/{what}?{urllib.parse.urlencode(words)}"
        try:
            with urllib.request.urlopen(url, timeout=ANSWER_S) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise NotParsed(json.load(error)["error"]) from error

    def answers(self) -> bool:
        assert self.process.ended() is None, self.process.tail()
        try:
            with urllib.request.urlopen(f"http://{ports.HOST}:{self.port}/-/ready", timeout=1):
                return True
        except OSError:
            return False


@contextmanager
def running(config: Path, folder: Path) -> Iterator[Server]:
    """A server with `config`; data and log go to `folder`."""
    [port] = ports.free(1)
    command = tools().serving(config, folder / "data", port)
    with beside(command, folder / "prometheus.log", os.environ) as process:
        server = Server(port, process)
        eventually(server.answers, within_s=30)
        yield server


def config(folder: Path, targets: Mapping[str, str]) -> Path:
    """Our rules, looked at each second, over `targets`: service → host:port of its metrics."""
    path = folder / "prometheus.yml"
    whole = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(prometheus.FOLDER / "rules" / "*.yml")],
        "scrape_configs": [
            {"job_name": name, "static_configs": [{"targets": [address]}]}
            for name, address in targets.items()
        ],
    }
    path.write_text(yaml.safe_dump(whole))
    return path
