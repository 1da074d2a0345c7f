"""The live view, and the way to the last report. `render` is pure: `driftloop watch` and `make
demo` draw the same.
"""

from __future__ import annotations

import threading
import webbrowser
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from driftloop.cli.show import Json, PipelineName, as_json, client, console
from driftloop.client.addresses import last_report
from driftloop.client.live import Quality, Snapshot

REFRESH_S = 0.5  # pulses come once a second
SERVICES = ("ingestion", "features", "serving", "monitor", "training", "evaluation", "registry")


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(watch)
    app.command()(report)


def watch(ctx: typer.Context, pipeline: PipelineName, as_program: Json = False) -> None:
    """The pipeline as it runs; Ctrl-C ends. With --json: what is known by now, once."""
    with client(ctx).watch(pipeline) as feed:
        if as_program:
            feed.wait()
            as_json(feed.snapshot())
            return
        stop = threading.Event()
        try:
            with Live(render(feed.snapshot()), console=console(), auto_refresh=False) as live:
                while not stop.wait(REFRESH_S):
                    live.update(render(feed.snapshot()), refresh=True)
        except KeyboardInterrupt:
            return


def report(
    show: Annotated[bool, typer.Option("--open", help="in the browser")] = False,
    as_program: Json = False,
) -> None:
    """Where the last demo's report is."""
    path = last_report(Path.cwd())
    if as_program:
        as_json({"report": str(path), "figures": str(path.with_suffix(".json"))})
        return
    typer.echo(str(path))
    if show:
        webbrowser.open(path.as_uri())


def render(snapshot: Snapshot) -> RenderableType:
    """The whole view, some 80 columns wide."""
    parts: list[RenderableType] = [
        _head(snapshot),
        _quality(snapshot),
        _services(snapshot),
        _drift(snapshot),
    ]
    if snapshot.trouble:
        parts.append(Text("\n".join(f"! {line}" for line in snapshot.trouble), style="red"))
    return Panel(Group(*parts), title=f"driftloop · {snapshot.pipeline}", title_align="left")


def _head(snapshot: Snapshot) -> Text:
    model = (
        f"{snapshot.pipeline}@{snapshot.model_version}"
        if snapshot.model_version
        else "no model yet"
    )
    latency = (
        f"{snapshot.latency_p50_ms:.0f} / {snapshot.latency_p99_ms:.0f} ms"
        if snapshot.latency_p99_ms
        else "–"
    )
    return Text.assemble(
        ("event time ", "dim"),
        (snapshot.event_time[:16].replace("T", " ") or "–", "bold"),
        ("   model ", "dim"),
        (model, "bold green"),
        ("   releases ", "dim"),
        str(snapshot.releases),
        ("   source → score p50/p99 ", "dim"),
        latency,
    )


def _quality(snapshot: Snapshot) -> Table:
    drawn = Table(box=None, pad_edge=False, header_style="dim")
    loss = snapshot.metric.replace("_", " ").replace("log ", "log-")
    for name in ("", "AUC", loss, "last 7 days: AUC", loss, "rows scored"):
        drawn.add_column(name, justify="left" if not name else "right")
    for name, whole, lately in (
        ("loop", snapshot.loop, snapshot.loop_lately),
        ("frozen", snapshot.frozen, snapshot.frozen_lately),
    ):
        drawn.add_row(name, *_pair(whole), *_pair(lately), f"{whole.rows:,}")
    return drawn


def _pair(quality: Quality) -> tuple[str, str]:
    return _figure(quality.auc), _figure(quality.log_loss)


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _services(snapshot: Snapshot) -> Table:
    drawn = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("service", "rows/s", "lag", "replicas"):
        drawn.add_column(name, justify="left" if name == "service" else "right")
    known = set(snapshot.rows_per_s) | set(snapshot.lag_records) | set(snapshot.replicas)
    for service in [*(s for s in SERVICES if s in known), *sorted(known - set(SERVICES))]:
        drawn.add_row(
            service,
            f"{snapshot.rows_per_s.get(service, 0):,.0f}",
            f"{snapshot.lag_records.get(service, 0):,}",
            str(snapshot.replicas.get(service, 0)),
        )
    return drawn


def _drift(snapshot: Snapshot) -> Text:
    if snapshot.drift is None:
        return Text("no drift seen yet", style="dim")
    when = snapshot.drift.event_time[:16].replace("T", " ")
    return Text.assemble(
        ("last drift ", "dim"),
        (when, "yellow"),
        f" {snapshot.drift.evidence}\n",
        ("  → ", "dim"),
        snapshot.drift.outcome,
    )
