"""`make test-compose`: the stack in containers, built, started, looped and struck, and
var/bench/compose.json with the figures.

    python -m infra.compose.trial [--skip build|demo|kills|scale] [--keep]

A project of its own on free ports, so that a stack of `make up` is left alone. Exit status 0 only
if every figure is within its limit.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from driftloop.client import Client, connect
from driftloop.contracts import topics
from driftloop.contracts.pulse_pb2 import Pulse
from driftloop.kit.errors import DriftloopError, Unavailable
from driftloop.kit.events import read_event
from driftloop.kit.kafka import KafkaBroker
from infra.compose import kills, words
from infra.compose.engine import Engine, Trouble
from infra.compose.load import Load
from infra.demo import figures, report
from infra.local import places, ports

OUT = places.VAR / "bench" / "compose.json"
FOLDER = places.VAR / "compose-trial"
DAYS = 60
KILLS_SPEED = 30_000.0  # some 970 events a second
SCALED_SPEED = 60_000.0
SCALED_S = 45.0
DRAIN_S = 120.0
SAMPLE_S = 5.0
REDEPLOY_S_MAX, RESIDENT_MB_MAX, IMAGES_MB_MAX, STOP_S_MAX = 300.0, 6_000.0, 4_000.0, 10.0
SCALED = ("features", "serving")


def main(arguments: Sequence[str]) -> int:
    """Exit status: 0, 1 where a limit is broken or something did not run."""
    parser = argparse.ArgumentParser(prog="python -m infra.compose.trial")
    parser.add_argument(
        "--skip", action="append", default=[], choices=["build", "demo", "kills", "scale"]
    )
    parser.add_argument("--keep", action="store_true", help="leave the stack up")
    chosen = parser.parse_args(arguments)
    engine = Engine("driftloop-trial", environ=_environ())
    try:
        engine.check()
        found = _tried(engine, set(chosen.skip), keep=chosen.keep)
    except (Trouble, DriftloopError) as error:
        _say(f"{error}")
        return 1
    broken = beyond(found)
    for line in broken:
        _say(f"NOT within its limit: {line}")
    return 1 if broken else 0


def beyond(found: Mapping[str, Any]) -> list[str]:
    """The figures that are not as they must be, in words."""
    resident = sum(found["rss_mb"].values())
    lines = [
        f"{name}: {value:,.0f}, at most {most:,.0f}"
        for name, value, most in (
            ("first redeploy, s", found.get("first_redeploy_s"), REDEPLOY_S_MAX),
            ("resident, MB", resident, RESIDENT_MB_MAX),
            ("images, MB", found["images_mb"], IMAGES_MB_MAX),
            ("stop, s", found["stop_s"], STOP_S_MAX),
        )
        if value is not None and value > most
    ]
    if "demo" in found and (not found["demo"] or found["first_redeploy_s"] is None):
        lines.append("the demo did not account for every row, or nothing was redeployed")
    lines += [
        json.dumps(each)
        for each in (*found.get("kills", ()), *found.get("scaled", ()))
        if each["lost"] or each["doubled"] or not each["completed"]
    ]
    lines += [f"{name} ended with {code}" for name, code in found["ended"].items() if code]
    return lines


def _environ() -> dict[str, str]:
    """Ports that nobody has; those of services that are scaled are Docker's to find."""
    names = ("KAFKA", "REGISTRY", "TRAINING", "EVALUATION", "LIVE", "WEB", "PROMETHEUS")
    free = dict(zip(names, ports.free(len(names)), strict=True))
    return {
        **{f"PORT_{name}": str(port) for name, port in free.items()},
        **{f"PORT_{name.upper()}": "0" for name in SCALED},
        "DAYS": str(DAYS),
        "DEMO_FOLDER": str(FOLDER),
        "DEMO_USER": words.owner(FOLDER),
    }


def _tried(engine: Engine, skip: set[str], *, keep: bool) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "build" not in skip:
        begun = time.monotonic()
        _must(engine.run("build", "--quiet"), "build")
        found["build_s"] = round(time.monotonic() - begun, 1)
        _say(f"built in {found['build_s']} s")
    try:
        _up(engine, found)
        with _sampled(engine, found), _client(engine) as (client, broker):
            if "demo" not in skip:
                _demo(engine, broker, found)
            if "kills" not in skip:
                load = Load(client, broker, "kills", KILLS_SPEED, FOLDER)
                found["kills"] = kills.matrix(engine, client, broker, load, _say)
            if "scale" not in skip:
                found["scaled"] = [_scaled(engine, client, broker)]
        _stopped(engine, found)
    finally:
        if not keep:
            engine.run("down", "--volumes", "--remove-orphans", "--timeout", "10")
    found["images_mb"] = round(engine.images_mb(), 1)
    found.pop("up_ms")
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(found, indent=1) + "\n")
    _say(f"{OUT.relative_to(places.ROOT)}: {_summary(found)}")
    return found


def _up(engine: Engine, found: dict[str, Any]) -> None:
    found["up_ms"], begun = time.time() * 1000, time.monotonic()
    status = engine.run("up", "--detach", "--wait", *words.services(engine))
    if status:
        raise Unavailable("\n".join(["not all came up", *engine.ailing()]))
    found["up_s"] = round(time.monotonic() - begun, 1)
    _say(f"healthy in {found['up_s']} s")


def _demo(engine: Engine, broker: KafkaBroker, found: dict[str, Any]) -> None:
    """The word of the demo as a user has it; when its first drift was answered, the log says."""
    status = engine.run("run", "--rm", "--no-deps", "-T", "demo")
    found["demo"] = status == 0 and (FOLDER / "report.html").stat().st_size > 10_000
    at_ms = redeployed_ms(report.control(broker, "flights"), partitions=4)
    found["first_redeploy_s"] = round((at_ms - found["up_ms"]) / 1000, 1) if at_ms else None
    _say(f"first redeploy after {found['first_redeploy_s']} s")


def redeployed_ms(log: figures.Log, partitions: int) -> int:
    """When the first model that a drift or the schedule asked for answered everywhere; 0: never."""
    asked = {
        each.message.run_id
        for each in log.resolved
        if each.message.outcome == "accepted" and each.message.trigger in ("drift", "schedule")
    }
    swapped = [
        figures.swapped(each, log, partitions)
        for each in log.released
        if each.message.run_id in asked
    ]
    return min((ms for ms in swapped if ms), default=0)


def _scaled(engine: Engine, client: Client, broker: KafkaBroker) -> dict[str, Any]:
    """Two replicas of features and of serving share the partitions, and nothing is lost or done
    twice."""
    words_ = [word for name in SCALED for word in ("--scale", f"{name}=2")]
    begun = time.monotonic()
    _must(engine.run("up", "--detach", "--wait", "--no-recreate", *words_, *SCALED), "scale")
    with Load(client, broker, "scaled", SCALED_SPEED, FOLDER) as load:
        start = broker.bounds(topics.PULSE.topic().name, 0)[1]
        while time.monotonic() - begun < SCALED_S + DRAIN_S and load.progress.sent < 50_000:
            time.sleep(1.0)
        load.end()
        missing = kills.wait_for_the_end(load)
        shares = shared(broker, start, load.name)
    judged = load.judge()
    _say(f"scaled: {judged.sent:,} flights; rows by replica {shares}")
    return {
        "service": " and ".join(f"{name} x 2" for name in SCALED),
        "completed": not missing and all(len(each) == 2 for each in shares.values()),
        "lost": judged.lost.height,
        "doubled": judged.doubled.height,
        "rows": shares,
    }


def shared(broker: KafkaBroker, start: int, pipeline: str) -> dict[str, dict[str, int]]:
    """Loop → replica → rows that it took, of the loops whose partitions are shared out."""
    wanted = {f"join-{pipeline}": "features", f"scores-{pipeline}": "serving"}
    rows: dict[str, dict[str, int]] = {name: {} for name in wanted}
    topic = topics.PULSE.topic().name
    for record in broker.read(topic, 0, start, broker.bounds(topic, 0)[1]):
        pulse = read_event(record, Pulse).message
        for loop in pulse.loops:
            if loop.loop in wanted and loop.rows_in:
                rows[loop.loop][pulse.replica] = loop.rows_in
    return rows


@contextlib.contextmanager
def _client(engine: Engine) -> Iterator[tuple[Client, KafkaBroker]]:
    """Led to this stack, whatever the environment says."""
    words.forget()
    os.environ.update(words.write(engine, FOLDER)["environ"])
    with connect() as client:
        broker = KafkaBroker(client.place.common.kafka)
        with contextlib.closing(broker):
            yield client, broker


@contextlib.contextmanager
def _sampled(engine: Engine, found: dict[str, Any]) -> Iterator[None]:
    """The most that each container was seen to hold, looked at every 5 s."""
    most: dict[str, float] = {}
    done = threading.Event()

    def look() -> None:
        while not done.wait(SAMPLE_S):
            with contextlib.suppress(Trouble):  # one that is being started again has no figure
                for name, mb in engine.resident_mb().items():
                    most[name] = max(most.get(name, 0.0), mb)

    thread = threading.Thread(target=look, name="samples", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(30)
        found["rss_mb"] = {name: round(mb, 1) for name, mb in sorted(most.items())}


def _stopped(engine: Engine, found: dict[str, Any]) -> None:
    """Each service stops by itself within its time: none is killed for it, none fails."""
    slowest, ended = 0.0, {}
    for container in engine.containers():
        begun = time.monotonic()
        engine.docker("stop", "--time", "15", container)
        slowest = max(slowest, time.monotonic() - begun)
        name = engine.docker("inspect", "--format", "{{.Name}}", container).lstrip("/")
        code = int(engine.state(container)["ExitCode"])
        ended[name] = 0 if code == 143 else code  # 143: by SIGTERM, as Java says it
    found["stop_s"], found["ended"] = round(slowest, 1), ended


def _must(status: int, what: str) -> None:
    if status:
        raise Unavailable(f"docker compose {what} ended with {status}")


def _summary(found: Mapping[str, Any]) -> str:
    return (
        f"up in {found['up_s']} s, first redeploy after {found.get('first_redeploy_s')} s, "
        f"{sum(found['rss_mb'].values()):,.0f} MB resident, {found['images_mb']:,.0f} MB of images,"
        f" {len(found.get('kills', ()))} blows, stopped in {found['stop_s']} s"
    )


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
