"""Fills the README's block of figures from the last demo's report, and puts its picture beside it.

    python -m infra.tools.figures

To be run after a whole year; what the demo measured is copied, nothing is computed anew.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from driftloop.kit.errors import Refused
from infra.local.places import ROOT, VAR

README = ROOT / "README.md"
PICTURE = ROOT / "infra" / "demo" / "flights.png"
OPEN, CLOSE = "<!-- figures -->\n", "<!-- /figures -->\n"
SIDES = (
    ("loop", "the loop"),
    ("frozen", "frozen"),
    ("calendar", "a refit every two weeks, scored afterwards"),
)


def main() -> int:
    """Exit status: 0, or 1 after one line on stderr."""
    demo = VAR / "demo"
    try:
        report = _report(demo / "report.json")
        text = filled(README.read_text("utf-8"), block(report, os.cpu_count() or 1))
    except Refused as error:
        sys.stderr.write(f"{error}\n")
        return 1
    shutil.copyfile(demo / "flights.png", PICTURE)
    README.write_text(text, "utf-8")
    return 0


def filled(readme: str, body: str) -> str:
    """`readme` with `body` in its block. Refused: it has no such block."""
    before, opened, rest = readme.partition(OPEN)
    _, closed, after = rest.partition(CLOSE)
    if not (opened and closed):
        raise Refused(f"README.md: no block between {OPEN.strip()} and {CLOSE.strip()}")
    return before + opened + body + closed + after


def block(report: Mapping[str, Any], cores: int) -> str:
    """A table of the scores, what it took, and the picture; Markdown, as it stands in the README.
    Refused: a report without a score.
    """
    if not report["records"]["scored"]:
        raise Refused("the last demo scored nothing: no figures for the README")
    picture = f"![AUC and log-loss by week]({PICTURE.relative_to(ROOT).as_posix()})"
    return f"{_scores(report['scores'])}\n\n{_sentences(report, cores)}\n\n{picture}\n"


def _report(path: Path) -> Mapping[str, Any]:
    try:
        report: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise Refused(f"{path}: no report there; `make demo` writes one") from error
    return report


def _scores(scores: Mapping[str, Any]) -> str:
    lines = ["| | AUC | log-loss |", "|---|---|---|"]
    for side, name in SIDES:
        if scores.get(side):
            auc, loss = scores[side]["auc"], scores[side]["log_loss"]
            lines.append(f"| {name} | {auc:.4f} | {loss:.4f} |")
    return "\n".join(lines)


def _sentences(report: Mapping[str, Any], cores: int) -> str:
    records, weeks = report["records"], report["scores"]["weekly"]
    better = sum(week["loop_log_loss"] < week["frozen_log_loss"] for week in weeks)
    released = [run for run in report["runs"] if run["outcome"] == "released"]
    drifted = sum(run["trigger"] == "drift" for run in released)
    redeployed, latency = report["drift_to_redeployed_s"], report["latency_ms"]
    rss_gb = sum(report["rss_mb"].values()) / 1_000
    return "\n".join(
        (
            f"- {records['distinct']:,} flights, {records['missing']} missing, "
            f"{records['doubled']} doubled; {records['dead']} broken records set aside.",
            f"- {len(released)} models released, {drifted} of them because of a drift; the loop's "
            f"log-loss was the lower one in {better} of {len(weeks)} weeks.",
            f"- From a drift to its new model in use: {_pair(redeployed, 'p50', 'p95')} s (median, "
            f"95th percentile). From an event to its score: {_pair(latency, 'p50', 'p99')} ms "
            "(median, 99th percentile).",
            f"- {report['days']} days in {report['wall_s']:.0f} s on {cores} cores, "
            f"{rss_gb:.1f} GB of memory for all, Kafka included.",
        )
    )


def _pair(figures: Mapping[str, float | None], low: str, high: str) -> str:
    return " and ".join(
        "–" if value is None else f"{value:.0f}" for value in (figures[low], figures[high])
    )


if __name__ == "__main__":
    sys.exit(main())
