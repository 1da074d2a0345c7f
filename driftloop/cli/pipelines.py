"""Commands about pipelines: where Driftloop runs, a file begun, checked and declared."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from driftloop import spec
from driftloop.cli.show import Json, as_json, client, table
from driftloop.client import Refused
from driftloop.client.asking import file_text, learner_kinds

File = Annotated[Path, typer.Argument(metavar="FILE", help="a pipeline file")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(env)
    app.command()(init)
    app.command()(check)
    app.command()(schema)
    app.command()(apply)
    app.command("pipelines")(listed)


def env(ctx: typer.Context, as_program: Json = False) -> None:
    """Where Driftloop runs, and how to activate its Python."""
    place = client(ctx).place
    common = place.common
    activate = Path(sys.prefix) / "bin" / "activate"
    addresses = {
        "KAFKA_BOOTSTRAP": common.kafka_bootstrap,
        "DRIFTLOOP_REGISTRY": common.driftloop_registry,
        "DRIFTLOOP_FEATURES": common.driftloop_features,
        "DRIFTLOOP_SERVING": common.driftloop_serving,
        "DRIFTLOOP_TRAINING": common.driftloop_training,
        "DRIFTLOOP_EVALUATION": common.driftloop_evaluation,
        "DRIFTLOOP_NAMESPACE": common.driftloop_namespace,
        "DRIFTLOOP_WEB": place.web,
    }
    if as_program:
        as_json(
            {
                "found": place.found,
                "addresses": addresses,
                "web": place.web or None,
                "activate": f"source {activate}",
            }
        )
        return
    typer.echo(f"# from {place.found}; activate its Python: source {activate}")
    for name, address in addresses.items():
        typer.echo(f"export {name}={address}")


def init(
    ctx: typer.Context,
    topic: Annotated[
        str, typer.Argument(metavar="TOPIC", help="your topic, with some JSON messages in it")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="file to write; never overwrites")
    ] = None,
) -> None:
    """Begin a pipeline file from a sample of a topic: its fields, their types, a guess at roles."""
    text = client(ctx).draft(topic)
    if out is None:
        typer.echo(text)
        return
    if out.exists():
        raise Refused(f"{out}: is there already; name another by --out")
    try:
        out.write_text(text, "utf-8")
    except OSError as error:
        raise Refused(f"{out}: can't be written: {error.strerror}") from error
    typer.echo(f"{out} written: look at each GUESS, then `driftloop check {out}`")


def check(file: File, as_program: Json = False) -> None:
    """All mistakes of a pipeline file at once, with line, what was found and what would do."""
    text = file_text(file)
    try:
        pipeline = spec.parse(text, str(file), learner_kinds())
    except spec.Mistakes as mistakes:
        if as_program:
            as_json(
                {
                    "ok": False,
                    "mistakes": [
                        {"line": m.line, "field": m.field, "found": m.found, "wanted": m.wanted}
                        for m in mistakes.mistakes
                    ],
                }
            )
            raise typer.Exit(2) from mistakes
        raise Refused(str(mistakes)) from mistakes
    if as_program:
        as_json(
            {
                "ok": True,
                "mistakes": [],
                "name": pipeline.name,
                "generation_digest": pipeline.generation_digest(),
            }
        )
        return
    typer.echo(
        f"{file}: good; {pipeline.name} has {len(pipeline.sources)} sources, "
        f"{len(pipeline.features)} features, "
        f"{len(pipeline.learners)} learners"
    )


def schema() -> None:
    """The JSON Schema of pipeline files, for editors."""
    typer.echo(json.dumps(spec.json_schema(), indent=2))


def apply(ctx: typer.Context, file: File, as_program: Json = False) -> None:
    """Declare a pipeline: its topics are made, every service takes it up; nothing is restarted."""
    reply = client(ctx).apply(file)
    if as_program:
        as_json(reply)
        return
    declared = reply["pipeline"]
    changed = (
        f"declared as version {declared['version']}, generation {declared['generation']}"
        if reply["changed"]
        else f"unchanged: it is version {declared['version']} already"
    )
    typer.echo(f"{declared['name']}: {changed}")
    for topic in reply["created_topics"]:
        typer.echo(f"  made topic {topic}")
    for warning in reply["warnings"]:
        typer.echo(f"  warning: {warning}")


def listed(ctx: typer.Context, as_program: Json = False) -> None:
    """The declared pipelines."""
    found = client(ctx).pipelines()
    if as_program:
        as_json(found)
        return
    table(
        ["pipeline", "version", "generation", "by", "digest"],
        [[p["name"], p["version"], p["generation"], p["by"], p["digest"][:12]] for p in found],
        "pipelines",
    )
