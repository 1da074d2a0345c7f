"""A real Prometheus beside the whole product: what rules and dashboards ask for is there, and on a
healthy stack nothing alarms. Before the tests that kill: a service that starts begins at 0."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from infra.local.ports import HOST
from tests.e2e.conftest import Looped
from tests.support import prometheus, watched
from tests.support.eventually import eventually
from tests.support.prometheus import Server
from tests.support.promql import metrics_of

pytestmark = pytest.mark.timeout(240)

ABSENT = {
    "driftloop_dead_letters_total",  # no record of this stream is bad
    "driftloop_psi",  # compares with a version's first 5,000 rows: more than this stream has
}
# What has a value only where there is something to tell.
FILTER = re.compile(r"== 0$|> 0$|!=|unless|ALERTS")
CALM_S = 10  # rules are looked at each second


def test_each_metric_that_rules_and_dashboards_name_is_told_in_a_run(looped: Looped) -> None:
    assert set(watched.never_exposed(looped.pages.values())) - ABSENT == set()


def test_no_panel_is_empty_and_no_alert_stirs_on_a_healthy_stack(
    looped: Looped, tmp_path: Path
) -> None:
    metrics = looped.world.stack.layout.metrics
    targets = {name: f"{HOST}:{port}" for name, port in metrics.items()}
    with prometheus.running(prometheus.config(tmp_path, targets), tmp_path) as server:
        eventually(lambda: set(server.targets().values()) == {"up"}, within_s=20)
        eventually(lambda: answered(server), within_s=30, every_s=0.5)
        assert {rule["health"] for rule in server.rules().values()} == {"ok"}
        eventually(lambda: calm(server), within_s=30, every_s=0.5)


def answered(server: Server) -> bool:
    """No expression of a dashboard is empty, but for those that show nothing where all is well."""
    empty = {
        where: text
        for where, text in watched.everything_asked().items()
        if where.startswith("dashboard")
        and not metrics_of(text) & ABSENT
        and not FILTER.search(text)
        and not server.value(text)
    }
    assert empty == {}
    return True


def calm(server: Server) -> bool:
    """For a while no alert has fired, and none would if it stayed so."""
    (looked,) = server.value(f'count_over_time(job:up:sum{{job="serving"}}[{CALM_S}s])')
    stirred = server.value(f"last_over_time(ALERTS[{CALM_S}s])")
    assert {each["metric"]["alertname"] for each in stirred} == set()
    return int(looked["value"][1]) >= CALM_S - 1
