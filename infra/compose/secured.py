"""The stack in containers on a broker of one's own, by SASL and TLS: a Kafka from wheels on this
machine, reached through Docker's gateway; the demo replayed on it.

    python -m infra.compose.secured [DAYS]
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from driftloop.kit.errors import DriftloopError
from infra.compose import words
from infra.compose.engine import ROOT, Engine, Trouble
from infra.local import ports, secure
from infra.local.kafka import Kafka

FOLDER = ROOT / "var" / "compose-secured"
HOST = "host.docker.internal"
OVERLAY = ROOT / "infra" / "compose.external.yaml"
DAYS = "10"


def main(arguments: Sequence[str]) -> int:
    """Exit status: the demo's, or 1 after what went wrong."""
    days = arguments[0] if arguments else DAYS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # containers read the authority's certificate there
        settings, client = secure.listener(folder, HOST, ports.free(1)[0])
        try:
            with Kafka(folder / "kafka", more=settings):
                return _demo(Engine("driftloop-secured", [OVERLAY], environ(client, days)))
        except (DriftloopError, Trouble) as error:
            sys.stderr.write(f"{error}\n")
            return 1


def environ(client: Mapping[str, str], days: str) -> dict[str, str]:
    """What compose.external.yaml asks for, and free ports."""
    names = ("REGISTRY", "TRAINING", "EVALUATION", "LIVE", "WEB", "PROMETHEUS")
    free = dict(zip(names, ports.free(len(names)), strict=True))
    return {
        "KAFKA_BOOTSTRAP": client["bootstrap.servers"],
        "KAFKA_SECURITY_PROTOCOL": client["security.protocol"],
        "KAFKA_SASL_MECHANISM": client["sasl.mechanism"],
        "KAFKA_SASL_USERNAME": client["sasl.username"],
        "KAFKA_SASL_PASSWORD": client["sasl.password"],
        "KAFKA_CA_FILE": client["ssl.ca.location"],
        **{f"PORT_{name}": str(port) for name, port in free.items()},
        **{"PORT_FEATURES": "0", "PORT_SERVING": "0", "DAYS": days},
        **{"DEMO_FOLDER": str(FOLDER), "DEMO_USER": words.owner(FOLDER)},
    }


def _demo(engine: Engine) -> int:
    engine.check()
    try:
        if engine.run("up", "--build", "--detach", "--wait", *words.services(engine)):
            raise Trouble("\n".join(["not all came up", *engine.ailing()]))
        return engine.run("run", "--rm", "--no-deps", "-T", "demo")
    finally:
        engine.run("down", "--volumes", "--remove-orphans", "--timeout", "10")


if __name__ == "__main__":
    words.forget()
    sys.exit(main(sys.argv[1:]))
