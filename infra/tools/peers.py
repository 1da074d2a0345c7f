"""Installs a program of others that speaks with Driftloop but can't share its environment, from its
own lock into `var/peers/NAME`. A second start does nothing.

    python -m infra.tools.peers triton
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

from infra.local.places import ROOT, VAR
from infra.local.say import say

LOCKS = ROOT / "requirements" / "peers"
QUIET = ("--quiet", "--disable-pip-version-check", "--no-input")


def main(arguments: Sequence[str]) -> int:
    """Exit status: 0, or 1 where pip could not install; its own words say why."""
    parser = argparse.ArgumentParser(prog="python -m infra.tools.peers")
    parser.add_argument("name", choices=sorted(lock.stem for lock in LOCKS.glob("*.lock")))
    return install(parser.parse_args(arguments).name)


def install(name: str, folder: Path = VAR / "peers") -> int:
    """The packages of `name`'s lock in an environment of their own. Exit status: 0, or pip's."""
    lock, place = LOCKS / f"{name}.lock", folder / name
    stamp, wanted = place / "driftloop-stamp", _digest(lock, place)
    if stamp.is_file() and stamp.read_text() == wanted:
        return 0
    say(f"installing {name} into {place}")
    venv.EnvBuilder(clear=True, symlinks=True, with_pip=False).create(place)
    status = _pip(place, lock)
    if status == 0:
        stamp.write_text(wanted)
    return status


def _digest(lock: Path, place: Path) -> str:
    """Changes whenever there is something to install."""
    made_of = (sys.version, str(place), lock.read_text())
    return hashlib.sha256("\0".join(made_of).encode()).hexdigest()


def _pip(place: Path, lock: Path) -> int:
    """Our pip on their environment: one of its own would take 4 s and 10 MB."""
    pip = (sys.executable, "-m", "pip", *QUIET, "--python", str(place / "bin" / "python"))
    options = ("--require-hashes", "--no-deps", "--only-binary", ":all:", "-r", str(lock))
    return subprocess.run([*pip, "install", *options], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
