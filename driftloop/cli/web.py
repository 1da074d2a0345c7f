"""The page of the loop, served from here until Ctrl-C."""

from __future__ import annotations

import os
import sys
import tempfile
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from driftloop.cli.show import client
from driftloop.web.serve import PORT, Listening, Where, serve


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(web)


def web(
    ctx: typer.Context,
    host: Annotated[
        str, typer.Option(envvar="DRIFTLOOP_HOST", help="address to listen on")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(envvar="DRIFTLOOP_WEB_PORT", min=0, max=65_535, help="0: a free one")
    ] = PORT,
    names: Annotated[
        str,
        typer.Option(envvar="DRIFTLOOP_WEB_NAMES", help="hosts it is known as, with commas"),
    ] = "",
    token: Annotated[
        str,
        typer.Option(
            envvar="DRIFTLOOP_WEB_TOKEN",
            help="what promote and rollback must show unless on loopback; none: one is made",
        ),
    ] = "",
    show: Annotated[bool, typer.Option("--open", help="in the browser")] = False,
) -> None:
    """The page of the loop in a browser: scores, drifts, runs, models; Ctrl-C ends it."""

    def on_open(listening: Listening) -> None:
        typer.echo(f"the page of the loop: {listening.address}")
        if listening.token and listening.token != token:
            typer.echo(f"promote and rollback need the token {_shown(listening.token)}")
        if show:
            webbrowser.open(listening.address)

    known = tuple(name.strip() for name in names.split(",") if name.strip())
    serve(client(ctx), Where(host, port, known, token), on_open)


def _shown(token: str, folder: Path | None = None) -> str:
    """The token itself on a terminal. Where output is kept as a log, which more people read, the
    file that holds it, for its owner alone.
    """
    if sys.stdout.isatty():
        return token
    handle, name = tempfile.mkstemp(prefix="driftloop-web-", suffix=".token", dir=folder)
    with os.fdopen(handle, "w") as file:  # mkstemp's mode is 0600
        file.write(token)
    return f"in {name}"
