"""The jars that a broker needs: resolved once into a lock, fetched by jgo, checked by size and
digest.

Repositories are the machine's own affair: mirrors in ~/.m2/settings.xml or in jgo's configuration
are used where
there are any. Nothing here names one, and nothing here starts a broker.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
import tomllib
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from jgo.config import GlobalSettings
from jgo.maven import MavenContext, PythonResolver

from driftloop.kit.errors import DriftloopError, Refused, Unavailable
from infra.local import places
from infra.local.say import say as say_aloud

LOCK = Path(__file__).with_name("kafka.lock.toml")

# Left to itself, jgo's mediation takes kafka-clients 3.8.0 and the broker dies of
# NoSuchMethodError: so it is named.
ROOTS = (
    "org.apache.kafka:kafka_2.13:4.1.0",
    "org.apache.kafka:kafka-clients:4.1.0",
    "org.apache.logging.log4j:log4j-slf4j-impl:2.24.3",
)

AT_ONCE = 4  # downloads side by side; more gain nothing on a line that one already half fills
TIMEOUT_S = 60


@dataclass(frozen=True, slots=True)
class Jar:
    """One locked artifact."""

    group: str
    artifact: str
    version: str
    bytes: int
    sha256: str

    @property
    def filename(self) -> str:
        return f"{self.artifact}-{self.version}.jar"


@dataclass(frozen=True, slots=True)
class Jars:
    """A complete set on disk, in the lock's order (a class path's order must not change between
    starts).
    """

    paths: Sequence[Path]

    @property
    def class_path(self) -> str:
        return os.pathsep.join(str(path) for path in self.paths)


def fetch(folder: Path, say: Callable[[str], None] = lambda _: None) -> Jars:
    """The locked jars in `folder`; downloads those that are missing. Refused: wrong digest.
    Unavailable: no repository.
    """
    jars = locked()
    missing = [jar for jar in jars if not _is_there(folder / jar.filename, jar)]
    if missing:
        megabytes = sum(jar.bytes for jar in missing) / 1e6
        say(f"fetching Apache Kafka: {len(missing)} jars, {megabytes:.0f} MB, about 20 s")
        _download(missing, folder)
    return Jars([(folder / jar.filename).resolve() for jar in jars])


def locked(lock: Path = LOCK) -> list[Jar]:
    """What the lock says."""
    return [Jar(**entry) for entry in tomllib.loads(lock.read_text())["jars"]]


def resolve() -> str:
    """The lock's text, made anew from ROOTS through the machine's repositories."""
    with tempfile.TemporaryDirectory() as cache:
        context = _context(Path(cache))
        roots = [context.create_dependency(root) for root in ROOTS]
        inputs, others = context.resolver.resolve(roots)
        found = sorted(_describe(dependency.artifact) for dependency in [*inputs, *others])
    head = (
        "# The jars of a one-node Apache Kafka: coordinates, size and digest. Made by `make lock`;"
    )
    return "\n".join([f"{head} checked at download.\n", *found])


def repositories(home: Path) -> dict[str, str]:
    """Name → address of the repositories that this machine is set up for; empty: the client's own
    default.
    """
    configured = dict(GlobalSettings.load().repositories)
    return configured or _maven_mirror(home / ".m2" / "settings.xml")


def _maven_mirror(settings: Path) -> dict[str, str]:
    """The first mirror of `central` (or of all) in Maven's settings."""
    if not settings.is_file():
        return {}
    try:
        root = ElementTree.parse(settings).getroot()
    except ElementTree.ParseError as error:
        raise Refused(f"{settings} is not XML: {error}; mend it or move it away") from error
    for mirror in root.findall("{*}mirrors/{*}mirror"):
        of = (mirror.findtext("{*}mirrorOf") or "").split(",")
        url = (mirror.findtext("{*}url") or "").strip().rstrip("/")
        if url and {"*", "central", "external:*"} & {name.strip() for name in of}:
            return {"central": url}
    return {}


def _context(cache: Path) -> MavenContext:
    return MavenContext(
        resolver=PythonResolver(),
        repo_cache=cache,
        remote_repos=repositories(Path.home()) or None,
        timeout=TIMEOUT_S,
    )


def _download(jars: Sequence[Jar], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as cache, ThreadPoolExecutor(AT_ONCE) as pool:
        context = _context(Path(cache))
        for path, jar in zip(pool.map(lambda jar: _get(context, jar), jars), jars, strict=True):
            shutil.move(path, folder / jar.filename)


def _get(context: MavenContext, jar: Jar) -> Path:
    component = context.project(jar.group, jar.artifact).at_version(jar.version)
    try:
        path = Path(component.artifact(packaging="jar").resolve())
    except (requests.RequestException, RuntimeError, OSError) as error:
        raise Unavailable(
            f"{jar.group}:{jar.artifact}:{jar.version} can't be fetched ({error}); "
            "needed is a Maven repository: "
            "set a mirror in ~/.m2/settings.xml, or HTTPS_PROXY, and start again"
        ) from error
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != jar.sha256:
        raise Refused(f"{jar.filename} has digest {digest}, not {jar.sha256} as locked; not used")
    return path


def _is_there(path: Path, jar: Jar) -> bool:
    """The digest was checked before the file got its name; a cut copy shows in its size."""
    return path.is_file() and path.stat().st_size == jar.bytes


def _describe(artifact: Any) -> str:
    path = Path(artifact.resolve())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    lines = [
        "[[jars]]",
        f'group = "{artifact.groupId}"',
        f'artifact = "{artifact.artifactId}"',
        f'version = "{artifact.version}"',
        f"bytes = {path.stat().st_size}",
        f'sha256 = "{digest}"',
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """`python -m infra.local.jars`: fetch them; exit status 1 and a line on stderr where that
    fails.
    """
    try:
        fetch(places.cache() / "kafka", say_aloud)
    except DriftloopError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
