"""Commands about data: ask the live model, produce a file, look into a topic, deal with dead
letters.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from driftloop.cli.show import Doors, Json, PipelineName, as_json, as_json_line, client, table
from driftloop.client import Client, Refused
from driftloop.client.dead import DeadLetter

VALUE_SHOWN = 60  # characters of a dead letter in the list

dead = typer.Typer(
    cls=Doors, no_args_is_help=True, help="Bad source records: list, show, send back."
)
Numbers = Annotated[
    list[int] | None, typer.Argument(metavar="[NUMBER]...", help="as `dead list` shows them")
]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(predict)
    app.command()(produce)
    app.command()(tail)
    app.add_typer(dead, name="dead")


def predict(
    ctx: typer.Context,
    pipeline: PipelineName,
    row: Annotated[
        str,
        typer.Argument(
            metavar="ROW", help="a JSON object with the source's fields; - reads it from stdin"
        ),
    ],
    as_program: Json = False,
) -> None:
    """Ask the live model about a raw row: features makes the vector, serving answers."""
    text = sys.stdin.read() if row == "-" else row
    answer = client(ctx).predict(pipeline, _object(text))
    if as_program:
        as_json(answer)
        return
    said = [
        (name, answer[name])
        for name in ("model", "probability", "probabilities", "value", "label", "late")
        if name in answer
    ]
    table(["", ""], said)
    ages: Mapping[str, float] = answer["ages_s"]
    table(
        ["feature", "value", "age s"],
        [[name, value, ages.get(name)] for name, value in answer["features"].items()],
    )


def produce(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="JSON lines, or CSV with a header")],
    topic: Annotated[str, typer.Argument(metavar="TOPIC")],
    key: Annotated[str, typer.Option(help="the field whose value is the message key")] = "",
) -> None:
    """Send a file's rows to a topic."""
    if not file.is_file():
        raise Refused(f"{file}: no such file")
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TextColumn("{task.fields[rows]:,} rows"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task(f"{file.name} → {topic}", total=file.stat().st_size, rows=0)
        rows = 0

        def on_bytes(size: int, count: int) -> None:
            nonlocal rows
            rows += count
            progress.update(task, advance=size, rows=rows)

        sent = client(ctx).produce(file, topic, key, on_bytes)
    typer.echo(f"{sent:,} rows sent to {topic}")


def tail(
    ctx: typer.Context,
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="any topic; ours are decoded")],
    newest: Annotated[int, typer.Option("-n", min=0, help="messages from the end")] = 10,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="go on until Ctrl-C")] = False,
    as_program: Json = False,
) -> None:
    """The newest messages of a topic, decoded: a JSON object a row."""
    stop = threading.Event() if follow else None
    try:
        for row in client(ctx).tail(topic, newest, stop):
            if as_program:
                as_json_line(row)
            else:
                _row(row)
    except KeyboardInterrupt:
        return


@dead.command("list")
def dead_list(
    ctx: typer.Context,
    pipeline: PipelineName,
    rule: Annotated[str, typer.Option(help="only those that broke this rule")] = "",
    newest: Annotated[int, typer.Option("-n", min=0, help="0: all")] = 20,
    as_program: Json = False,
) -> None:
    """Dead letters with their reasons, the newest last."""
    found = [letter for letter in client(ctx).dead_letters(pipeline) if rule in ("", letter.rule)]
    shown = found[-newest:] if newest else found
    if as_program:
        as_json(shown)
        return
    table(
        ["number", "at", "rule", "reason", "from", "value"],
        [
            [
                str(d.number),
                d.at,
                d.rule,
                d.reason,
                f"{d.topic}[{d.partition}]@{d.offset}",
                _beginning(d),
            ]
            for d in shown
        ],
        f"dead letters of {pipeline}, {len(shown)} of {len(found)}",
    )


@dead.command("show")
def dead_show(
    ctx: typer.Context,
    pipeline: PipelineName,
    number: Annotated[int, typer.Argument(metavar="NUMBER")],
    as_program: Json = False,
) -> None:
    """One dead letter, whole."""
    found = _letters(client(ctx), pipeline, [number])[0]
    if as_program:
        as_json(found)
        return
    table(
        ["", ""],
        [
            ["number", str(found.number)],
            ["at", found.at],
            ["rule", found.rule],
            ["reason", found.reason],
            ["from", f"{found.topic}[{found.partition}]@{found.offset}"],
            ["key", _text(found.key)],
        ],
    )
    typer.echo(_text(found.value))


@dead.command("redrive")
def dead_redrive(
    ctx: typer.Context,
    pipeline: PipelineName,
    numbers: Numbers = None,
    rule: Annotated[str, typer.Option(help="all that broke this rule")] = "",
    everything: Annotated[bool, typer.Option("--all", help="all that are kept")] = False,
) -> None:
    """Send dead letters back to their source, as they were: after the file or the world has been
    mended.
    """
    door = client(ctx)
    if not (numbers or rule or everything):
        raise Refused(
            f"redrive what? numbers of `driftloop dead list {pipeline}`, --rule RULE or --all"
        )
    wanted = numbers or [
        d.number for d in door.dead_letters(pipeline) if everything or d.rule == rule
    ]
    sent = door.redrive(pipeline, wanted)
    typer.echo(
        f"{len(sent)} sent back to "
        f"{', '.join(sorted({d.topic for d in sent})) or 'nowhere: none matched'}"
    )


def _letters(door: Client, pipeline: str, numbers: list[int]) -> list[DeadLetter]:
    found = {letter.number: letter for letter in door.dead_letters(pipeline)}
    unknown = [number for number in numbers if number not in found]
    if unknown:
        raise Refused(
            f"{pipeline} has no dead letter {unknown[0]}; `driftloop dead list {pipeline}` lists "
            "them"
        )
    return [found[number] for number in numbers]


def _object(text: str) -> Mapping[str, object]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise Refused(
            f"ROW: not JSON ({error}); wanted an object as '{{\"distance\": 1400}}'"
        ) from error
    if not isinstance(value, dict):
        raise Refused(f"ROW: found {type(value).__name__}, wanted a JSON object")
    return value


def _row(row: Mapping[str, Any]) -> None:
    where = f"[{row['partition']}]@{row['offset']} {row['appended']}"
    rest = {
        name: value
        for name, value in row.items()
        if name not in ("partition", "offset", "appended")
    }
    typer.echo(
        f"{typer.style(where, dim=True)} {json.dumps(rest, ensure_ascii=False, default=str)}"
    )


def _beginning(letter: DeadLetter) -> str:
    text = _text(letter.value)
    return text if len(text) <= VALUE_SHOWN else f"{text[:VALUE_SHOWN]}…"


def _text(data: bytes | None) -> str:
    return "" if data is None else data.decode("utf-8", "backslashreplace")
