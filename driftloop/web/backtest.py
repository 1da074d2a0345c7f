"""A backtest as an HTML file and as lines for a terminal: who was better, how sure that is, where
each is weak, and whether its probabilities are to be believed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from itertools import chain
from typing import Any

from driftloop.web.paper import COLOURS, heading, paper, plot, said, table

Plain = Mapping[str, Any]
SLICES_SHOWN = 10  # of each model, the worst first
FIGURES = (
    "accuracy", "precision", "recall", "f1", "auc", "pr_auc", "log_loss", "brier",
    "calibration_error", "mae", "rmse", "r2", "mape", "pinball",
)  # fmt: skip
HEAD = ("model", "rows", "mean loss", "95 % from", "to", "rows it was fitted on", "without them")
SLICE = ("feature", "value", "rows", "loss", "low", "high", "few")
SIDE = 320  # of the reliability diagram, px


def page(told: Plain) -> str:
    """The whole file."""
    models, loss = told["models"], str(told["metric"]).replace("_", " ")
    parts = [
        said(summary(told)),
        heading(f"Mean {loss} over event time"),
        plot("mean loss of each model over event time"),
        heading(f"Mean {loss}"),
        table(HEAD, [_row(each) for each in models]),
        heading("How they differ, on rows that neither was fitted on"),
        table(
            ("better by", "over", "rows", f"gain in {loss}", "95 % from", "to"),
            [[e["a"], e["b"], e["rows"], e["gain"], e["low"], e["high"]] for e in _ways(told)],
        ),
        heading("Figures"),
        table(("figure", *(each["name"] for each in models)), _figures(models)),
        *_reliability(models),
        heading("Worst slices"),
        table(
            ("model", "feature", "value", "rows", f"mean {loss}", "95 % from", "to", "few rows"),
            chain.from_iterable(_slices(each) for each in models),
        ),
    ]
    lines = {each["name"]: each["by_time"] for each in models}
    return paper(f"{told['pipeline']}: backtest", parts, lines, [us / 1e6 for us in told["time"]])


def summary(told: Plain) -> list[str]:
    """A line on the rows, and one for each two models."""
    loss = str(told["metric"]).replace("_", " ")
    lines = [
        f"{told['rows']:,} labelled rows of {told['pipeline']} from {_moment(told['from_us'])} to "
        f"{_moment(told['to_us'])} UTC, read from the {told['source']}."
    ]
    for each in told["models"]:
        mean = "no answer to any row" if each["loss"] is None else f"{each['loss']:.4f}"
        lines.append(f"{each['name']}: mean {loss} {mean}{_between(each)}, {each['rows']:,} rows.")
    return lines + [_verdict(each, loss) for each in told["differences"]]


def _verdict(each: Plain, loss: str) -> str:
    a, b, gain = each["a"], each["b"], each["gain"]
    if gain is None:
        return f"{a} and {b}: no row that both answered and neither was fitted on."
    if gain < 0:
        return _verdict(_turned(each), loss)
    told = f"{a} is better than {b} by {gain:.4f} in {loss} over {each['rows']:,} rows"
    if each["low"] is None:
        return f"{told}: too few to say how sure that is."
    sure = "sure" if each["low"] > 0 else "not sure"
    return f"{told}: {sure}, 95 % from {each['low']:.4f} to {each['high']:.4f}."


def _turned(each: Plain) -> Plain:
    """The same with the other one first."""
    known = each["low"] is not None
    low, high = (-each["high"], -each["low"]) if known else (None, None)
    names = {"a": each["b"], "b": each["a"]}
    return {**each, **names, "gain": -each["gain"], "low": low, "high": high}


def _ways(told: Plain) -> list[Plain]:
    """Each difference with the better one first."""
    return [_turned(each) if (each["gain"] or 0.0) < 0 else each for each in told["differences"]]


def _row(each: Plain) -> Sequence[object]:
    unseen = each["unseen"]
    return (
        each["name"], each["rows"], each["loss"], each["low"], each["high"], each["seen_rows"],
        unseen["loss"] if each["seen_rows"] else None,
    )  # fmt: skip


def _figures(models: Sequence[Plain]) -> list[Sequence[object]]:
    named = [name for name in FIGURES if any(name in each["figures"] for each in models)]
    rows: list[Sequence[object]] = [
        (name.replace("_", " "), *(each["figures"].get(name) for each in models)) for name in named
    ]
    averages = sorted({name for each in models for name in each["figures"].get("averages", {})})
    return rows + [
        (name.replace("_", " "), *(each["figures"]["averages"].get(name) for each in models))
        for name in averages
    ]


def _slices(each: Plain) -> list[Sequence[object]]:
    return [
        (
            each["name"],
            s["feature"],
            s["value"],
            s["rows"],
            s["loss"],
            s["low"],
            s["high"],
            s["few"],
        )
        for s in each["slices"][:SLICES_SHOWN]
    ]


def _reliability(models: Sequence[Plain]) -> list[str]:
    """A diagram: what was said against what came; on the diagonal both are the same."""
    if not any(each["reliability"] for each in models):
        return []
    lines = "".join(
        f'<polyline fill=none stroke="var({COLOURS[at % len(COLOURS)]})" stroke-width=2 points="'
        + " ".join(f"{s * SIDE:.1f},{(1 - h) * SIDE:.1f}" for s, h, _ in each["reliability"])
        + f'"><title>{escape(each["name"])}</title></polyline>'
        for at, each in enumerate(models)
    )
    return [
        heading("Are the probabilities to be believed?"),
        "<p>Across: the probability that was said; up: the share that came true. On the diagonal "
        "both are the same.</p>",
        f'<svg role=img aria-label="reliability diagram" width={SIDE} height={SIDE} '
        f'viewBox="0 0 {SIDE} {SIDE}"><rect width={SIDE} height={SIDE} fill=none stroke="#8884"/>'
        f'<line x1=0 y1={SIDE} x2={SIDE} y2=0 stroke="#8888" stroke-dasharray=4 />{lines}</svg>',
        table(
            ("model", "said", "came true", "rows"),
            [(each["name"], *bin_) for each in models for bin_ in each["reliability"]],
        ),
    ]


def _between(each: Plain) -> str:
    return "" if each["low"] is None else f" (95 % from {each['low']:.4f} to {each['high']:.4f})"


def _moment(us: int) -> str:
    return f"{datetime.fromtimestamp(us / 1e6, UTC):%Y-%m-%d %H:%M}"
