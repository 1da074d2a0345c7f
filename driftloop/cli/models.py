"""Commands about models and runs: what there is, who released it, why it did or did not retrain;
promote and roll back.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from driftloop.cli.show import Json, PipelineName, as_json, client, console, table, tell, wall
from driftloop.client import Refused

Reason = Annotated[str, typer.Option(help="kept with it, for whoever asks later")]
METRICS = ("auc", "log_loss", "accuracy", "precision", "recall", "f1", "calibration_error")


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("models")(listed)
    app.command()(show)
    app.command()(promote)
    app.command()(approve)
    app.command()(reject)
    app.command()(rollback)
    app.command("who-served")(who_served)
    app.command()(lineage)
    app.command()(pin)
    app.command()(unpin)
    app.command()(tag)
    app.command()(retrain)
    app.command()(explain)


def listed(
    ctx: typer.Context,
    words: Annotated[
        list[str], typer.Argument(metavar="PIPELINE | add PIPELINE FILE.onnx", show_default=False)
    ],
    note: Annotated[str, typer.Option(help="of add: kept with the model")] = "",
    where: Annotated[
        str, typer.Option(help="only those: 'version >= 3 AND tags.team = risk AND pinned = true'")
    ] = "",
    as_program: Json = False,
) -> None:
    """The versions of a pipeline's model. `add`: an ONNX of your own enters, and the gate judges it
    on the newest labelled rows."""
    if len(words) == 3 and words[0] == "add":
        _add(ctx, words[1], Path(words[2]), note, as_program)
        return
    if len(words) != 1:
        found = " ".join(words)
        raise Refused(f"models {found}: wanted models PIPELINE, or models add PIPELINE FILE.onnx")
    _list(ctx, words[0], where, as_program)


def _add(ctx: typer.Context, pipeline: str, path: Path, note: str, as_program: bool) -> None:
    request_id = client(ctx).add_model(pipeline, path, note)
    text = f"request {request_id}; `driftloop explain {pipeline}` tells what the gate says"
    tell(as_program, {"request_id": request_id}, text)


def _list(ctx: typer.Context, pipeline: str, where: str, as_program: bool) -> None:
    found = client(ctx).models(pipeline, where)
    if as_program:
        as_json(found)
        return
    table(
        ["model", "alias", "learner", "AUC", "log-loss", "fitted on rows", "made", "released by"],
        [
            [
                f"{pipeline}@{m['version']}",
                m["aliases"],
                (m["candidate"] or {}).get("name"),
                _metric(m, "auc"),
                _metric(m, "log_loss"),
                _window(m).get("rows"),
                wall(m["created_ms"]),
                m["released_by"],
            ]
            for m in found
        ],
        f"models of {pipeline}",
    )


def show(
    ctx: typer.Context,
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="flights@7, flights@previous, or flights for the live one"
        ),
    ],
    as_program: Json = False,
) -> None:
    """One model: its inputs in order, metrics, window, and who released it."""
    pipeline, version, alias = parse_model(model)
    found = client(ctx).model(pipeline, version, alias)
    if as_program:
        as_json(found)
        return
    candidate, window = found["candidate"] or {}, _window(found)
    table(
        ["", ""],
        [
            [
                "model",
                f"{pipeline}@{found['version']} ({', '.join(found['aliases']) or 'no alias'})",
            ],
            ["digest", found["digest"]],
            ["size", f"{found['bytes']:,} bytes"],
            ["run", found["run_id"]],
            [
                "learner",
                f"{candidate.get('name')} ({candidate.get('kind')}), seed {candidate.get('seed')}",
            ],
            [
                "fitted on",
                f"{window.get('rows', 0):,} rows, sha256 {window.get('rows_sha256', '')[:16]}",
            ],
            [
                "offsets",
                ", ".join(
                    f"{r['topic']}[{r['partition']}] {r['start']}–{r['end']}"
                    for r in window.get("ranges", ())
                ),
            ],
            ["made", wall(found["created_ms"])],
            ["released by", found["released_by"]],
            *([name, _metric(found, name)] for name in METRICS if _metric(found, name) is not None),
        ],
    )
    table(
        ["", "input"], [[at, name] for at, name in enumerate(found["inputs"])], "inputs, in order"
    )


def promote(
    ctx: typer.Context,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="flights@7")],
    reason: Reason = "",
) -> None:
    """Make a version live."""
    pipeline, version, _ = parse_model(model)
    if not version:
        raise Refused(
            f"promote {model}: which version? `driftloop models {pipeline}` lists them; then "
            f"{pipeline}@N"
        )
    released = client(ctx).promote(pipeline, version, reason)
    typer.echo(
        f"{pipeline}@{released['version']} is live; it was "
        f"{pipeline}@{released['previous_version']}{_answering(ctx, released)}"
    )


def approve(
    ctx: typer.Context,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="flights@7")],
    note: Annotated[str, typer.Option(help="why, kept with the release")] = "",
) -> None:
    """Make a version live that waits for a yes, as `release: {mode: approve}` asks."""
    pipeline, version = _named(ctx, model)
    released = client(ctx).approve(pipeline, version, note)
    said = _answering(ctx, released)
    typer.echo(f"{pipeline}@{version} is live, approved by {released['by']}{said}")


def reject(
    ctx: typer.Context,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="flights@7")],
    note: Annotated[str, typer.Option(help="why, kept with the version")] = "",
) -> None:
    """Say no to a version that waits for a yes."""
    pipeline, version = _named(ctx, model)
    client(ctx).reject(pipeline, version, note)
    typer.echo(f"{pipeline}@{version} is rejected")


def rollback(ctx: typer.Context, pipeline: PipelineName, reason: Reason = "") -> None:
    """Make the previous version live again."""
    released = client(ctx).rollback(pipeline, reason)
    typer.echo(
        f"{pipeline}@{released['version']} is live again; it was "
        f"{pipeline}@{released['previous_version']}{_answering(ctx, released)}"
    )


def who_served(
    ctx: typer.Context,
    pipeline: PipelineName,
    at: Annotated[str, typer.Option(help="wall time, ISO 8601; UTC without a zone")] = "",
    event: Annotated[str, typer.Option(help="id of an event: what was answered to it")] = "",
    as_program: Json = False,
) -> None:
    """Which model was live at a time, or answered an event, and who had released it."""
    if bool(at) == bool(event):
        raise Refused("who-served: wanted one of --at TIME and --event ID")
    if event:
        answered = client(ctx).answered(pipeline, event)
        as_json(answered) if as_program else table(["", ""], list(answered.items()), "answer")
        return
    found = client(ctx).who_served(pipeline, at)
    if as_program:
        as_json(found)
        return
    released = found["released"]
    why = f" ({released['reason']})" if released["reason"] else ""
    typer.echo(
        f"{pipeline}@{released['version']}, live since {wall(released['at_ms'])} UTC by "
        f"{released['by']}, "
        f"{released['cause']}{why}; digest {released['digest']}"
    )


def lineage(
    ctx: typer.Context,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="flights@7; flights: the live one")],
    as_program: Json = False,
) -> None:
    """What a model was made of, and what it has answered: window, run, file, code; rows."""
    found = client(ctx).lineage(*_named(ctx, model))
    if as_program:
        as_json(found)
        return
    window = found["window"] or {}
    made, answered = found["made_by"], found["answered"]
    rows = [
        ["answered", f"{answered['rows']:,} rows, {answered['from']} to {answered['to']}"],
        ["model", f"{found['model']['digest']}, {found['model']['bytes']:,} bytes"],
        ["run", f"{found['run']}, asked for by {found['request']} ({found['trigger']})"],
        ["learner", f"{made['name']} ({made['kind']}), seed {made['seed']}"],
        ["window", f"{window.get('rows', 0):,} rows, sha256 {window.get('rows_sha256', '')}"],
        *(
            ["offsets", f"{each['topic']}[{each['partition']}] {each['start']}–{each['end']}"]
            for each in window.get("ranges", ())
        ),
        ["pipeline file", f"declaration {found['declaration']}"],
        ["code", made["code"]],
    ]
    table(["", ""], rows, f"lineage of {model}")


def pin(
    ctx: typer.Context,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="flights@7")],
    note: Annotated[str | None, typer.Option(help="why, kept with it")] = None,
) -> None:
    """Keep a version: its window is archived before the log loses it."""
    pipeline, version = _named(ctx, model)
    client(ctx).update_model(pipeline, version, pinned=True, note=note)
    typer.echo(f"{pipeline}@{version} is pinned")


def unpin(
    ctx: typer.Context,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="flights@7")],
) -> None:
    """Let a version go the way of others again."""
    pipeline, version = _named(ctx, model)
    client(ctx).update_model(pipeline, version, pinned=False)
    typer.echo(f"{pipeline}@{version} is no longer pinned")


def tag(
    ctx: typer.Context,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="flights@7")],
    tags: Annotated[
        list[str] | None, typer.Argument(help="name=value; name= takes it away")
    ] = None,
    note: Annotated[str | None, typer.Option(help="what to remember of it")] = None,
    as_program: Json = False,
) -> None:
    """Set tags and the note of a version; without any, show them."""
    pipeline, version = _named(ctx, model)
    if wrong := [each for each in tags or () if "=" not in each]:
        raise Refused(f"tag {wrong[0]!r}: wanted name=value")
    given = dict(each.split("=", 1) for each in tags or ())
    found = client(ctx).update_model(pipeline, version, note=note, tags=given)
    if as_program:
        as_json({"tags": found["tags"], "note": found["note"]})
        return
    rows = [*sorted(found["tags"].items()), ("note", found["note"])]
    table(["tag", "value"], rows, f"{pipeline}@{version}")


def _answering(ctx: typer.Context, released: dict[str, Any]) -> str:
    """What serving says of it."""
    took_s = client(ctx).answering(released)
    if took_s is None:
        return "; serving has not said yet that it answers with it: `driftloop status` tells more"
    return f"; every partition was answered by it {took_s:.1f} s later"


def _named(ctx: typer.Context, model: str) -> tuple[str, int]:
    pipeline, version, alias = parse_model(model)
    return pipeline, version or int(client(ctx).model(pipeline, 0, alias)["version"])


def retrain(
    ctx: typer.Context,
    pipeline: PipelineName,
    reason: Reason = "asked for by hand",
    start: Annotated[str | None, typer.Option("--from", help="event time, ISO 8601")] = None,
    end: Annotated[str | None, typer.Option("--to", help="event time; not itself")] = None,
    as_program: Json = False,
) -> None:
    """Ask for a retrain now, on all rows or on those of a span of event time."""
    request = client(ctx).retrain(pipeline, reason, start, end)
    text = f"asked: {request}; `driftloop explain {pipeline}` tells what comes of it"
    tell(as_program, {"request_id": request}, text)


def explain(
    ctx: typer.Context,
    pipeline: PipelineName,
    newest: Annotated[int, typer.Option(min=0, help="steps; 0: all")] = 40,
    as_program: Json = False,
) -> None:
    """Why it did or did not retrain: evidence, decision and the gate's numbers on a timeline."""
    found = client(ctx).explain(pipeline)
    shown = found[-newest:] if newest else found
    if as_program:
        as_json(shown)
        return
    if not shown:
        typer.echo(f"{pipeline}: nothing has asked for a retrain yet, and no drift was seen")
        return
    out = console()
    for step in shown:
        line = Text(f"{wall(step.at_ms)}  ", style="dim")
        line.append(f"{step.kind:<10}", style=COLOURS.get(step.kind, ""))
        line.append(f" {step.says}", style="default")
        line.append(
            f"  [{step.run_id or step.thread}]"
            + (f" event time {step.event_time}" if step.event_time else ""),
            style="dim",
        )
        out.print(line)
        for detail in step.details:
            out.print(Text(f"{'':<33}{detail}", style="dim"))


COLOURS: Mapping[str, str] = {
    "drift": "yellow",
    "released": "green",
    "refused": "red",
    "suppressed": "magenta",
    "judged": "cyan",
}


def parse_model(text: str) -> tuple[str, int, str]:
    """`flights@7` → ("flights", 7, ""), `flights@previous` → ("flights", 0, "previous"), `flights`
    → its champion.
    """
    pipeline, _, which = text.partition("@")
    if not pipeline:
        raise Refused(f"model {text!r}: wanted a pipeline and a version, as flights@7")
    if which.isdigit():
        return pipeline, int(which), ""
    return pipeline, 0, which or "champion"


def _metric(model: Mapping[str, Any], name: str) -> float | None:
    value: float | None = (model["metrics"] or {}).get(name)
    return value


def _window(model: Mapping[str, Any]) -> Mapping[str, Any]:
    window: Mapping[str, Any] = (model["candidate"] or {}).get("window") or {}
    return window
