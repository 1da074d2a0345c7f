"""What Prometheus and Grafana are given: rules, dashboards, and the metrics that they may name."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from driftloop.kit.metrics.cells import Figure
from driftloop.kit.metrics.figures import declared
from infra.local import ports
from infra.tools.prometheus import FOLDER
from tests.support.promql import Known, labels_of, metrics_of

DASHBOARDS = FOLDER.parent / "grafana" / "dashboards"
RULES = FOLDER / "rules"
SCRAPED = frozenset({"job", "instance"})
FIRING = SCRAPED | {"alertname", "alertstate", "severity", "pipeline", "loop"}
PROCESS = (
    "start_time_seconds",
    "cpu_seconds_total",
    "resident_memory_bytes",
    "open_fds",
    "max_fds",
)
VARIABLES = {
    "$__rate_interval": "1m",
    "$__range": "6h",
    "$pipeline": ".+",
    "$service": ".+",
}


@dataclass(frozen=True)
class Rule:
    """A rule: `name` is what it records, or the alert's."""

    name: str
    text: str
    alert: Mapping[str, Any] | None  # the whole of it, for an alert


def rules(folder: Path = RULES) -> list[Rule]:
    """In the order in which they may name each other."""
    found = []
    for name in ("recording", "alerts"):
        for group in yaml.safe_load((folder / f"{name}.yml").read_text())["groups"]:
            found += [_rule(each) for each in group["rules"]]
    return found


def alerts() -> list[Rule]:
    return [rule for rule in rules() if rule.alert is not None]


def known() -> dict[str, Known]:
    """The kit's table, what a scrape adds, and what the rules record."""
    found = {"up": Known(SCRAPED, {"job": list(ports.GRPC)}), "ALERTS": Known(FIRING)}
    found |= {f"process_{name}": Known(SCRAPED) for name in PROCESS}
    for figure in declared():
        found |= _figure(figure)
    for rule in rules():
        if rule.alert is None:
            found[rule.name] = Known(labels_of(rule.text, found) or frozenset())
    return found


def dashboards(folder: Path = DASHBOARDS) -> dict[str, dict[str, Any]]:
    """File's name → what stands in it."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}


def panels(board: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """All of them, those in rows too."""
    for panel in board["panels"]:
        yield panel
        yield from panel.get("panels", [])


def asked(board: Mapping[str, Any]) -> list[str]:
    """The expressions of a dashboard with its variables filled in: panels, annotations, choices."""
    texts = [target["expr"] for panel in panels(board) for target in panel.get("targets", [])]
    texts += [note["expr"] for note in board["annotations"]["list"] if "expr" in note]
    for choice in board["templating"]["list"]:
        if choice["type"] == "query":
            texts.append(re.sub(r"label_values\((.*), \w+\)", r"\1", choice["query"]["query"]))
    return [_filled(text) for text in texts]


def everything_asked() -> dict[str, str]:
    """Where it stands → expression; for all rules and dashboards."""
    found = {f"rule {rule.name}": rule.text for rule in rules()}
    for name, board in dashboards().items():
        found |= {f"dashboard {name} #{n}": text for n, text in enumerate(asked(board))}
    return found


def never_exposed(pages: Iterable[str]) -> list[str]:
    """The metrics that rules and dashboards name and no page of a running stack has a value for:
    those that Prometheus itself makes (`up`, what rules record) left out."""
    there = set(re.findall(r"^(\w+)[{ ]", "\n".join(pages), re.MULTILINE))
    made = {rule.name for rule in rules()} | {"up", "ALERTS"}
    named = {name for text in everything_asked().values() for name in metrics_of(text)}
    return sorted(named - made - there)


def _rule(each: Mapping[str, Any]) -> Rule:
    if "record" in each:
        return Rule(each["record"], each["expr"], None)
    return Rule(each["alert"], each["expr"], each)


def _figure(figure: Figure) -> dict[str, Known]:
    """The names that one row of the kit's table has on a page."""
    name = f"driftloop_{figure.name}"
    values = {"job": figure.owners, **{label.name: label.values for label in figure.labels}}
    plain = Known(frozenset(values) | SCRAPED, values)
    if figure.kind != "histogram":
        return {name: plain}
    bucket = Known(plain.labels | {"le"}, values)
    return {f"{name}_bucket": bucket, f"{name}_count": plain, f"{name}_sum": plain}


def _filled(text: str) -> str:
    for name, value in VARIABLES.items():
        text = text.replace(name, value)
    assert "$" not in text, text
    return text
