"""What all reports are written on: one HTML file that opens from disk, in light and dark, with
tables and, where there are columns to draw, the chart library inlined. Nothing is loaded from
anywhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path

PLOT = Path(__file__).parent / "static" / "vendor" / "uplot"
COLOURS = ("--loop", "--frozen", "--third", "--fourth")
STYLE = """
:root{color-scheme:light dark;--loop:#0b6e4f;--frozen:#b5462f;--third:#2f5fb5;--fourth:#7a4fb5;
--mark:#c58b00}
@media(prefers-color-scheme:dark){:root{--loop:#4cc38a;--frozen:#ff8a70;--third:#7db1ff;
--fourth:#c9a2ff;--mark:#f0c000}}
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
  for (const at of of.marks) {
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
  series: [{label: "event time, UTC"}, ...of.names.map((label, at) => ({
    label, stroke: colour(of.colours[at % of.colours.length]), width: 2}))],
}, of.columns, root);
addEventListener("resize", () => plot.setSize({width: root.clientWidth, height: 320}));
"""


def paper(
    title: str,
    parts: Iterable[str],
    lines: Mapping[str, Sequence[float | None]],
    times_s: Sequence[float],
    marks_s: Sequence[float] = (),
) -> str:
    """The whole file. `lines`: name → a value for each of `times_s`, drawn where a part has the
    element `plot()`, none: no chart; `marks_s`: dashed lines.
    """
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{(PLOT / 'uPlot.min.css').read_text('utf-8')}"
        f"{STYLE}</style><body><h1>{escape(title)}</h1>{''.join(parts)}"
        f"{_drawn(lines, times_s, marks_s) if lines else ''}</body></html>\n"
    )


def _drawn(
    lines: Mapping[str, Sequence[float | None]], times_s: Sequence[float], marks_s: Sequence[float]
) -> str:
    figures = {
        "columns": [times_s, *lines.values()],
        "names": list(lines),
        "colours": COLOURS,
        "marks": marks_s,
    }
    library = (PLOT / "uPlot.esm.js").read_text("utf-8").rpartition("export {")[0]
    data = json.dumps(figures).replace("<", "\\u003c")
    return (
        f'<script type="application/json" id="figures">{data}</script>'
        f'<script type="module">{library}{DRAW}</script>'
    )


def plot(label: str) -> str:
    """Where the lines are drawn; `label` for those who can't see them."""
    return f'<div id=plot role=img aria-label="{escape(label)}"></div>'


def said(lines: Iterable[str]) -> str:
    """What one should know after one glance."""
    return "".join(f"<p class=won>{escape(line)}</p>" for line in lines)


def heading(text: str) -> str:
    return f"<h2>{escape(text)}</h2>"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Numbers to the right; nothing to show is said."""
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    heads = "".join(f"<th scope=col>{escape(name)}</th>" for name in head)
    none = "" if body else "<p>none</p>"
    return f"<div class=scroll><table><thead><tr>{heads}</tr></thead>{body}</table></div>{none}"


def _cell(value: object) -> str:
    if value is None:
        return "<td class=n>–</td>"
    if isinstance(value, bool):
        return f"<td>{'yes' if value else ''}</td>"
    if isinstance(value, int):
        return f"<td class=n>{value:,}</td>"
    if isinstance(value, float):
        return f"<td class=n>{value:.4f}</td>"
    return f"<td>{escape(str(value))}</td>"
