"""The command line put together: global options, and the commands of each room."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from driftloop.cli import (
    backtest,
    data,
    health,
    mlflow,
    models,
    pipelines,
    plugin,
    records,
    runs,
    trying,
    view,
    web,
)
from driftloop.cli.show import Doors
from driftloop.client import connect

app = typer.Typer(
    name="driftloop",
    cls=Doors,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Models on Kafka that look after themselves.",
)


@app.callback()
def options(
    ctx: typer.Context,
    kafka: Annotated[
        str | None,
        typer.Option(
            help="host:port of the broker; else the environment, else the newest stack here"
        ),
    ] = None,
) -> None:
    logging.getLogger("driftloop").addHandler(
        logging.NullHandler()
    )  # an error is said once, by Doors
    ctx.obj = ctx.obj or (lambda: connect(kafka))


pipelines.add_to(app)
models.add_to(app)
data.add_to(app)
records.add_to(app)
runs.add_to(app)
plugin.add_to(app)
mlflow.add_to(app)
backtest.add_to(app)
health.add_to(app)
trying.add_to(app)
view.add_to(app)
web.add_to(app)
