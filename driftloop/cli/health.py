"""Is the loop whole, and is the ground it stands on sound? `status` and `doctor`, for people and,
by their exit status, for scripts: 0 whole, 1 something is wrong, 2 it can't be told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.text import Text

from driftloop.cli.show import Json, as_json, client, console, said, table
from driftloop.client import Unavailable
from driftloop.client.problems import ago

WHOLE, WRONG, UNKNOWN = 0, 1, 2
COLOURS: Mapping[str, str] = {
    "wrong": "red",
    "unknown": "yellow",
    "fail": "red",
    "warn": "yellow",
    "note": "dim",
    "ok": "green",
}
Named = Annotated[str, typer.Argument(metavar="[PIPELINE]", help="only this one, and all services")]
Everything = Annotated[bool, typer.Option("--all", help="also what is in order")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(status)
    app.command()(doctor)


def status(ctx: typer.Context, pipeline: Named = "", as_program: Json = False) -> None:
    """Is the loop whole? Services, pipelines, and what is wrong with what to do about it. Exit
    status: 0 whole, 1 something is wrong, 2 it can't be told (no broker, or a busy one)."""
    try:
        found = client(ctx).status(pipeline)
    except Unavailable as error:
        _unknown(error, as_program)
    if as_program:
        as_json(found)
    else:
        _draw(found)
    raise typer.Exit({True: WHOLE, False: WRONG}.get(found["whole"], UNKNOWN))


def doctor(ctx: typer.Context, as_program: Json = False, everything: Everything = False) -> None:
    """Checks the broker's settings, the topics, clocks, disks, groups and services, and names the
    mend of each. Exit status: 0 sound, 1 something fails or warns, 2 it can't be told."""
    try:
        found = client(ctx).examine()
    except Unavailable as error:
        _unknown(error, as_program)
    bad = [one for one in found["findings"] if one["severity"] != "ok"]
    if as_program:
        as_json(found)
    else:
        for one in found["findings"] if everything else bad:
            _finding(one)
        good = len(found["findings"]) - len(bad)
        console().print(Text(f"{good} checks are in order, {len(bad)} are not", style="bold"))
    raise typer.Exit(WRONG if bad else WHOLE)


def _unknown(error: Unavailable, as_program: bool) -> None:
    """The one line; for a program too it is an answer."""
    if as_program:
        as_json({"whole": None, "says": said(error)})
    else:
        typer.echo(f"cannot tell: {said(error)}", err=True)
    raise typer.Exit(UNKNOWN) from error


def _draw(found: Mapping[str, Any]) -> None:
    now_ms = found["at_ms"]
    _verdict(found)
    table(
        ["service", "replicas", "loops", "lag", "rows/s", "last error"],
        [_service_row(one, now_ms) for one in found["services"]],
        "services",
    )
    console().print()
    table(
        ["pipeline", "model", "live since, and why", "last trigger", "run", "event time", "labels"],
        [_pipeline_row(one, now_ms) for one in found["pipelines"]],
        "pipelines",
    )


def _verdict(found: Mapping[str, Any]) -> None:
    out = console()
    wrong = sum(one["level"] == "wrong" for one in found["problems"])
    verdict = {
        True: ("the loop is whole", "bold green"),
        None: ("cannot tell whether the loop is whole", "bold yellow"),
        False: ("one thing is wrong" if wrong == 1 else f"{wrong} things are wrong", "bold red"),
    }
    says, style = verdict[found["whole"]]
    out.print(Text(says, style=style))
    for one in found["problems"]:
        line = Text(f"{one['level']:<8}", style=COLOURS[one["level"]])
        line.append(f"{one['where']}: {one['says']}", style="default")
        out.print(line)
        out.print(Text(f"        → {one['mend']}", style="dim"))
    out.print()


def _service_row(one: Mapping[str, Any], now_ms: int) -> Sequence[object]:
    names = [_replica(p, now_ms) for p in one["replicas"] if p["state"] != "ended"]
    loops = ", ".join(f"{count} {state}" for state, count in sorted(one["loops"].items()))
    lag = f"{one['lag_records']:,}" + (" and growing" if one["lag_grows"] else "")
    error, age_s = one["last_error"], one["last_error_age_s"]
    when = f" ({ago(now_ms - round(age_s * 1_000), now_ms)} ago)" if age_s is not None else ""
    rows = f"{one['rows_per_s']:,.0f}" if one["running"] else ""
    return [
        one["service"],
        ", ".join(names) or "none",
        loops,
        lag if one["loops"] else "",
        rows if one["loops"] else "",
        f"{error}{when}" if error else "",
    ]


def _replica(one: Mapping[str, Any], now_ms: int) -> str:
    silent = f" (silent {ago(one['at_ms'], now_ms)})" if one["state"] == "silent" else ""
    return f"{one['replica']}{silent}"


def _pipeline_row(one: Mapping[str, Any], now_ms: int) -> Sequence[object]:
    coverage = one["label_coverage"]
    told = (("live", _live), ("last_trigger", _trigger), ("open_run", _run))
    return [
        one["name"],
        one["model"],
        *("unknown" if name in one["unknown"] else say(one[name], now_ms) for name, say in told),
        one["event_time"][:16].replace("T", " "),
        f"{coverage:.1%}" if coverage is not None else "",
    ]


def _live(live: Mapping[str, Any] | None, now_ms: int) -> str:
    if live is None:
        return ""
    run = f", {live['run_id']}" if live["run_id"] else ""
    reason = f" ({live['reason']})" if live["reason"] else ""
    return f"{ago(live['since_ms'], now_ms)}: {live['cause']} by {live['by']}{run}{reason}"


def _trigger(last: Mapping[str, Any] | None, now_ms: int) -> str:
    return f"{last['trigger']} {ago(last['at_ms'], now_ms)} ago: {_came(last)}" if last else ""


def _run(run: Mapping[str, Any] | None, now_ms: int) -> str:
    return f"{run['run_id']}, {run['stage']} for {ago(run['since_ms'], now_ms)}" if run else ""


def _came(last: Mapping[str, Any]) -> str:
    version = f" as version {last['version']}" if last["version"] else ""
    reason = f" ({last['outcome_reason']})" if last["outcome_reason"] else ""
    return f"{last['outcome']}{version}{reason}"


def _finding(one: Mapping[str, Any]) -> None:
    line = Text(f"{one['severity']:<5}", style=COLOURS[one["severity"]])
    line.append(f"{one['subject']}: {one['says']}", style="default")
    console().print(line)
    if one["mend"]:
        console().print(Text(f"     → {one['mend']}", style="dim"))
