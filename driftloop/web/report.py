"""The page's figures as one HTML file that opens from disk: what a pipeline's loop did so far, read
once from the log. The chart library is inlined, nothing is loaded from anywhere.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from driftloop.client.reading import events, records
from driftloop.contracts import topics
from driftloop.contracts.retrain_pb2 import Statistics
from driftloop.kit.broker import Broker
from driftloop.kit.errors import Malformed
from driftloop.kit.message import parse
from driftloop.web.feed import CONTROL
from driftloop.web.paper import heading, paper, plot, said, table
from driftloop.web.state import State

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
    buckets = told["buckets"]
    spans = zip(buckets["start_us"], buckets["end_us"], strict=True)
    parts = [
        said(summary(told)),
        heading(f"Mean {loss} over event time"),
        plot("mean loss of the loop and of its first model"),
        "<p>Dashed: another version went live.</p>",
        heading("Versions"),
        table(VERSIONS, _versions(told)),
        heading("Retrains, and what came of each"),
        table(("asked for by", "outcome", "version", "why"), _triggers(told)),
        heading("Every row"),
        table(("rows", "count"), _rows(told["totals"])),
    ]
    lines = {"loop": buckets["loop_loss"], "first model": buckets["frozen_loss"]}
    times_s = [(start + end) / 2e6 for start, end in spans]
    released_s = [band["from_us"] / 1e6 for band in told["bands"] if band["from_us"]]
    return paper(title, parts, lines, times_s, released_s)


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


def _moment(us: int | None) -> str:
    return f"{datetime.fromtimestamp(us / 1e6, UTC):%Y-%m-%d %H:%M}" if us else "not used yet"
