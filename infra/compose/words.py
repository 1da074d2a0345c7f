"""make up, make down, make demo-compose: the stack in containers on its documented ports.

    python3 -m infra.compose.words up | down | demo

Where it listens is written to var/compose/stack.json, which `driftloop env` finds. CLEAN=1 with
`down` removes the data too; the demo takes DAYS, SPEED and CALENDAR. Standard library alone.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from infra.compose.engine import ROOT, Engine, Trouble

FOLDER = ROOT / "var" / "compose"
GRPC = {"registry": 17101, "features": 17102, "serving": 17103, "training": 17104}
GRPC |= {"evaluation": 17105}
PAGES = {"web": 17300, "live": 17301, "prometheus": 9090}
OWNER_IN_IMAGES = 10_001


def main(arguments: Sequence[str]) -> int:
    """Exit status: Docker's, or 1 after one line on stderr."""
    words = {"up": up, "down": down, "demo": demo}
    if len(arguments) != 1 or arguments[0] not in words:
        sys.stderr.write(f"wanted one of {', '.join(words)}\n")
        return 2
    engine = Engine()
    try:
        engine.check()
        return words[arguments[0]](engine)
    except Trouble as trouble:
        sys.stderr.write(f"{trouble}\n")
        return 1
    except KeyboardInterrupt:
        return 130


def up(engine: Engine) -> int:
    """Built, started, healthy; then where everything is."""
    begun = time.monotonic()
    status = engine.run("up", "--build", "--detach", "--wait", *services(engine))
    if status:
        for each in engine.ailing():
            sys.stderr.write(f"{each}\n")
        return status
    facts = write(engine, FOLDER)
    _say(f"up and healthy in {time.monotonic() - begun:.0f} s: {facts['web']} is its page")
    _say(f"Kafka {facts['environ']['KAFKA_BOOTSTRAP']}, Prometheus {facts['prometheus']}")
    return 0


def down(engine: Engine) -> int:
    """Stopped and removed; what Kafka and the registry hold is kept, unless CLEAN=1."""
    (FOLDER / "stack.json").unlink(missing_ok=True)
    volumes = ["--volumes"] if os.environ.get("CLEAN") == "1" else []
    return engine.run("down", "--remove-orphans", *volumes)


def demo(engine: Engine) -> int:
    """The stack up, the flights replayed on it, the report left in var/compose."""
    status = up(engine)
    if status:
        return status
    engine = Engine(environ={"DEMO_USER": owner(FOLDER)})
    status = engine.run("run", "--rm", "--build", "--no-deps", "demo")
    report = FOLDER / "report.html"
    if status == 0:
        _say(f"report: {report.relative_to(ROOT)}; `make down` ends the stack")
    return status


def services(engine: Engine) -> list[str]:
    """All but the demo, which has a word of its own."""
    return sorted(set(engine.do("config", "--services").split()) - {"demo"})


def write(engine: Engine, folder: Path) -> dict[str, Any]:
    """stack.json: the addresses on this machine, as `make run` writes its own."""
    grpc = {name: ",".join(engine.addresses(name, port)) for name, port in GRPC.items()}
    environ = {f"DRIFTLOOP_{name.upper()}": address for name, address in grpc.items()}
    environ["KAFKA_BOOTSTRAP"] = ",".join(engine.addresses("kafka", 19092))
    pages = {name: f"http://{engine.addresses(name, port)[0]}" for name, port in PAGES.items()}
    environ["DRIFTLOOP_WEB"] = pages["web"]
    facts = {"environ": environ, "grpc": grpc, **pages}
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / "stack.draft"
    draft.write_text(json.dumps(facts, indent=2) + "\n")
    draft.replace(folder / "stack.json")
    return facts


def owner(folder: Path) -> str:
    """uid:gid under which a container can write to `folder`: ours, or where we are root, that of
    the images, to whom it is given."""
    folder.mkdir(parents=True, exist_ok=True)
    if os.getuid():
        return f"{os.getuid()}:{os.getgid()}"
    os.chown(folder, OWNER_IN_IMAGES, OWNER_IN_IMAGES)
    for name in ("report.html", "report.json", "flights.png"):
        if (folder / name).exists():
            os.chown(folder / name, OWNER_IN_IMAGES, OWNER_IN_IMAGES)
    return f"{OWNER_IN_IMAGES}:{OWNER_IN_IMAGES}"


def forget() -> None:
    """Drop what leads this process to another stack (`driftloop env`), for trials of their own."""
    for name in [each for each in os.environ if each.startswith(("KAFKA_", "DRIFTLOOP_"))]:
        if name != "DRIFTLOOP_CACHE":
            del os.environ[name]


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
