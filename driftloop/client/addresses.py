"""Where Driftloop runs: the settings of the environment, else the newest running stack on this
machine, else the fixed ports.

The one module of the client that reads the environment and looks for files.
"""

from __future__ import annotations

import getpass
import json
import os
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from driftloop.kit.config import Common, read_common
from driftloop.kit.errors import Refused, Unavailable
from driftloop.kit.secret import Redactor, secrets_of

ANSWER_WITHIN_S = (
    0.3  # loopback answers in under 1 ms; a port that is filtered must not hold a command up
)
CONNECT_WITHIN_S = 3.0  # a broker of one's own may be far away
WEB = "DRIFTLOOP_WEB"  # where the page is, as a stack on this machine says
PAGE = "http://127.0.0.1:17300"  # of `make run`
NAMED = ("KAFKA_", "DRIFTLOOP_")  # settings that lead to a stack


@dataclass(frozen=True, slots=True)
class Place:
    """The settings to use and where they came from, in words."""

    common: Common
    found: str
    folder: Path | None  # of the stack's files, where it is one on this machine
    web: str = ""  # address of the page of the loop; empty: not known


def here(address: str | None = None, folder: Path | None = None) -> Place:
    """Settings of this process's environment and folder. `address`: host:port of a broker, before
    all else; `folder`: another one.
    """
    given = {"KAFKA_BOOTSTRAP": address} if address else {}
    return find({**os.environ, **given}, folder or Path.cwd())


def find(environ: Mapping[str, str], folder: Path) -> Place:
    """`environ` first; what it leaves out comes from the newest stack that answers, looked for in
    `var/` upwards of `folder`.
    """
    if environ.get("KAFKA_BOOTSTRAP"):
        return Place(read_common(environ), "the environment", None, environ.get(WEB, ""))
    for path, settings in _stacks(folder):
        common = read_common({**settings, **environ})
        if _answers(common.kafka_bootstrap, ANSWER_WITHIN_S):
            web = {**settings, **environ}.get(WEB, "")
            return Place(common, str(path), path.parent, web)
    return Place(read_common(environ), "the fixed ports", None, environ.get(WEB, PAGE))


def person() -> str:
    """Who asks, as the registry will remember it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no entry in the user database, as in some containers
        return "somebody"


def redacted(text: str) -> str:
    """`text` without the secrets that this process's environment holds."""
    return Redactor(secrets_of(os.environ)).text(text)


def environment(always: Mapping[str, str], unless_said: Mapping[str, str]) -> dict[str, str]:
    """Of a program of others that is started from here: ours, with what it is told always, and
    what only where nobody has said otherwise.
    """
    return {**unless_said, **os.environ, **always}


def installed_beside(name: str, folder: Path | None = None) -> Path | None:
    """The Python of an environment of its own, `var/peers/NAME` upwards of `folder`."""
    pythons = (var / "peers" / name / "bin" / "python" for var in _vars(folder or Path.cwd()))
    return next((each for each in pythons if each.is_file()), None)


def last_report(folder: Path) -> Path:
    """The newest `var/*/report.html` upwards of `folder`. Refused: there is none."""
    reports = [report for var in _vars(folder) for report in var.glob("*/report.html")]
    if not reports:
        raise Refused("no report yet: `make demo` writes var/demo/report.html")
    return max(reports, key=lambda report: report.stat().st_mtime)


def _stacks(folder: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    """Each stack.json with the settings that it names, the newest first."""
    paths = [path for var in _vars(folder) for path in var.glob("*/stack.json")]
    for path in sorted(paths, key=lambda path: path.stat().st_mtime, reverse=True):
        try:
            said = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError):
            continue  # being written, or not ours
        settings = said.get("environ", {}) if isinstance(said, dict) else {}
        named = {n: str(v) for n, v in settings.items() if n.startswith(NAMED)}
        if named:  # else it is still starting, or not ours
            yield path, named


def _vars(folder: Path) -> list[Path]:
    return [parent / "var" for parent in (folder, *folder.parents) if (parent / "var").is_dir()]


def reachable(bootstrap: str) -> None:
    """Unavailable, in one line with the mend, where no broker of the list takes a connection."""
    if not _answers(bootstrap, CONNECT_WITHIN_S):
        raise Unavailable(
            f"no broker answers at {bootstrap}: `make run` starts one, or say where it is by "
            "KAFKA_BOOTSTRAP"
        )


def _answers(bootstrap: str, within_s: float) -> bool:
    return any(listens(address.strip(), within_s) for address in bootstrap.split(","))


def listens(address: str, within_s: float) -> bool:
    """Whether anything takes a connection there."""
    host, _, port = address.rpartition(":")
    if not port.isdigit():
        return False
    try:
        socket.create_connection((host.strip("[]"), int(port)), within_s).close()
    except (OSError, OverflowError):  # refused, unknown host, no such port
        return False
    return True
