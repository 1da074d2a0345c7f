"""A table of one's own, round the loop in one command."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import webbrowser
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

import driftloop
from driftloop import trial
from driftloop.client import Refused, Unavailable
from driftloop.client.addresses import Place, here, listens
from driftloop.client.client import at
from driftloop.kit.clock import SystemClock
from driftloop.kit.kafka import KafkaBroker
from driftloop.spec import duration_us
from driftloop.trial import loop
from driftloop.trial.run import Pace

SECONDS = (30.0, 300.0)  # the whole table takes at least and at most, unless a speed is given
ROWS_PER_S = 500.0  # between the two: a turn of the loop, some 10 s, is then 5,000 rows
STACK_S = 180.0  # a first start compiles kernels
NAME_MAX = 40

Speed = Annotated[
    str,
    typer.Option(help="max: as fast as the broker takes it; a number: times real time; "
                 "else 500 rows a second, but 30 s at least and 5 minutes at most"),
]  # fmt: skip


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("try")(try_)


def try_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="a .csv, .csv.gz or .parquet file")],
    time: Annotated[
        str, typer.Option(help="the column that says when; `rows`: the order of the rows")
    ] = "",
    target: Annotated[str, typer.Option(help="the column that is to be foretold")] = "",
    row_id: Annotated[str, typer.Option("--id", help="the column that makes a row itself")] = "",
    label_delay: Annotated[
        str,
        typer.Option(help="how much later the target is known, as 1d; else 1% of the time"),
    ] = "",
    speed: Speed = "",
    name: Annotated[str, typer.Option(help="of the pipeline; else the file's")] = "",
    rows: Annotated[int, typer.Option(min=0, help="only so many of the first rows; 0: all")] = 0,
    show: Annotated[bool, typer.Option("--open/--no-open", help="the report, in a browser")] = True,
) -> None:
    """A table of your own round the loop: split into events, a pipeline file written with each
    guess as a comment, a stack started where none runs, replayed, and reported.
    """
    frame = trial.read(file)
    frame = frame.head(rows) if rows else frame
    asked = trial.Asked(
        _asked(time, "--time", frame.columns, "or `rows` for the order of the rows"),
        _asked(target, "--target", frame.columns, "which is to be foretold"),
        row_id,
        _duration(label_delay),
    )
    name = name or _name(file)
    begun = loop.begin(frame, asked, name, file.name, Path.cwd(), typer.echo)
    pace = _pace(speed, frame.height)
    place = _stack(here())
    report, whole = _gone_round(begun, place, pace)
    typer.echo(f"report: {report}")
    if place.web:
        typer.echo(f"the page of the loop: {place.web}/#p={name}")
    if show and sys.stdout.isatty():
        webbrowser.open(report.resolve().as_uri())
    if not whole:
        raise typer.Exit(1)


def _gone_round(begun: loop.Trial, place: Place, pace: Pace) -> tuple[Path, bool]:
    """Where the report is, and whether all was done in time."""
    common = place.common
    broker = KafkaBroker({"log_level": "0", **common.kafka}, common.driftloop_namespace)
    folder = (place.folder.parent if place.folder else Path.cwd() / "var") / f"try-{begun.name}"
    with contextlib.closing(broker):
        with at(place) as client, Progress(transient=True) as bar:
            task = bar.add_task("sending", total=None)

            def tell(sent: int, of: int) -> None:
                bar.update(task, completed=sent, total=of)

            whole = loop.go(begun, client, broker, pace, SystemClock(), tell, typer.echo)
        for line in loop.write(begun, broker, folder):
            typer.echo(line)
    return folder / "report.html", whole


def _asked(given: str, option: str, columns: list[str], what: str) -> str:
    """What was given, else what somebody at the terminal answers. Refused: nobody is there."""
    if given:
        return given
    said = f"{option} COLUMN: {what}; the table has {', '.join(columns)}"
    if not sys.stdin.isatty():
        raise Refused(said)
    return str(typer.prompt(said))


def _duration(text: str) -> int | None:
    try:
        return duration_us(text) if text else None
    except ValueError as error:
        raise Refused(f"--label-delay: {error}") from error


def _pace(speed: str, rows: int) -> Pace:
    if speed == "max":
        return Pace()
    if not speed:
        least, most = SECONDS
        return Pace(rows_per_s=max(min(ROWS_PER_S, rows / least), rows / most))
    try:
        times = float(speed)
    except ValueError:
        times = 0.0
    if times <= 0:
        raise Refused(f"--speed: found {speed!r}, wanted max or how many times real time, as 1000")
    return Pace(times=times)


def _name(file: Path) -> str:
    """A pipeline's name made of the file's."""
    word = re.sub(r"[^a-z0-9]+", "-", file.name.split(".")[0].lower()).strip("-")[:NAME_MAX]
    return word if word[:1].isalpha() and word != "driftloop" else f"t-{word or 'able'}"[:NAME_MAX]


def _stack(place: Place) -> Place:
    """Where a stack runs; if nowhere, the local one is started and left running."""
    common = place.common
    if any(listens(each.strip(), 0.3) for each in common.kafka_bootstrap.split(",")):
        return place
    root = Path(driftloop.__file__).parents[1]
    if place.found == "the environment" or not (root / "infra" / "local" / "stack.py").is_file():
        raise Unavailable(
            f"no broker answers at {common.kafka_bootstrap}: `make run` or `make up` in a clone of "
            "Driftloop starts a stack, or say where one is by KAFKA_BOOTSTRAP"
        )
    return _started(root)


def _started(root: Path) -> Place:
    """`make run` in the background. Unavailable: it did not come up."""
    log = root / "var" / "run" / "try.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    typer.echo(f"starting a stack; `make stop` in {root} ends it; its log is {log}")
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "infra.local.stack", "run"],
            cwd=root, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True,
        )  # fmt: skip
    clock = SystemClock()
    end_s = clock.seconds() + STACK_S
    while clock.seconds() < end_s and process.poll() is None:
        place = here(folder=root)
        if place.folder:
            return place
        clock.sleep(0.5)
    raise Unavailable(f"the stack did not come up; see {log}")
