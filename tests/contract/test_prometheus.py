"""Rules, dashboards, runbook and scrape configs agree with each other and with what is counted.

What only the real Prometheus can say is in tests/integration/prometheus.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
import typer
import yaml

from driftloop.cli.app import app
from driftloop.kit.metrics.figures import declared
from infra.local import ports
from infra.local.layout import fixed
from infra.tools.prometheus import FOLDER
from tests.support import watched
from tests.support.promql import Wrong, labels_of, metrics_of

RUNBOOK = (FOLDER / "RUNBOOK.md").read_text()
ALERTS = watched.alerts()
KNOWN = watched.known()
BOARDS = watched.dashboards()
GRAFANA = FOLDER.parent / "grafana"
SOURCE = GRAFANA / "provisioning" / "datasources" / "prometheus.yaml"


def test_the_local_config_names_the_ports_of_make_run() -> None:
    shown = {
        job["job_name"]: job["static_configs"][0]["targets"]
        for job in read("prometheus.local.yml")["scrape_configs"]
    }

    wanted = {name: [f"{ports.HOST}:{port}"] for name, port in fixed().metrics.items()}
    assert shown == wanted


def test_the_config_of_compose_finds_each_service_by_its_name_on_the_same_port() -> None:
    jobs = read("prometheus.yml")["scrape_configs"]
    shown = {job["job_name"]: job["dns_sd_configs"][0] for job in jobs}

    assert {name: (found["names"], found["port"]) for name, found in shown.items()} == {
        name: ([name], port) for name, port in fixed().metrics.items()
    }
    assert {found["type"] for found in shown.values()} == {"A"}


def test_both_configs_differ_in_their_targets_alone() -> None:
    compose, local = read("prometheus.yml"), read("prometheus.local.yml")

    assert compose.pop("scrape_configs") and local.pop("scrape_configs")
    assert compose == local


@pytest.mark.parametrize("alert", ALERTS, ids=lambda rule: rule.name)
def test_an_alert_says_how_bad_it_is_and_what_to_do(alert: watched.Rule) -> None:
    assert alert.alert is not None
    said = alert.alert["annotations"]

    assert alert.alert["labels"]["severity"] in ("critical", "warning")
    assert re.fullmatch(r"\d+[mh]", alert.alert["for"])
    assert {"summary", "description", "runbook"} == set(said)
    assert said["runbook"].endswith(f" RUNBOOK.md#{alert.name.lower()}")
    assert len(said["runbook"]) > 60


def test_each_alert_has_its_section_in_the_runbook_and_each_section_its_alert() -> None:
    assert unlike([rule.name for rule in ALERTS], RUNBOOK) == []


def test_a_section_that_is_missing_or_left_over_is_seen() -> None:
    assert unlike(["A", "B"], "## A\n## C\n") == ["B", "C"]


def test_the_runbook_and_the_alerts_name_words_that_driftloop_has() -> None:
    command = typer.main.get_command(app)
    words = set(command.list_commands(typer.Context(command)))  # type: ignore[attr-defined]
    texts = [RUNBOOK, (FOLDER / "rules" / "alerts.yml").read_text()]
    named = {word for text in texts for word in re.findall(r"`driftloop ([a-z-]+)", text)}

    assert "status" in named
    assert named <= words


@pytest.mark.parametrize("alert", ALERTS, ids=lambda rule: rule.name)
def test_an_alert_has_a_test_in_which_it_fires(alert: watched.Rule) -> None:
    stories = [
        story
        for path in (FOLDER / "tests").glob("*.yml")
        for story in yaml.safe_load(path.read_text())["tests"]
        if story["name"].split()[0] == alert.name
    ]
    samples = [
        sample["labels"]
        for story in stories
        for asked in story["promql_expr_test"]
        for sample in asked["exp_samples"]
    ]

    assert any(f'alertname="{alert.name}"' in labels for labels in samples)


@pytest.mark.parametrize("rule", watched.rules(), ids=lambda rule: rule.name)
def test_a_rule_names_metrics_and_labels_that_exist(rule: watched.Rule) -> None:
    labels = labels_of(rule.text, KNOWN)

    if rule.alert is None:
        assert labels is not None
        level, metric, operation = rule.name.split(":")
        assert level == "_".join(sorted(labels, key=["job", "loop", "method", "pipeline",
                                                     "version", "stage"].index))  # fmt: skip
        assert metric.startswith("driftloop_") or metric in KNOWN
        assert operation


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_a_dashboard_names_metrics_and_labels_that_exist(name: str) -> None:
    for text in watched.asked(BOARDS[name]):
        labels_of(text, KNOWN)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ("driftloop_row_in_total", "no metric"),
        ('driftloop_rows_in_total{lop="order"}', "no label lop"),
        ("sum by (version) (driftloop_rows_in_total)", "no label version"),
        ('driftloop_realised_loss{lane="lop"}', "never lop"),
        ('driftloop_runs_total{outcome=~"failed|timedout"}', "never timedout"),
        ('driftloop_score_seconds_bucket{job="registry"}', "never registry"),
        ("histogram_quantile(0.9, sum by (pipeline) (driftloop_score_seconds_bucket))", "label le"),
        ("sum by (job) (up) / sum by (loop) (driftloop_lag_records)", "never match"),
        ("driftloop_psi > 1 and on (version) driftloop_model_version", "no label version"),
        ("sum(up) up", "not expected"),
        ("sum by (job) (up", "expected"),
        ("up ! 1", "can't read"),
    ],
)
def test_a_wrong_expression_is_refused(wrong: str, named: str) -> None:
    with pytest.raises(Wrong, match=named):
        labels_of(wrong, KNOWN)


def test_what_is_counted_and_what_is_recorded_is_read_somewhere() -> None:
    named = {name for text in watched.everything_asked().values() for name in metrics_of(text)}
    recorded = {rule.name for rule in watched.rules() if rule.alert is None}

    assert recorded - named == set()
    assert [
        each.name
        for each in declared()
        if not any(re.fullmatch(rf"driftloop_{each.name}(_bucket|_count|_sum)?", n) for n in named)
    ] == []


def test_what_no_service_exposes_is_named() -> None:
    page = '# TYPE driftloop_psi gauge\ndriftloop_lag_records{loop="order"} 1\n'

    missing = watched.never_exposed([page])

    assert "driftloop_psi" in missing
    assert "driftloop_lag_records" not in missing
    assert not {"up", "ALERTS", "job:up:sum"} & set(missing)


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_a_dashboard_is_one_that_grafana_takes(name: str) -> None:
    board = BOARDS[name]
    panels = list(watched.panels(board))

    assert board["schemaVersion"] >= 39
    assert len({panel["id"] for panel in panels}) == len(panels) > 10
    assert len({panel["title"] for panel in panels if panel["type"] != "row"}) > 10
    assert overlapping(panels) == []
    assert {choice["name"] for choice in board["templating"]["list"]} == {
        {"loop": "pipeline", "services": "service"}[name]
    }


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_a_panel_says_what_it_shows_in_which_unit(name: str) -> None:
    for panel in watched.panels(BOARDS[name]):
        if panel["type"] != "row":
            assert panel["description"].endswith("."), panel["title"]
            assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
            letters = [target["refId"] for target in panel["targets"]]
            assert letters and len(set(letters)) == len(letters), panel["title"]


def test_dashboards_read_from_the_provisioned_source_alone() -> None:
    [source] = yaml.safe_load(SOURCE.read_text())["datasources"]

    assert {uid for board in BOARDS.values() for uid in uids(board)} == {source["uid"]}


def test_compose_mounts_what_prometheus_and_grafana_read() -> None:
    services = yaml.safe_load((FOLDER.parent / "compose.yaml").read_text())["services"]
    provider = yaml.safe_load((GRAFANA / "provisioning/dashboards/driftloop.yaml").read_text())
    path = provider["providers"][0]["options"]["path"]

    assert f"./grafana/dashboards:{path}:ro" in services["grafana"]["volumes"]
    assert "./grafana/provisioning:/etc/grafana/provisioning:ro" in services["grafana"]["volumes"]
    assert "./prometheus:/etc/prometheus:ro" in services["prometheus"]["volumes"]
    assert set(ports.GRPC) < set(services)


def test_releases_and_drifts_are_marked_on_the_board_of_the_loop() -> None:
    notes = BOARDS["loop"]["annotations"]["list"]

    assert {note["name"] for note in notes} == {"Releases", "Drifts"}


def test_panels_that_overlap_are_seen() -> None:
    place = {"x": 0, "y": 0, "w": 12, "h": 8}
    panels = [{"id": 1, "gridPos": place}, {"id": 2, "gridPos": {**place, "x": 11}}]

    assert overlapping(panels) == [(1, 2)]


def read(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load((FOLDER / name).read_text()))


def unlike(alerts: list[str], runbook: str) -> list[str]:
    """Alerts without a section, and sections without an alert."""
    return sorted(set(alerts) ^ set(re.findall(r"^## (.+)$", runbook, re.MULTILINE)))


def uids(part: Any) -> set[str]:
    """Of all data sources, wherever they stand."""
    if isinstance(part, list):
        return {uid for each in part for uid in uids(each)}
    if not isinstance(part, dict):
        return set()
    own = {part["datasource"]["uid"]} if "datasource" in part else set()
    return own | {uid for each in part.values() for uid in uids(each)}


def overlapping(panels: list[dict[str, Any]]) -> list[tuple[int, int]]:
    """Pairs of panels that share a cell of the grid."""
    taken: dict[tuple[int, int], int] = {}
    pairs = set()
    for panel in panels:
        at = panel["gridPos"]
        for cell in [(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])]:
            if cell in taken:
                pairs.add((taken[cell], panel["id"]))
            taken[cell] = panel["id"]
    return sorted(pairs)
