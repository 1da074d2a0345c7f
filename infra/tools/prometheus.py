"""Finds the real Prometheus, or brings it; run by hand, starts one that watches `make run`.

    python -m infra.tools.prometheus            on http://127.0.0.1:9090, until Ctrl-C
    python -m infra.tools.prometheus --where    say which binaries would be used, and nothing else

`prometheus` and `promtool` are taken from PATH, else from `var/cache/prometheus`. Where neither has
them and the system is a Debian, its package is downloaded and unpacked there: nothing is installed
and no service is started.
"""

from __future__ import annotations

import argparse
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from driftloop.kit.errors import DriftloopError, Refused, Unavailable
from infra.local import places, ports
from infra.local.say import say as say_aloud
from infra.tools.apt import Apt

FOLDER = places.ROOT / "infra" / "prometheus"
LOCAL = FOLDER / "prometheus.local.yml"
PORT = 9090
KEPT = "7d"  # on a person's own disk
WANTED = "install Prometheus 2.40 or newer, so that `prometheus` and `promtool` are in PATH"


@dataclass(frozen=True, slots=True)
class Tools:
    """The two binaries."""

    prometheus: Path
    promtool: Path

    def serving(self, config: Path, data: Path, port: int) -> list[str]:
        """The command of a server on the loopback address; `data` is made where it is missing."""
        return [
            str(self.prometheus),
            f"--config.file={config}",
            f"--storage.tsdb.path={data}",
            f"--storage.tsdb.retention.time={KEPT}",
            f"--web.listen-address={ports.HOST}:{port}",
            "--log.level=warn",
        ]


def tools(cache: Path | None = None, say: Callable[[str], None] = lambda _: None) -> Tools:
    """The binaries of this machine, brought if they must be.

    Unavailable: they can't be brought now. Refused: nothing here knows how to bring them.
    """
    folder = (cache or places.cache()) / "prometheus"
    there = found(folder)
    if there is None:
        say("fetching Prometheus: 20 MB, about 10 s")
        _bring(folder)
        there = found(folder)
    if there is None:
        raise Unavailable(f"Debian's package holds no Prometheus: {WANTED}")
    return there


def found(folder: Path, path: str | None = None) -> Tools | None:
    """Both from PATH (or `path`), or both from what was unpacked in `folder`."""
    for where in (path, str(folder / "usr" / "bin")):
        server, checker = (shutil.which(name, path=where) for name in ("prometheus", "promtool"))
        if server and checker:
            return Tools(Path(server), Path(checker))
    return None


def _bring(folder: Path) -> None:
    """Debian's package, unpacked into `folder`, whole or not at all."""
    _refuse_others()
    draft = folder.with_suffix(".draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        apt = Apt(WANTED)
        apt.bring(("apt-get", "download", "prometheus"), draft)
        [package] = draft.glob("*.deb")
        apt.run(("dpkg-deb", "-x", str(package), str(draft / "whole")))
        shutil.rmtree(folder, ignore_errors=True)
        (draft / "whole").rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _refuse_others() -> None:
    missing = [name for name in ("apt-get", "dpkg-deb") if shutil.which(name) is None]
    if missing:
        raise Refused(f"no Prometheus here, and {platform.system()} has no apt-get: {WANTED}")


def main(arguments: Sequence[str]) -> int:
    """Exit status: Prometheus's own, or 1 after one line on stderr."""
    parser = argparse.ArgumentParser(prog="python -m infra.tools.prometheus")
    parser.add_argument("--where", action="store_true", help="say which binaries, start nothing")
    parser.add_argument("--port", type=int, default=PORT)
    asked = parser.parse_args(arguments)
    try:
        there = tools(say=say_aloud)
        if asked.where:
            say_aloud(f"{there.prometheus}\n{there.promtool}")
            return 0
        return _serve(there, asked.port)
    except DriftloopError as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _serve(there: Tools, port: int) -> int:
    if not ports.is_free(port):
        raise Refused(f"port {port} in use: name another by --port")
    say_aloud(f"http://{ports.HOST}:{port}/alerts watches `make run`; Ctrl-C stops it")
    command = there.serving(LOCAL, places.VAR / "prometheus", port)
    try:
        return subprocess.run(command, check=False).returncode
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
