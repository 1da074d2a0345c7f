"""What is wrong with a loop, in plain words, each with what to do about it. Pure.

`wrong`: the loop is not whole. `unknown`: it may be wrong, and can't be told now. `note`: good to
know, the loop goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from driftloop.client.overview import (
    BY_PIPELINE,
    SERVICES,
    Facts,
    of_last_minute,
    pipelines,
    processes,
    services,
)
from driftloop.client.plain import Plain
from driftloop.kit.errors import Refused

START_MS = 30_000  # a process that has begun restores its state, and joins its groups
ANSWER_MS = 10_000  # a request is answered within a transaction or two
DEADLINE_GRACE_MS = 10_000  # the registry closes an overdue run at its next look
REJECTED_MAX = 3  # in a row: then it is no chance
DEAD_SHARE_MAX = 0.05
SOURCE_SILENT_MS = 3_600_000
COVERAGE_MIN = 0.5
TAKEN = ("accepted", "duplicate", "late")  # what else ingestion counts are rules that were broken
ORDER = ("wrong", "unknown", "note")
UNTOLD = {  # what can't be told, by what was not read; of anything else a note is enough
    "released": "which model is live",
    "requested": "the last trigger",
    "resolved": "what came of the last trigger, and which run is open",
    "finished": "how runs ended, and which is open",
    "source": "whether this source is there",
    "silent": "who fell silent over a minute ago, and whether with a good-bye",
    "clock": "whether this machine's clock, which ages are told by, is right",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """`where`: a service or a pipeline."""

    level: Literal["wrong", "unknown", "note"]
    where: str
    says: str
    mend: str


def status(facts: Facts, pipeline: str = "") -> Plain:
    """All that `driftloop status` tells; `whole` is False where anything is wrong, and None where
    that can't be told. Refused: no such pipeline."""
    known = [one.name for one in facts.declared]
    if pipeline and pipeline not in known:
        raise Refused(f"no pipeline {pipeline}; there are {', '.join(known) or 'none'}")
    found = problems(facts, pipeline)
    levels = {one.level for one in found}
    return {
        "whole": False if "wrong" in levels else None if "unknown" in levels else True,
        "at_ms": facts.now_ms,
        "services": services(facts),
        "processes": processes(facts),
        "pipelines": [one for one in pipelines(facts) if pipeline in ("", one["name"])],
        "problems": [asdict(one) for one in found],
        "unread": [f"{asked.topic} {why}" for asked, why in facts.unread.items()],
        "skew_ms": facts.skew_ms,
    }


def problems(facts: Facts, pipeline: str = "") -> list[Problem]:
    """What is wrong first; of one pipeline and of all services where it is named."""
    found = [*_unread(facts, pipeline), *_clock(facts)]
    for service in services(facts):
        found += _service(service, facts)
    for one in pipelines(facts):
        if pipeline in ("", one["name"]):
            for check in _CHECKS:
                found += check(one, facts)
    return sorted(found, key=lambda problem: ORDER.index(problem.level))


def _unread(facts: Facts, pipeline: str) -> Iterator[Problem]:
    for asked, why in facts.unread.items():
        if pipeline and asked.pipeline not in ("", pipeline):
            continue
        untold = UNTOLD.get(asked.what)
        yield Problem(
            "unknown" if untold else "note",
            asked.pipeline or "broker",
            f"unknown: {asked.topic} {why}" + (f": {untold}" if untold else ""),
            "ask again when the broker is less busy",
        )


def _clock(facts: Facts) -> Iterator[Problem]:
    if facts.skew_ms:
        off = f"{abs(facts.skew_ms) / 1_000:.0f} s {'ahead of' if facts.skew_ms > 0 else 'behind'}"
        yield Problem(
            "note",
            "this machine",
            f"its clock is {off} the broker's, by which all ages are told",
            "run NTP on it (`timedatectl set-ntp true`)",
        )


def _service(service: Plain, facts: Facts) -> Iterator[Problem]:
    name, replicas = service["service"], service["replicas"]
    if not service["running"] and name in SERVICES:
        yield Problem(
            "wrong",
            name,
            f"no replica runs: {_seen(replicas, facts.now_ms)}",
            f"start it (`make run`, or `docker compose up -d {name}`); its log says why it ended",
        )
    for replica in _lost(replicas):
        yield Problem(
            "wrong" if service["running"] else "note",
            name,
            f"{replica['replica']} fell silent {ago(replica['at_ms'], facts.now_ms)} ago without "
            "a good-bye: killed, or cut off from the broker",
            f"look at the end of its log and start it again; {service['running']} others run",
        )
    if service["answers"] and service["running"]:
        yield Problem(
            "note",
            name,
            f"it runs, but can't be called from here: {service['answers']}",
            f"set DRIFTLOOP_{name.upper()} to its host:port",
        )


def _seen(replicas: Sequence[Plain], now_ms: int) -> str:
    last = max(replicas, key=lambda p: p["at_ms"], default=None)
    if last is None:
        return "none was seen"
    if last["state"] == "ended":
        return f"it ended in good order {ago(last['at_ms'], now_ms)} ago"
    return f"its last pulse is {ago(last['at_ms'], now_ms)} old"


def _lost(replicas: Sequence[Plain]) -> list[Plain]:
    """Silent, and not replaced since: a restart without a slot comes back under another name, so
    each that began stands for the one that went just before it."""
    gone = sorted((p for p in replicas if p["state"] != "running"), key=lambda p: p["at_ms"])
    for began_ms in sorted(p["at_ms"] - p["up_s"] * 1_000 for p in replicas if not p["restarted"]):
        before = [p for p in gone if p["at_ms"] < began_ms]
        gone = [p for p in gone if not before or p is not before[-1]]
    return [p for p in gone if p["state"] == "silent"]


def _loops(pipeline: Plain, facts: Facts) -> Iterator[Problem]:
    """Each loop must run on one replica at least."""
    by_loop: dict[tuple[str, str], list[Plain]] = {}
    for loop in pipeline["loops"]:
        by_loop.setdefault((loop["service"], loop["loop"]), []).append(loop)
    for (service, name), loops in by_loop.items():
        bad = [loop for loop in loops if loop["state"] in ("failed", "crashed")]
        if bad:
            yield Problem(
                "wrong",
                pipeline["name"],
                f"{service}'s loop {name} {bad[0]['state']}: {bad[0]['error']}",
                f"mend what it names, then restart {service}; nothing is lost meanwhile",
            )
        elif not any(loop["state"] == "running" for loop in loops) and _old(service, facts):
            why = next((loop["error"] for loop in loops if loop["error"]), "")
            yield Problem(
                "wrong",
                pipeline["name"],
                f"{service}'s loop {name} is {loops[0]['state']} on every replica"
                + (f": {why}" if why else ""),
                f"`driftloop doctor` looks for the cause; else {service}'s log",
            )


def _old(service: str, facts: Facts) -> bool:
    """Whether a replica has been up for longer than a start takes."""
    return any(
        p["service"] == service and p["state"] == "running" and p["up_s"] * 1_000 > START_MS
        for p in processes(facts)
    )


def _taken_up(pipeline: Plain, facts: Facts) -> Iterator[Problem]:
    """Each service of the data plane runs loops for every declared pipeline."""
    if facts.now_ms - pipeline["declared_ms"] < START_MS:
        return
    has = {loop["service"] for loop in pipeline["loops"]}
    for service in BY_PIPELINE:
        if service not in has and _old(service, facts):
            yield Problem(
                "wrong",
                pipeline["name"],
                f"{service} runs no loop of it",
                f"{service}'s log says why; a restart of {service} takes it up",
            )


def _lag(pipeline: Plain, facts: Facts) -> Iterator[Problem]:
    for loop in pipeline["loops"]:
        if loop["lag_grows"]:
            yield Problem(
                "wrong",
                pipeline["name"],
                f"{loop['service']}'s loop {loop['loop']} falls behind: "
                f"{loop['lag_records']:,} messages, and growing",
                f"start another replica of {loop['service']} (at most `partitions` of them work), "
                "or let the source rest until it has caught up",
            )


def _model(pipeline: Plain, facts: Facts) -> Iterator[Problem]:
    live = pipeline["live"]
    if "live" in pipeline["unknown"]:
        return
    if live is None:
        yield Problem(
            "note",
            pipeline["name"],
            "no model yet: rows are answered NO_MODEL",
            "the first is trained after `retrain.first` of event time with labels; "
            f"`driftloop retrain {pipeline['name']}` asks for one now",
        )
        return
    answering = {
        loop["model_version"]
        for loop in pipeline["loops"]
        if loop["service"] == "serving" and loop["model_version"] and loop["state"] == "running"
    }
    if facts.now_ms - live["since_ms"] > START_MS and answering - {live["version"]}:
        old = ", ".join(map(str, sorted(answering - {live["version"]})))
        yield Problem(
            "wrong",
            pipeline["name"],
            f"version {live['version']} is live, but serving still answers with {old}",
            "serving's log says why it can't load it; is the registry reachable from there?",
        )


def _runs(pipeline: Plain, facts: Facts) -> Iterator[Problem]:
    name, run = pipeline["name"], pipeline["open_run"]
    if run and run["deadline_ms"] and facts.now_ms > run["deadline_ms"] + DEADLINE_GRACE_MS:
        yield Problem(
            "wrong",
            name,
            f"run {run['run_id']} is past its deadline and has no end",
            "the registry closes it: is the registry running?",
        )
    ended = [one["outcome"] for one in pipeline["last_runs"] or ()]
    if ended and ended[-1] in ("failed", "timed_out"):
        yield Problem(
            "wrong",
            name,
            f"the last run {ended[-1]}: {pipeline['last_runs'][-1]['reason']}",
            f"`driftloop explain {name}` tells the whole; "
            f"`driftloop retrain {name}` asks for another",
        )
    in_a_row = 0
    for outcome in reversed(ended):
        if outcome != "rejected":
            break
        in_a_row += 1
    if in_a_row >= REJECTED_MAX:
        yield Problem(
            "wrong",
            name,
            f"the gate rejected the last {in_a_row} runs: retraining alone no longer helps",
            f"`driftloop explain {name}` shows the gate's numbers; think of new features, other "
            "learners or a longer window",
        )


def _trigger(pipeline: Plain, facts: Facts) -> Iterator[Problem]:
    last = pipeline["last_trigger"]
    if last and last["outcome"] == "unanswered" and facts.now_ms - last["at_ms"] > ANSWER_MS:
        yield Problem(
            "wrong",
            pipeline["name"],
            f"the retrain asked for {ago(last['at_ms'], facts.now_ms)} ago has no answer",
            "training answers: is it running, and does its loop `control` run?",
        )


def _sources(pipeline: Plain, facts: Facts) -> Iterator[Problem]:
    for source in pipeline["sources"]:
        if not source["there"]:
            yield Problem(
                "wrong",
                pipeline["name"],
                f"its source topic {source['topic']} does not exist",
                f"make it: `kafka-topics.sh --create --topic {source['topic']}`, or start what "
                "writes it",
            )
    there = [source for source in pipeline["sources"] if source["newest_ms"]]
    newest = max((source["newest_ms"] for source in there), default=0)
    for source in there:
        if newest - source["newest_ms"] > SOURCE_SILENT_MS:
            yield Problem(
                "note",
                pipeline["name"],
                f"source {source['topic']} has been silent for "
                f"{ago(source['newest_ms'], facts.now_ms)}, while others go on",
                "look at what writes it",
            )


def _rows(pipeline: Plain, facts: Facts) -> Iterator[Problem]:
    """Dead letters of the last minute, and labels that do not come."""
    dead, taken = _dead(pipeline["name"], facts)
    if dead and dead > DEAD_SHARE_MAX * (dead + taken):
        yield Problem(
            "wrong",
            pipeline["name"],
            f"{dead:,} of the last {dead + taken:,} source records were dead letters",
            f"`driftloop dead list {pipeline['name']}` says by which rule; mend the source, then "
            f"`driftloop dead redrive {pipeline['name']}`",
        )
    coverage = pipeline["label_coverage"]
    if coverage is not None and coverage < COVERAGE_MIN:
        yield Problem(
            "note",
            pipeline["name"],
            f"only {coverage:.0%} of the newest answered rows got a label within the horizon",
            "look at the label source, or give it more time by `target.horizon`",
        )


def _dead(name: str, facts: Facts) -> tuple[int, int]:
    """Dead letters, and rows taken, between the oldest and the newest pulse of the last minute of
    each replica of ingestion."""
    first: dict[str, tuple[int, int]] = {}
    last: dict[str, tuple[int, int]] = {}
    for pulse in (event.message for event in of_last_minute(facts.pulses, facts.now_ms)):
        for loop in pulse.loops:
            if pulse.service == "ingestion" and loop.pipeline == name:
                start = f"{pulse.replica} {pulse.started_ms}"
                taken = sum(loop.counts.get(became, 0) for became in TAKEN)
                last[start] = sum(loop.counts.values()) - taken, taken
                first.setdefault(start, last[start])
    dead = sum(last[start][0] - first[start][0] for start in last)
    return dead, sum(last[start][1] - first[start][1] for start in last)


def ago(at_ms: int, now_ms: int) -> str:
    """`12 s`, `3 min`, `5 h`, `2 d`: the largest unit that leaves two at least."""
    seconds = max(0, now_ms - at_ms) / 1_000
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


_CHECKS: Sequence[Callable[[Plain, Facts], Iterator[Problem]]] = (
    _loops, _taken_up, _lag, _model, _runs, _trigger, _sources, _rows,
)  # fmt: skip
