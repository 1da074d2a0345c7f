"""To and from MLflow."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from driftloop.cli.show import Json, PipelineName, as_json, client, tell
from driftloop.mlflow import exchange
from driftloop.mlflow.beside import beside

Tracking = Annotated[
    str,
    typer.Option(envvar="MLFLOW_TRACKING_URI", help="where MLflow is, as http://127.0.0.1:5000"),
]
imports = typer.Typer(help="Bring models in: from MLflow.", no_args_is_help=True)
exports = typer.Typer(help="Write runs and models out: to MLflow.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.add_typer(imports, name="import")
    app.add_typer(exports, name="export")


@imports.command("mlflow")
def import_mlflow(
    ctx: typer.Context,
    uri: Annotated[
        str, typer.Argument(metavar="URI", help="models:/flights@champion, models:/flights/3")
    ],
    pipeline: Annotated[
        str, typer.Argument(help="whose gate judges it; none: the one of the model's name")
    ] = "",
    tracking_uri: Tracking = "",
    note: Annotated[str, typer.Option(help="kept with the model")] = "",
    as_program: Json = False,
) -> None:
    """Enter a model of MLflow's in the ONNX flavour: the gate judges it on the newest labelled
    rows, as it does with `models add`."""
    with beside(tracking_uri) as mlflow:
        found = exchange.take(client(ctx), mlflow, uri, pipeline, note, tracking_uri)
    text = (
        f"{found.source} is asked for by request {found.request_id}; `driftloop explain "
        f"{found.pipeline}` tells what the gate says"
    )
    tell(as_program, asdict(found), text)


@exports.command("mlflow")
def export_mlflow(
    ctx: typer.Context,
    pipeline: PipelineName,
    tracking_uri: Tracking = "",
    name: Annotated[
        str, typer.Option(help="of experiment and registered model; none: the pipeline's")
    ] = "",
    as_program: Json = False,
) -> None:
    """Write runs, candidates, versions and aliases to MLflow. Again is no harm: only what is new
    or has changed is written."""
    with beside(tracking_uri) as mlflow:
        found = exchange.export(client(ctx), mlflow, pipeline, name or pipeline)
    if as_program:
        as_json(asdict(found))
        return
    typer.echo(
        f"{name or pipeline} at {exchange.shown(tracking_uri)}: {found.runs} runs, "
        f"{found.candidates} candidates, {found.versions} versions; {found.written} of them "
        "written now"
    )
    for alias, number in sorted(found.aliases.items()):
        typer.echo(f"  {alias} is version {number} there")
    if found.deleted:
        typer.echo(f"  {found.deleted} runs were deleted there, and stay so")
    if found.lost:
        typer.echo(
            f"  left out, as their files are not kept any more: {', '.join(map(str, found.lost))}"
        )
