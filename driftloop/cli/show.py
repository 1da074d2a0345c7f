"""How things look: tables for people, JSON for programs, one line for an error. The only writer to
the terminal.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from typer.core import TyperGroup

from driftloop.client import Client, DriftloopError, Refused
from driftloop.client.addresses import redacted

BAD_INPUT, TROUBLE = 2, 1

Json = Annotated[bool, typer.Option("--json", help="for programs: JSON instead of a table")]
PipelineName = Annotated[
    str, typer.Argument(metavar="PIPELINE", help="as `driftloop pipelines` lists them")
]


class Doors(TyperGroup):
    """Our errors as one line each (more only for a file with several mistakes) and an exit status,
    no traceback.
    """

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        try:
            return super().invoke(ctx)
        except Refused as error:
            typer.echo(said(error), err=True)
            raise typer.Exit(BAD_INPUT) from error
        except DriftloopError as error:
            typer.echo(said(error), err=True)
            raise typer.Exit(TROUBLE) from error
        except BrokenPipeError as error:  # `driftloop tail … | head`
            raise typer.Exit(0) from error


def client(ctx: typer.Context) -> Client:
    """The client of this call, made when first asked for, so that `check` needs no broker; closed
    with the call.
    """
    make: Callable[[], Client] = ctx.obj
    made = make()
    ctx.call_on_close(made.close)
    return made


def said(error: DriftloopError) -> str:
    """Its text, without the secrets of our settings."""
    return redacted(str(error))


def tell(as_program: bool, found: Mapping[str, object], text: str) -> None:
    """One fact: JSON for a program, else a line."""
    as_json(found) if as_program else typer.echo(text)


def console() -> Console:
    """As wide as the terminal; 160 columns where there is none, so that a pipe loses nothing."""
    found = Console()
    return found if found.is_terminal else Console(width=160)


def as_json(value: object) -> None:
    """One document. Dataclasses are objects, bytes text."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2, default=_plain))


def as_json_line(value: object) -> None:
    """One line of many."""
    typer.echo(json.dumps(value, ensure_ascii=False, default=_plain))


def table(
    columns: Mapping[str, Sequence[object]] | Sequence[str],
    rows: Sequence[Sequence[object]],
    title: str = "",
) -> None:
    """Rows under their heads; numbers to the right. Nothing to show is said."""
    if not rows:
        typer.echo(f"{title or 'nothing'}: none")
        return
    console().print(tabled(columns, rows, title))


def tabled(
    columns: Mapping[str, Sequence[object]] | Sequence[str],
    rows: Sequence[Sequence[object]],
    title: str = "",
) -> Table:
    """The same, for a view that is drawn anew."""
    drawn = Table(
        title=title or None, title_justify="left", header_style="bold", box=None, pad_edge=False
    )
    for at, name in enumerate(columns):
        right = all(isinstance(row[at], (int, float)) or row[at] is None for row in rows)
        drawn.add_column(name, justify="right" if right else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*(cell(part) for part in row))
    return drawn


def cell(value: object) -> str:
    """A value as a table shows it."""
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4f}" if abs(value) < 100 else f"{value:,.1f}"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) else str(value)


def wall(at_ms: int) -> str:
    """Wall time to the second, UTC."""
    return datetime.fromtimestamp(at_ms / 1_000, UTC).strftime("%Y-%m-%d %H:%M:%S") if at_ms else ""


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return str(value)
