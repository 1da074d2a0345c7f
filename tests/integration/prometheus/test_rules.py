"""What the real Prometheus says of our configs, rules and dashboards."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local.ports import GRPC, HOST, free
from infra.tools.prometheus import FOLDER
from tests.support import prometheus, watched
from tests.support.eventually import eventually
from tests.support.prometheus import NotParsed, Server, promtool


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One that looks for the seven where nothing listens."""
    folder = tmp_path_factory.mktemp("prometheus")
    targets = dict(zip(GRPC, (f"{HOST}:{port}" for port in free(len(GRPC))), strict=True))
    with prometheus.running(prometheus.config(folder, targets), folder) as server:
        yield server


@pytest.mark.parametrize("name", ["prometheus.yml", "prometheus.local.yml"])
def test_promtool_takes_the_config_and_its_rules(name: str) -> None:
    done = promtool("check", "config", "--lint=all", "--lint-fatal", FOLDER / name)

    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_refuses_a_rule_that_is_none(tmp_path: Path) -> None:
    config = broken(tmp_path, "recording.yml", "sum by (job) (up)", "sum by job (up)")

    assert promtool("check", "config", config).returncode != 0


def test_each_alert_fires_for_its_fault_and_is_silent_without() -> None:
    done = promtool("test", "rules", *sorted((FOLDER / "tests").glob("*.yml")))

    assert done.returncode == 0, done.stdout + done.stderr


def test_an_alert_that_stays_silent_is_seen(tmp_path: Path) -> None:
    broken(tmp_path, "alerts.yml", "process_max_fds > 0.8", "process_max_fds > 0.9")

    done = promtool("test", "rules", tmp_path / "tests" / "services.yml")

    assert done.returncode != 0
    assert "DriftloopFewFilesLeft" in done.stdout + done.stderr


def test_prometheus_evaluates_every_rule(server: Server) -> None:
    eventually(lambda: {rule["health"] for rule in server.rules().values()} == {"ok"}, within_s=10)

    assert set(server.rules()) == {rule.name for rule in watched.rules()}


def test_prometheus_parses_every_expression_of_rules_and_dashboards(server: Server) -> None:
    asked = watched.everything_asked()

    assert {where: text for where, text in asked.items() if not parses(server, text)} == {}


def test_an_expression_that_prometheus_refuses_is_seen(server: Server) -> None:
    assert not parses(server, "sum by (job) (rate(up))")


def test_an_alert_fires_where_no_service_answers(server: Server) -> None:
    down = next(rule.text for rule in watched.alerts() if rule.name == "DriftloopServiceDown")

    assert {each["metric"]["job"] for each in server.value(down)} == set(GRPC)


def parses(server: Server, expression: str) -> bool:
    try:
        server.value(expression)
    except NotParsed:
        return False
    return True


def broken(folder: Path, name: str, old: str, new: str) -> Path:
    """The config and its rules with `old` replaced in rules/`name`."""
    shutil.copytree(FOLDER, folder, dirs_exist_ok=True)
    path = folder / "rules" / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return folder / "prometheus.yml"
