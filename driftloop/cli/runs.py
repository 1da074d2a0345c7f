"""Commands about training runs: the list, one run as a graph of its steps, cancel and retry."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from driftloop.cli.show import Json, as_json, client, console, table, tell, wall
from driftloop.client import Refused
from driftloop.client.plain import Plain
from driftloop.client.status import run_row
from driftloop.client.story import Step

WORDS = "PIPELINE | show RUN | cancel RUN | retry RUN"
STAGES = ("requested", "accepted", "trained", "judged", "released", "finished", "swapped")


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(runs)


def runs(
    ctx: typer.Context,
    words: Annotated[list[str], typer.Argument(metavar=WORDS, show_default=False)],
    newest: Annotated[int, typer.Option(min=0, help="only so many; 0: all")] = 20,
    where: Annotated[
        str, typer.Option(help="only those: 'outcome = rejected AND trigger = drift'")
    ] = "",
    html: Annotated[
        Path | None, typer.Option(help="show: its report, with Optuna's plots, as that file")
    ] = None,
    as_program: Json = False,
) -> None:
    """The training runs, the oldest first. `show`: one as a graph of its steps; `cancel` ends one
    that is being trained; `retry` asks for it again on the same rows."""
    match words:
        case [pipeline]:
            _list(ctx, pipeline, newest, where, as_program)
        case ["show", run_id]:
            _show(ctx, run_id, html, as_program)
        case ["cancel", run_id]:
            client(ctx).cancel(run_id)
            tell(as_program, {"cancelled": run_id}, f"{run_id} is cancelled")
        case ["retry", run_id]:
            request = client(ctx).retry(run_id)
            text = f"asked: {request}; `driftloop explain` tells what comes of it"
            tell(as_program, {"request_id": request}, text)
        case _:
            raise Refused(f"runs {' '.join(words)}: wanted {WORDS}")


def _list(ctx: typer.Context, pipeline: str, newest: int, where: str, as_program: bool) -> None:
    found = client(ctx).runs(pipeline, newest, where)
    if as_program:
        as_json(found)
        return
    rows = [run_row(run) for run in found]
    table(
        [
            "run",
            "opened",
            "trigger",
            "outcome",
            "version",
            "winner",
            "gain",
            "at least",
            "train s",
            "judge s",
            "why",
        ],
        [
            [
                r["run_id"],
                wall(r["opened_ms"]),
                r["trigger"],
                r["outcome"],
                r["version"],
                r["winner"],
                r["gain"],
                r["gain_low"],
                r["train_s"],
                r["evaluate_s"],
                r["outcome_reason"] or r["reason"],
            ]
            for r in rows
        ],
        f"runs of {pipeline}",
    )


def _show(ctx: typer.Context, run_id: str, html: Path | None, as_program: bool) -> None:
    asked = client(ctx)
    run = asked.run(run_id)
    opened = run["opened"]
    steps = [
        step
        for step in asked.explain(opened["pipeline"])
        if run_id == step.run_id or opened["request_id"] == step.thread
    ]
    tried = asked.trials(opened["pipeline"], run_id)
    if html is not None:
        html.write_text(_report(run, steps, tried), "utf-8")
    if as_program:
        as_json({"run": run, "steps": steps, "trials": tried})
        return
    row = run_row(run)
    head = f"{run_id} of {opened['pipeline']}: {row['trigger']}, {row['outcome']}"
    console().print(Text(head + (f" as version {row['version']}" if row["version"] else "")))
    for line in graph(steps, len(tried)):
        console().print(Text(line))


def _report(run: Plain, steps: Sequence[Step], tried: Sequence[Plain]) -> str:
    """Its libraries take a second to load, and no other command wants them."""
    try:
        from driftloop.plots.run import page
    except ModuleNotFoundError as error:
        raise Refused(
            f"--html draws with Optuna and Plotly, and {error.name} is not installed here: "
            "pip install 'driftloop[plots]'"
        ) from error
    return page(run, steps, tried)


def graph(steps: Sequence[Step], trials: int) -> list[str]:
    """The steps from above to below, a candidate as a branch; times count from the first."""
    lines: list[str] = []
    begun_ms = steps[0].at_ms if steps else 0
    reached = {step.kind for step in steps}
    for step in steps:
        since = f"+{(step.at_ms - begun_ms) / 1_000:.1f} s" if lines else wall(step.at_ms)
        lines.append(f"● {step.kind:<10} {since:<20} {step.says}")
        lines += [f"├─ {detail}" for detail in step.details]
        if step.kind == "accepted" and trials:
            lines.append(f"├─ {trials} sets of parameters tried; `driftloop trials` lists them")
    if "finished" not in reached:
        waits = next((stage for stage in STAGES if stage not in reached), "finished")
        lines.append(f"○ {waits:<10} under way")
    return lines
