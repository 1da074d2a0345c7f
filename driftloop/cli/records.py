"""Commands about the record of a model: where the rows of its window are, whether it can be made
again to the byte, and which rows no model may learn from.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.live import Live

from driftloop.cli.models import parse_model
from driftloop.cli.show import (
    TROUBLE,
    Json,
    PipelineName,
    as_json,
    client,
    console,
    table,
    tabled,
    wall,
)
from driftloop.client import Client, Refused
from driftloop.client.plain import Plain, iso

SHOWN = 30  # trials in the live view
TRIAL = (
    "run", "candidate", "trial", "state", "loss", "s", "attempt", "worker", "params", "error",
)  # fmt: skip
At = "event time, ISO 8601; UTC without a zone"


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(windows)
    app.command()(lines)
    app.command()(trials)
    app.command()(rebuild)
    app.command()(quarantine)
    app.command()(gc)


def windows(ctx: typer.Context, pipeline: PipelineName, as_program: Json = False) -> None:
    """What each version was fitted on, and where those rows are: live (in the log), archived,
    expired."""
    found = client(ctx).windows(pipeline)
    if as_program:
        as_json(found)
        return
    rows = [[f"{pipeline}@{one['version']}", one["aliases"], *_row(one)] for one in found]
    heads = ["model", "alias", "rows", "from", "to", "sha256", "window", "archived in"]
    table(heads, rows, f"windows of {pipeline}")


def lines(ctx: typer.Context, pipeline: PipelineName, as_program: Json = False) -> None:
    """The online learners: how much each has learnt, and how it does beside what is live."""
    found = client(ctx).lines(pipeline)
    if as_program:
        as_json(found)
        return
    rows = [
        [one["line"], one["rows_learnt"], one["newest"], wall(one["at_ms"]), one["bytes"],
         one["rows"], one["right_alone"], one["wrong_alone"], one["loss"], one["live_loss"]]
        for one in found
    ]  # fmt: skip
    beside = f"{pipeline}@{found[0]['beside']}" if found else "what is live"
    heads = ["line", "learnt", "newest row", "snapshot", "bytes", "rows", "right alone",
             "wrong alone", "loss", "live loss"]  # fmt: skip
    table(heads, rows, f"lines of {pipeline}, beside {beside}")


def trials(
    ctx: typer.Context,
    pipeline: PipelineName,
    run_id: Annotated[str, typer.Option("--run", help="of one run; else of all")] = "",
    follow: Annotated[bool, typer.Option("-f", "--follow", help="live, until Ctrl-C")] = False,
    as_program: Json = False,
) -> None:
    """What searches for parameters have tried, and what came of each: as they go."""
    asked = client(ctx)
    if as_program:
        as_json(asked.trials(pipeline, run_id))
        return
    if follow:
        _live(asked, pipeline, run_id)
        return
    rows = [_trial(one) for one in asked.trials(pipeline, run_id)]
    table(TRIAL, rows, f"trials of {pipeline}")


def _live(asked: Client, pipeline: str, run_id: str) -> None:
    """The newest trials, drawn anew each second."""
    stop = threading.Event()
    with contextlib.suppress(KeyboardInterrupt), Live(console=console()) as live:
        while True:
            rows = [_trial(one) for one in asked.trials(pipeline, run_id)[-SHOWN:]]
            live.update(tabled(TRIAL, rows, f"trials of {pipeline}"))
            stop.wait(1.0)


def _trial(told: Plain) -> Sequence[object]:
    params = ", ".join(f"{name} {value}" for name, value in (told["params"] or {}).items())
    return [
        told["run_id"], told["candidate"], told["number"], told["state"], told["loss"],
        told["seconds"], told["attempt"], told["worker"], params, told["error"],
    ]  # fmt: skip


def rebuild(
    ctx: typer.Context,
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="flights@7, flights@previous; flights: what is live"),
    ],
    every: Annotated[bool, typer.Option("--all", help="all versions of the pipeline")] = False,
    as_program: Json = False,
) -> None:
    """Fit a model again from its record and compare the bytes; exit status 1 where they differ."""
    pipeline, version, alias = parse_model(model)
    asked = client(ctx)
    if every:
        replies = [_tried(asked, pipeline, one["version"]) for one in asked.models(pipeline)]
    else:
        number = version or asked.model(pipeline, 0, alias)["version"]
        replies = [asked.rebuild(pipeline, number)]
    if as_program:
        as_json(replies if every else replies[0])
    else:
        for reply in replies:
            _say(reply)
    tried = [one for one in replies if not one.get("refused")]
    equal = sum(one["equal"] for one in tried)
    if every and not as_program:
        typer.echo(f"{equal} of {len(tried)} equal; {len(replies) - len(tried)} promise nothing")
    if equal < len(tried):
        raise typer.Exit(TROUBLE)


def quarantine(
    ctx: typer.Context,
    pipeline: PipelineName,
    start: Annotated[str, typer.Option("--from", help=At)],
    end: Annotated[str, typer.Option("--to", help=f"{At}; not itself")],
    reason: Annotated[str, typer.Option(help="kept with it, for whoever asks later")] = "",
    lift: Annotated[bool, typer.Option("--lift", help="take that quarantine back")] = False,
    as_program: Json = False,
) -> None:
    """Leave rows of a span of event time out of every later window; what is fitted stays as it
    is."""
    found = client(ctx).quarantine(pipeline, start, end, reason, lift=lift)
    if as_program:
        as_json(found)
        return
    rows = [
        [iso(one["span"]["from_us"]), iso(one["span"]["to_us"]), one["reason"], one["by"]]
        for one in found
    ]
    table(["from", "to", "reason", "by"], rows, f"quarantined of {pipeline}")


def gc(
    ctx: typer.Context,
    days: Annotated[float, typer.Option("--older-than", min=0, help="days")] = 30.0,
    keep: Annotated[int, typer.Option(min=1, help="newest versions of each pipeline")] = 10,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what would go")] = False,
    as_program: Json = False,
) -> None:
    """Give up the bytes of candidates and old versions that nothing keeps: never what is live,
    pinned, or a rollback target."""
    found = client(ctx).collect(round(days * 86_400_000), keep, dry_run=dry_run)
    if as_program:
        as_json(found)
        return
    rows = [[one["digest"][:12], one["bytes"], one["pipeline"], one["run_id"]]
            for one in found["artifacts"]]  # fmt: skip
    table(["artifact", "bytes", "pipeline", "run"], rows)
    word = "would go" if dry_run else "are gone"
    typer.echo(f"{len(rows)} artifacts, {found['bytes']:,} bytes {word}")


def _row(one: Mapping[str, Any]) -> list[object]:
    window = one["window"] or {}
    return [
        window.get("rows"),
        iso(window.get("start_us", 0)),
        iso(window.get("end_us", 0)),
        window.get("rows_sha256", "")[:12],
        one["state"],
        one["place"],
    ]


def _tried(asked: Client, pipeline: str, version: int) -> Mapping[str, Any]:
    """A reply, or the refusal in its place: of many, one must not end the others."""
    try:
        return asked.rebuild(pipeline, version)
    except Refused as error:
        return {"pipeline": pipeline, "version": version, "equal": False, "refused": str(error)}


def _say(reply: Mapping[str, Any]) -> None:
    name = f"{reply['pipeline']}@{reply['version']}"
    if reply.get("refused"):
        typer.echo(reply["refused"])
        return
    if reply["equal"]:
        typer.echo(
            f"{name}: equal, sha256 {reply['recorded']}; {reply['rows']:,} rows from the "
            f"{reply['source']}, {reply['seconds']:.1f} s"
        )
        return
    typer.echo(f"{name}: differs, recorded {reply['recorded']}, rebuilt {reply['rebuilt'] or '–'}")
    if reply["same_graph"]:
        typer.echo("  the model itself is equal: what differs is the record that it carries")
    for cause in reply["causes"]:
        typer.echo(f"  {cause['what']}: recorded {cause['recorded'] or '–'}; {_found(cause)}")


def _found(cause: Mapping[str, Any]) -> str:
    return f"here {cause['found'] or '–'}"
