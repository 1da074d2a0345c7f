"""`docker compose` for this repository's files: up, down, where a port is, what a container takes.

Standard library alone, so that `make up` needs Docker and nothing else.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "infra" / "compose.yaml"
MB = 1_000_000
UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
ENGINE_WANTED = 25  # the first that knows start_interval of a health check
WANTED = (2, 24)  # of compose: `required: false` of 2.20, start_interval, and merging as here


class Trouble(Exception):
    """What the user must mend, or what Docker said; the text is one line with the mend."""


class Engine:
    """One project. `more`: files beside compose.yaml; `environ`: beside this process's own."""

    def __init__(
        self,
        project: str = "driftloop",
        more: Sequence[Path] = (),
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.files = [FILE, *more]
        self._environ = {**os.environ, **(environ or {})}
        # ours beside the user's own, which a flag would else replace
        profiles = {"demo", *self._environ.get("COMPOSE_PROFILES", "").split(",")} - {""}
        self._command = ["docker", "compose", "--project-name", project]
        self._command += [word for each in sorted(profiles) for word in ("--profile", each)]
        self._command += [word for path in self.files for word in ("--file", str(path))]

    def check(self) -> None:
        """Trouble: no Docker, no compose, one that is too old, or nobody who answers."""
        if shutil.which("docker") is None:
            raise Trouble("docker is not installed; without it `make run` starts the same stack")
        asked = self._ask(["docker", "compose", "version", "--short"])
        version = tuple(int(part) for part in asked.lstrip("v").split("-")[0].split(".")[:2])
        if version < WANTED:
            raise Trouble(f"docker compose is {asked}, wanted 2.24 or newer")
        engine = self._ask(["docker", "version", "--format", "{{.Server.Version}}"]).strip()
        if int(engine.split(".")[0]) < ENGINE_WANTED:
            raise Trouble(f"the Docker engine is {engine}, wanted {ENGINE_WANTED} or newer")

    def run(self, *words: str) -> int:
        """A compose command on this terminal; its exit status."""
        return subprocess.run([*self._command, *words], env=self._environ, check=False).returncode

    def do(self, *words: str) -> str:
        """A compose command's output. Trouble: it failed; what it said."""
        return self._ask([*self._command, *words])

    def containers(self, service: str = "") -> list[str]:
        """Ids of those that run or wait to be started again."""
        return self.do("ps", "--all", "--quiet", *([service] if service else [])).split()

    def state(self, container: str) -> Mapping[str, Any]:
        """As `docker inspect` has it: Status, Pid, ExitCode, StartedAt, Health …"""
        state: dict[str, Any] = json.loads(
            self._ask(["docker", "inspect", "--format", "{{json .State}}", container])
        )
        return state

    def ailing(self) -> list[str]:
        """Of each container that is not well: its name, how it is, and the end of its log."""
        found = []
        for container in self.containers():
            state = self.state(container)
            health = state.get("Health", {}).get("Status", "healthy")
            if (state["Status"], health) != ("running", "healthy"):
                name = self.docker("inspect", "--format", "{{.Name}}", container).lstrip("/")
                tail = self._ask(["docker", "logs", "--tail", "12", container], both=True)
                found.append(f"{name}: {state['Status']}, {health}\n{tail}")
        return found

    def docker(self, *words: str) -> str:
        """A plain docker command's output."""
        return self._ask(["docker", *words])

    def addresses(self, service: str, port: int) -> list[str]:
        """host:port on this machine. Of a range all of it: a replica that is started again may get
        another port of the range.
        """
        found: set[str] = set()
        for container in self.containers(service):
            bound = json.loads(
                self._ask(
                    [
                        "docker",
                        "inspect",
                        "--format",
                        "{{json .HostConfig.PortBindings}}",
                        container,
                    ]
                )
            )
            for each in bound.get(f"{port}/tcp", []):
                found |= set(_spread(each["HostIp"], each["HostPort"]))
                if each["HostPort"] in ("", "0"):
                    found |= set(self._ask(["docker", "port", container, f"{port}/tcp"]).split())
        return sorted(found)

    def resident_mb(self) -> dict[str, float]:
        """Container → what it holds now, page cache that can be dropped left out."""
        ids = self.containers()
        if not ids:
            return {}
        lines = self._ask(["docker", "stats", "--no-stream", "--format", "{{json .}}", *ids])
        told = [json.loads(line) for line in lines.splitlines()]
        return {each["Name"]: _bytes(each["MemUsage"].split("/")[0]) / MB for each in told}

    def images(self) -> list[str]:
        """Every image that the services run, all profiles of ours included."""
        return sorted(set(self.do("config", "--images").split()))

    def images_mb(self) -> float:
        """What the images take on disk, each layer counted once."""
        layers = {layer for image in self.images() for layer in self._layers(image)}
        return sum(size for *_, size in layers) / MB

    def _layers(self, image: str) -> Iterator[tuple[str, str, int]]:
        """A layer is known by when and how it was made."""
        lines = self._ask(
            ["docker", "history", "--no-trunc", "--human=false", "--format", "{{json .}}", image]
        )
        for line in lines.splitlines():
            told = json.loads(line)
            yield told["CreatedAt"], told["CreatedBy"], int(told["Size"])

    def _ask(self, command: Sequence[str], *, both: bool = False) -> str:
        """What it said on stdout; `both`: and on stderr."""
        done = subprocess.run(
            command, env=self._environ, capture_output=True, text=True, check=False
        )
        if done.returncode:
            said = (done.stderr or done.stdout).strip().splitlines() or ["it said nothing"]
            raise Trouble(f"{' '.join([*command[:2], *command[-2:]])}: {said[-1]}")
        return (done.stdout + (done.stderr if both else "")).strip()


def _spread(host: str, port: str) -> list[str]:
    """`17120-17123` is four ports; one that Docker is to find is none yet."""
    first, _, last = port.partition("-")
    if not int(first or 0):
        return []
    return [f"{host}:{each}" for each in range(int(first), int(last or first) + 1)]


def _bytes(text: str) -> float:
    """`57.2MiB` in bytes."""
    number = text.strip().rstrip("KMGiB")
    return float(number) * UNITS[text.strip()[len(number) :]]
