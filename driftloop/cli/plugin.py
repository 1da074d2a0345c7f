"""A package of one's own, begun."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from driftloop.client import Refused
from driftloop.plugins.scaffold import learner

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,40}")
KINDS = {"learner": learner}

plugin = typer.Typer(help="Packages of your own: learners.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.add_typer(plugin, name="plugin")


@plugin.command()
def new(
    what: Annotated[str, typer.Argument(metavar="learner", help="what it brings")],
    name: Annotated[str, typer.Argument(help="of the kind, as a pipeline file names it")],
    folder: Annotated[
        Path, typer.Option(help="to make it in; a clone installs what is in its plugins/")
    ] = Path("plugins"),
) -> None:
    """Begin an installable folder with a working piece, its entry point and its test."""
    if what not in KINDS:
        raise Refused(f"plugin new {what}: wanted one of {', '.join(KINDS)}")
    if not NAME.fullmatch(name):
        raise Refused(f"name {name!r}: wanted a letter, then letters, digits, - or _")
    made = folder / name
    if made.exists():
        raise Refused(f"{made} is there already")
    for path, text in KINDS[what](name).items():
        target = made / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8")
    typer.echo(
        f"made {made}: `pip install -e {made}`, or `make setup` in a clone, then pytest {made}"
    )
