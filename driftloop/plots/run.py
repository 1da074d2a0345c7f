"""One training run as an HTML file: its steps with their times, its candidates, and each search in
Optuna's own plots.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any

from driftloop.client.story import Step
from driftloop.plots.searched import plots
from driftloop.web.paper import heading, paper, said, table

Plain = Mapping[str, Any]
STEP = ("time, UTC", "step", "what", "details")
CANDIDATE = ("candidate", "learner", "rows", "fitted in s", "digest", "cached from", "error")
TRIAL = ("trial", "state", "loss", "s", "attempt", "worker", "params", "error")


def page(run: Plain, steps: Sequence[Step], trials: Sequence[Plain]) -> str:
    """The whole file. `run` and `trials` as the client gives them."""
    opened, finished = run["opened"], run["finished"] or {}
    head = f"{opened['pipeline']}: {opened['trigger']}, {finished.get('outcome') or 'under way'}"
    made = (run["trained"] or {}).get("candidates", ())
    parts = [
        said(filter(None, (head, finished.get("reason", "")))),
        heading("Steps"),
        table(STEP, [(_moment(e.at_ms), e.kind, e.says, "; ".join(e.details)) for e in steps]),
        heading("Candidates"),
        table(CANDIDATE, map(_candidate, made)),
        *_searches(trials),
    ]
    return paper(f"run {opened['run_id']}", parts, {}, ())


def _candidate(made: Plain) -> Sequence[object]:
    rows = (made["window"] or {}).get("rows")
    return (
        made["name"], made["kind"], rows, made["fit_s"], made["digest"][:12], made["cached_from"],
        made["error"],
    )  # fmt: skip


def _searches(trials: Sequence[Plain]) -> Iterator[str]:
    library = True
    for name in dict.fromkeys(each["candidate"] for each in trials):
        mine = [each for each in trials if each["candidate"] == name]
        yield heading(f"Trials of {name}")
        for title, drawn in plots(mine, library):
            library = False
            yield f"<h3>{escape(title)}</h3>{drawn}"
        yield table(TRIAL, map(_trial, mine))


def _trial(told: Plain) -> Sequence[object]:
    params = json.dumps(told["params"] or {}, sort_keys=True)
    return (
        told["number"], told["state"], told["loss"], told.get("seconds"), told.get("attempt"),
        told.get("worker"), params, told["error"],
    )  # fmt: skip


def _moment(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1_000, UTC).strftime("%Y-%m-%d %H:%M:%S")
