"""Models on history: scored on the same rows, held against each other, reported."""

from __future__ import annotations

import sys
import webbrowser
from pathlib import Path
from typing import Annotated, Any

import typer

from driftloop.cli.models import parse_model
from driftloop.cli.show import Json, PipelineName, as_json, client, table
from driftloop.client import Refused
from driftloop.web.backtest import page, summary

At = "event time, ISO 8601; UTC without a zone"
Start = Annotated[str, typer.Option("--from", help=At)]
End = Annotated[str, typer.Option("--to", help=f"{At}; not itself")]
Html = Annotated[Path | None, typer.Option(help="write the report there")]
Slices = Annotated[
    list[str] | None,
    typer.Option("--slice", help="a feature, beside those of evaluation.slices; may be repeated"),
]
Window = Annotated[str, typer.Option(help="the rows that a version was fitted on, as flights@7")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(replay)
    app.command()(compare)


def replay(
    ctx: typer.Context,
    pipeline: PipelineName,
    start: Start = "",
    end: End = "",
    candidate: Annotated[
        list[str] | None,
        typer.Option(
            help="flights@9, champion, FILE.onnx, or live: what was answered at the time; may be "
            "repeated; none: live and champion"
        ),
    ] = None,
    window: Window = "",
    slices: Slices = None,
    html: Html = None,
    show: Annotated[bool, typer.Option("--open", help="the report, in a browser")] = False,
    as_program: Json = False,
) -> None:
    """Score any window of history through any models, by the labels that came. No live topic is
    touched."""
    asked = [_contender(pipeline, each) for each in candidate or ["live", "champion"]]
    _told(ctx, pipeline, asked, start, end, window, slices or [], html, as_program, show=show)


def compare(
    ctx: typer.Context,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="flights@7")],
    other: Annotated[str, typer.Argument(metavar="OTHER", help="flights@9, or FILE.onnx")],
    start: Start = "",
    end: End = "",
    slices: Slices = None,
    html: Html = None,
    as_program: Json = False,
) -> None:
    """Two models side by side: what they are, and how they differ on rows that neither was fitted
    on."""
    pipeline = parse_model(model)[0]
    asked = [_contender(pipeline, each) for each in (model, other)]
    if not as_program:
        _records(ctx, pipeline, asked)
    _told(ctx, pipeline, asked, start, end, "", slices or [], html, as_program)


def _told(
    ctx: typer.Context, pipeline: str, asked: list[int | str | Path], start: str, end: str,
    window: str, slices: list[str], html: Path | None, as_program: bool, *, show: bool = False,
) -> None:  # fmt: skip
    found = client(ctx).backtest(
        pipeline, asked, start=start or None, end=end or None,
        window_of=_version(window, pipeline) if window else 0, slices=slices,
    )  # fmt: skip
    if html is not None:
        html.write_text(page(found), "utf-8")
    if as_program:
        as_json(found)
        return
    for line in summary(found):
        typer.echo(line)
    _worst(found)
    if html is not None:
        typer.echo(f"report: {html}")
        if show and sys.stdout.isatty():
            webbrowser.open(html.resolve().as_uri())


def _worst(found: dict[str, Any]) -> None:
    rows = [
        [each["name"], s["feature"], s["value"], s["rows"], s["loss"], s["low"], s["high"]]
        for each in found["models"]
        for s in each["slices"][:5]
    ]
    if rows:
        heads = ["model", "feature", "value", "rows", "mean loss", "95 % from", "to"]
        table(heads, rows, "worst slices")


def _records(ctx: typer.Context, pipeline: str, asked: list[int | str | Path]) -> None:
    known = [client(ctx).model(pipeline, each) if isinstance(each, int) else None for each in asked]
    fields = ("name", "kind", "seed", "rows", "from_us", "to_us", "bytes")
    rows = [[name, *(_field(one, name) for one in known)] for name in fields]
    params = sorted({name for one in known if one for name in one["candidate"]["params"]})
    rows += [
        [name, *((one["candidate"]["params"].get(name) if one else None) for one in known)]
        for name in params
    ]
    table(["", *(_named(pipeline, each) for each in asked)], rows, "what they are")


def _field(one: Any, name: str) -> object:
    if one is None:
        return None
    candidate = one["candidate"]
    window = candidate["window"] or {}
    known = {
        "rows": window.get("rows"),
        "from_us": window.get("start_us"),
        "to_us": window.get("end_us"),
        "bytes": candidate["bytes"],
    }
    return known[name] if name in known else candidate[name]


def _named(pipeline: str, each: int | str | Path) -> str:
    return f"{pipeline}@{each}" if isinstance(each, int) else str(each)


def _contender(pipeline: str, text: str) -> int | str | Path:
    """`live`, an alias, a version, or a file."""
    if text.endswith(".onnx"):
        return Path(text)
    if text in ("live", "champion", "previous"):
        return text
    return _version(text, pipeline)


def _version(text: str, pipeline: str) -> int:
    named, version, _ = parse_model(text if "@" in text else f"{pipeline}@{text}")
    if named != pipeline or not version:
        raise Refused(f"model {text!r}: wanted a version of {pipeline}, as {pipeline}@7")
    return version
