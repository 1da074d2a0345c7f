"""The report as one HTML file that opens from disk: plots inlined, no script, no outside host."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from html import escape
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

LOOP, FROZEN, CALENDAR, MARK = "#0b6e4f", "#b5462f", "#6b7280", "#c58b00"
STYLE = """
:root{color-scheme:light dark}
body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem}h2{font-size:1.15rem;margin-top:2.2rem}
table{border-collapse:collapse;width:100%;font-size:.9rem}
th,td{text-align:left;padding:.25rem .6rem;border-bottom:1px solid #8884;vertical-align:top}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
.plot{width:100%;background:#fff;border-radius:6px}.won{font-size:1.05rem}.scroll{overflow-x:auto}
"""


def page(report: Mapping[str, Any], summary: Sequence[str]) -> str:
    """The whole page."""
    parts = [
        f"<h1>Driftloop: {report['days']} days of flights round the loop</h1>",
        "".join(f"<p class=won>{escape(line)}</p>" for line in summary),
        '<img class=plot alt="weekly AUC and log-loss of loop and frozen"',
        f' src="{_inline(weekly_plot(report))}">',
        "<h2>Scores</h2>",
        _scores(report["scores"]),
        "<h2>Runs</h2>",
        _runs(report["runs"]),
        "<h2>Every row accounted for</h2>",
        _pairs(report["records"]),
        "<h2>Dead letters, by rule</h2>",
        _pairs(report.get("dead_by_rule", {})),
        "<h2>Times</h2>",
        _times(report),
        "<h2>What it cost</h2>",
        _cost(report),
    ]
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><title>Driftloop: the flights of 2013'
        f"</title><style>{STYLE}</style><body>{''.join(parts)}</body></html>\n"
    )


def weekly_plot(report: Mapping[str, Any]) -> Figure:
    """AUC and log-loss by week, with releases and drifts; [2 axes]."""
    weeks = report["scores"]["weekly"]
    begun = datetime(2013, 1, 1, tzinfo=UTC)
    at = [begun + timedelta(days=7 * week["week"] + 3.5) for week in weeks]
    figure, axes = plt.subplots(2, 1, figsize=(11, 6.4), sharex=True, constrained_layout=True)
    for axis, metric, name in zip(
        axes, ("auc", "log_loss"), ("AUC (higher is better)", "log-loss (lower)"), strict=True
    ):
        axis.plot(
            at,
            [week[f"loop_{metric}"] for week in weeks],
            color=LOOP,
            marker="o",
            ms=3,
            label="loop",
        )
        axis.plot(
            at,
            [week[f"frozen_{metric}"] for week in weeks],
            color=FROZEN,
            marker="o",
            ms=3,
            label="frozen",
        )
        axis.set_ylabel(name)
        axis.grid(alpha=0.25)
        _marks(axis, report["runs"])
    axes[0].legend(loc="lower left", ncols=4, fontsize=8)
    axes[0].set_title(
        "The same flights, judged by the model that the loop kept and by its first one"
    )
    return figure


def png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    plt.close(figure)
    return buffer.getvalue()


def _marks(axis: Any, runs: Sequence[Mapping[str, Any]]) -> None:
    shown = set()
    for run in runs:
        if not run["evidence_to_us"]:
            continue
        released = run["outcome"] == "released"
        label = "released" if released else "asked, not released"
        axis.axvline(
            datetime.fromtimestamp(run["evidence_to_us"] / 1e6, UTC),
            color=MARK if released else "#9ca3af",
            lw=1,
            ls="-" if released else ":",
            label=None if label in shown else label,
        )
        shown.add(label)


def _inline(figure: Figure) -> str:
    return "data:image/png;base64," + base64.b64encode(png(figure)).decode()


def _scores(scores: Mapping[str, Any]) -> str:
    rows = [
        [name, _number(scores[name]["auc"], 4), _number(scores[name]["log_loss"], 4)]
        for name in ("loop", "frozen", "calendar")
        if scores.get(name)
    ]
    return _table(["", "AUC", "log-loss"], rows)


def _runs(runs: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for run in runs:
        gate = "; ".join(
            f"{each['name']} {each['gain']:+.4f} (low {each['gain_low']:+.4f})"
            for each in run["verdicts"]
        )
        stages = ", ".join(f"{stage} {seconds:.2f}" for stage, seconds in run["stages_s"].items())
        rows.append(
            [
                _day(run["evidence_to_us"]),
                run["trigger"],
                run["outcome"],
                str(run["version"] or ""),
                f"{run['rows']:,}",
                gate,
                stages,
                run["evidence"] or run["reason"],
            ]
        )
    return _table(
        [
            "asked (event time)",
            "trigger",
            "outcome",
            "version",
            "rows",
            "gate: gain in log-loss",
            "stages, s",
            "evidence",
        ],
        rows,
    )


def _times(report: Mapping[str, Any]) -> str:
    rows = [
        [name, _number(report[key].get(low), 2), _number(report[key].get(high), 2)]
        for name, key, low, high in (
            ("source to score, ms (p50, p99)", "latency_ms", "p50", "p99"),
            ("drift to redeployed, s (p50, p95)", "drift_to_redeployed_s", "p50", "p95"),
            (
                "evidence to first answer, event hours (p50, p95)",
                "go_live_delay_event_h",
                "p50",
                "p95",
            ),
        )
    ]
    return _table(["", "median", "high"], rows)


def _cost(report: Mapping[str, Any]) -> str:
    rows = [
        [name, f"{seconds:.1f}", f"{report['rss_mb'].get(name, 0):.0f}"]
        for name, seconds in sorted(report["cpu_s"].items(), key=lambda each: -each[1])
    ]
    wall = f"<p>Wall time {report['wall_s']:.0f} s after set-up.</p>"
    if not rows:  # the stack was there before, and others count what it takes
        return wall
    rows.append(
        ["all", f"{sum(report['cpu_s'].values()):.1f}", f"{sum(report['rss_mb'].values()):.0f}"]
    )
    return _table(["process", "CPU s", "resident MB, peak"], rows) + wall


def _pairs(values: Mapping[str, Any]) -> str:
    return _table(["", ""], [[name, f"{value:,}"] for name, value in values.items()])


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def cell(tag: str, text: str) -> str:
        number = text[:1].lstrip("+-").isdigit() or text[:1] in "+-"
        return f"<{tag}{' class=n' if number and len(text) < 12 else ''}>{escape(text)}</{tag}>"

    lines = "".join("<tr>" + "".join(cell("td", each) for each in row) + "</tr>" for row in rows)
    heads = "".join(f"<th>{escape(each)}</th>" for each in head)
    return f"<div class=scroll><table><tr>{heads}</tr>{lines}</table></div>"


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _day(us: int) -> str:
    return datetime.fromtimestamp(us / 1e6, UTC).strftime("%Y-%m-%d %H:%M") if us else ""
