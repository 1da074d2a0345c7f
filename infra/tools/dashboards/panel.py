"""The parts of a dashboard as Grafana 11 reads them: targets, panels, rows of panels, a board."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# the uid of infra/grafana/provisioning/datasources/prometheus.yaml
SOURCE = {"type": "prometheus", "uid": "driftloop-prometheus"}
SCHEMA = 39  # Grafana 11.0's; later ones read it
WIDTH = 24  # columns of a board
HEIGHT = {"stat": 4, "row": 1}
HEIGHT_OTHERS = 8
RATE = "$__rate_interval"


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture. `asks`: legend → expression; an empty legend shows all labels."""

    title: str
    description: str
    asks: Mapping[str, str]
    unit: str = "short"  # a unit of Grafana's: s, bytes, percentunit, …
    kind: str = "timeseries"
    width: int = 8
    least: float | None = 0  # where the axis begins; None: where the values do
    bars: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under a heading."""

    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True, slots=True)
class Choice:
    """A variable: the label's values where `expression` has them."""

    name: str
    label: str
    expression: str


@dataclass(frozen=True, slots=True)
class Note:
    """A mark on the time axis of every panel, wherever the expression has a value."""

    name: str
    colour: str
    expression: str
    title: str


@dataclass(frozen=True, slots=True)
class Board:
    """A dashboard."""

    uid: str
    title: str
    description: str
    choices: Sequence[Choice]
    rows: Sequence[Row]
    notes: Sequence[Note] = field(default_factory=tuple)


def text(board: Board) -> str:
    """The JSON of a board, as it is provisioned."""
    whole = {
        "uid": board.uid,
        "title": board.title,
        "description": board.description,
        "tags": ["driftloop"],
        "schemaVersion": SCHEMA,
        "editable": True,
        "graphTooltip": 1,  # one crosshair over all panels
        "refresh": "10s",
        "time": {"from": "now-30m", "to": "now"},
        "timezone": "browser",
        "links": [_link()],
        "annotations": {"list": [_note(note) for note in board.notes]},
        "templating": {"list": [_choice(choice) for choice in board.choices]},
        "panels": list(_placed(board.rows)),
    }
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def _placed(rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    """Row by row, from left to right; a panel that doesn't fit begins a new line."""
    number, top = 0, 0
    for row in rows:
        number += 1
        yield _heading(row.title, number, top)
        top += 1
        left, height = 0, 0
        for panel in row.panels:
            number += 1
            if left + panel.width > WIDTH:
                left, top, height = 0, top + height, 0
            own = HEIGHT.get(panel.kind, HEIGHT_OTHERS)
            yield _panel(panel, number, {"h": own, "w": panel.width, "x": left, "y": top})
            left, height = left + panel.width, max(height, own)
        top += height


def _heading(title: str, number: int, top: int) -> dict[str, Any]:
    place = {"h": 1, "w": WIDTH, "x": 0, "y": top}
    return {
        "id": number,
        "type": "row",
        "title": title,
        "collapsed": False,
        "gridPos": place,
        "panels": [],
    }


def _panel(panel: Panel, number: int, place: Mapping[str, int]) -> dict[str, Any]:
    defaults: dict[str, Any] = {"unit": panel.unit}
    if panel.least is not None:
        defaults["min"] = panel.least
    if panel.kind == "timeseries":
        defaults["custom"] = _drawn(panel)
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "gridPos": dict(place),
        "datasource": SOURCE,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": _options(panel),
        "targets": [
            _target(panel, letter, legend, expression)
            for letter, (legend, expression) in zip("ABCDEFGH", panel.asks.items(), strict=False)
        ],
    }


def _drawn(panel: Panel) -> dict[str, Any]:
    if panel.bars:
        return {"drawStyle": "bars", "fillOpacity": 60, "stacking": {"mode": "normal"}}
    return {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 5, "showPoints": "never"}


def _options(panel: Panel) -> dict[str, Any]:
    newest = {"calcs": ["lastNotNull"], "fields": "", "values": False}
    if panel.kind == "stat":
        return {"reduceOptions": newest, "colorMode": "value", "graphMode": "area"}
    if panel.kind == "bargauge":
        return {"reduceOptions": newest, "orientation": "horizontal", "displayMode": "basic"}
    if panel.kind == "table":
        return {"showHeader": True, "cellHeight": "sm"}
    legend = {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"]}
    return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}


def _target(panel: Panel, letter: str, legend: str, expression: str) -> dict[str, Any]:
    now = panel.kind in ("table", "bargauge")
    return {
        "refId": letter,
        "datasource": SOURCE,
        "expr": expression,
        "legendFormat": legend or "__auto",
        "instant": now,
        "range": not now,
        "format": "table" if panel.kind == "table" else "time_series",
    }


def _choice(choice: Choice) -> dict[str, Any]:
    query = f"label_values({choice.expression}, {choice.label})"
    return {
        "name": choice.name,
        "label": choice.name,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": choice.name},
        "definition": query,
        "refresh": 2,  # at each change of the time range
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
    }


def _note(note: Note) -> dict[str, Any]:
    return {
        "name": note.name,
        "datasource": SOURCE,
        "enable": True,
        "iconColor": note.colour,
        "expr": note.expression,
        "step": "10s",
        "titleFormat": note.title,
        "tagKeys": "pipeline",
    }


def _link() -> dict[str, Any]:
    return {
        "type": "dashboards",
        "title": "Driftloop",
        "tags": ["driftloop"],
        "asDropdown": False,
        "keepTime": True,
        "includeVars": True,
    }
