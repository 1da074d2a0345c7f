"""The page's figures as one HTML file that opens from disk: what a pipeline's loop did so far, read
once from the log. The chart library is inlined, nothing is loaded from anywhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

from driftloop.client.reading import events, records
from driftloop.contracts import topics
from driftloop.contracts.retrain_pb2 import Statistics
from driftloop.kit.broker import Broker
from driftloop.kit.errors import Malformed
from driftloop.kit.message import parse
from driftloop.web.feed import CONTROL
from driftloop.web.state import State

STATIC = Path(__file__).parent / "static"
PLOT = STATIC / "vendor" / "uplot"
STYLE = """
:root{color-scheme:light dark;--loop:#0b6e4f;--frozen:#b5462f;--mark:#c58b00}
@media(prefers-color-scheme:dark){:root{--loop:#4cc38a;--frozen:#ff8a70;--mark:#f0c000}}
body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem}h2{font-size:1.15rem;margin-top:2.2rem}
table{border-collapse:collapse;width:100%;font-size:.9rem}.scroll{overflow-x:auto}
th,td{text-align:left;padding:.25rem .6rem;border-bottom:1px solid #8884;vertical-align:top}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}.won{font-size:1.05rem}
"""
DRAW = """
const of = JSON.parse(document.getElementById("figures").textContent);
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const ink = getComputedStyle(document.body).color;
const marks = {hooks: {draw: [(u) => {
  u.ctx.save(); u.ctx.strokeStyle = colour("--mark"); u.ctx.setLineDash([4, 4]);
  for (const at of of.released) {
    const x = Math.round(u.valToPos(at, "x", true));
    u.ctx.beginPath(); u.ctx.moveTo(x, u.bbox.top); u.ctx.lineTo(x, u.bbox.top + u.bbox.height);
    u.ctx.stroke();
  }
  u.ctx.restore();
}]}};
const axis = {stroke: ink, grid: {stroke: "#8883"}, ticks: {stroke: "#8883"}};
const root = document.getElementById("plot");
const plot = new uPlot({
  width: root.clientWidth, height: 320, plugins: [marks], axes: [axis, axis],
  tzDate: (s) => uPlot.tzDate(new Date(s * 1e3), "UTC"),
  series: [{label: "event time, UTC"},
    {label: "loop", stroke: colour("--loop"), width: 2},
    {label: "first model", stroke: colour("--frozen"), width: 2}],
}, of.columns, root);
addEventListener("resize", () => plot.setSize({width: root.clientWidth, height: 320}));
"""
VERSIONS = ("version", "learner", "rows learnt from", "bytes", "since", "why")
Plain = Mapping[str, Any]


def document(broker: Broker, pipeline: str) -> dict[str, Any]:
    """All figures of a pipeline as the page tells them. Refused: no such pipeline."""
    state = State()
    for fact in events(broker, topics.REGISTRY_EVENTS.topic()):
        state.on_fact(fact)
    for topic in CONTROL:
        for event in events(broker, topic.topic(), pipeline):
            state.on_event(event)
    statistics = topics.STATISTICS.topic(pipeline).name
    for record in records(broker, statistics) if broker.partitions(statistics) else ():
        try:
            message = parse(Statistics, record)
        except Malformed:
            continue  # anyone may write there
        state.on_statistics(pipeline, message, record.timestamp_ms)
    found: dict[str, Any] = json.loads(state.document(pipeline)[1])
    return found


def page(told: Plain, title: str) -> str:
    """The whole file, of `document`'s figures."""
    loss = str(told["metric"] or "log_loss").replace("_", " ")
    parts = [
        f"<h1>{escape(title)}</h1>",
        *(f"<p class=won>{escape(line)}</p>" for line in summary(told)),
        f"<h2>Mean {escape(loss)} over event time</h2>",
        '<div id=plot role=img aria-label="mean loss of the loop and of its first model"></div>',
        "<p>Dashed: another version went live.</p><h2>Versions</h2>",
        _table(VERSIONS, _versions(told)),
        "<h2>Retrains, and what came of each</h2>",
        _table(("asked for by", "outcome", "version", "why"), _triggers(told)),
        "<h2>Every row</h2>",
        _table(("rows", "count"), _rows(told["totals"])),
    ]
    library = (PLOT / "uPlot.esm.js").read_text("utf-8").rpartition("export {")[0]
    figures = json.dumps(_figures(told)).replace("<", "\\u003c")
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{(PLOT / 'uPlot.min.css').read_text('utf-8')}"
        f"{STYLE}</style><body>{''.join(parts)}"
        f'<script type="application/json" id="figures">{figures}</script>'
        f'<script type="module">{library}{DRAW}</script></body></html>\n'
    )


def summary(told: Plain) -> list[str]:
    """What one should know after one glance."""
    totals, loss = told["totals"], str(told["metric"] or "log_loss").replace("_", " ")
    scored = totals["loop"]["rows"]
    lines = [
        f"{totals['predicted']:,} rows answered: {scored:,} scored with their label, "
        f"{totals['unlabelled']:,} without one in time, {totals['no_model']:,} before the first "
        f"model; {totals['drifts']} drifts, {totals['releases']} models released."
    ]
    if not scored:
        return [*lines, "No model was released, so nothing was scored."]
    both = totals["loop"], totals["frozen"]
    for key, name, better in (("auc", "AUC", max), ("log_loss", loss, min)):
        loop, frozen = (lane[key] for lane in both)
        if loop is None or frozen is None:
            continue
        won = "No difference" if loop == frozen else "The loop was better" if (
            better(loop, frozen) == loop) else "The first model was better"  # fmt: skip
        lines.append(
            f"{name}: the loop {loop:.4f}, its first model on the same rows {frozen:.4f}. {won}."
        )
    return lines


def _figures(told: Plain) -> dict[str, Any]:
    buckets = told["buckets"]
    spans = zip(buckets["start_us"], buckets["end_us"], strict=True)
    times = [(start + end) / 2e6 for start, end in spans]
    released = [band["from_us"] / 1e6 for band in told["bands"] if band["from_us"]]
    return {"columns": [times, buckets["loop_loss"], buckets["frozen_loss"]], "released": released}


def _versions(told: Plain) -> list[Sequence[object]]:
    since = {band["version"]: band for band in told["bands"]}
    return [_version(each, since.get(each["version"])) for each in told["models"]]


def _version(model: Plain, band: Plain | None) -> Sequence[object]:
    live = (_moment(band["from_us"]), band["reason"]) if band else ("never live", "")
    return (f"@{model['version']}", model["learner"], model["rows"], model["bytes"], *live)


def _triggers(told: Plain) -> list[Sequence[object]]:
    return [
        (
            each["trigger"],
            each["outcome"],
            f"@{each['version']}" if each.get("version") else "",
            each.get("outcome_reason") or each.get("reason") or "",
        )
        for each in told["triggers"]
    ]


def _rows(totals: Plain) -> list[Sequence[object]]:
    named = {
        "answered by a model, with their label": totals["loop"]["rows"],
        "answered, never labelled": totals["unlabelled"],
        "before the first model": totals["no_model"],
        "all": totals["predicted"],
    }
    return list(named.items())


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    cells = ("".join(_cell(cell) for cell in row) for row in rows)
    body = "".join(f"<tr>{row}</tr>" for row in cells)
    heads = "".join(f"<th scope=col>{escape(name)}</th>" for name in head)
    none = "" if body else "<p>none</p>"
    return f"<div class=scroll><table><thead><tr>{heads}</tr></thead>{body}</table></div>{none}"


def _cell(value: object) -> str:
    if isinstance(value, int):
        return f"<td class=n>{value:,}</td>"
    return f"<td>{escape(str(value))}</td>"


def _moment(us: int | None) -> str:
    return f"{datetime.fromtimestamp(us / 1e6, UTC):%Y-%m-%d %H:%M}" if us else "not used yet"
