"""Debian's packages, by apt-get: for the tools that bring a program which this machine lacks."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from driftloop.kit.errors import Unavailable

WAIT_S = 600  # 120 MB at most, after an update of apt's lists


@dataclass(frozen=True, slots=True)
class Apt:
    """`wanted`: what a person would do instead, the end of each error."""

    wanted: str

    def bring(self, command: Sequence[str], folder: Path | None = None) -> None:
        """An apt-get that installs or downloads; the package lists are fetched first where they
        are empty. Unavailable: as `run`.
        """
        try:
            self.run(command, folder)
        except Unavailable:
            self.run(("apt-get", "update"), folder)
            self.run(command, folder)

    def run(self, command: Sequence[str], folder: Path | None = None) -> None:
        """In `folder`, with no question asked. Unavailable: it failed, or took too long."""
        said = f"`{' '.join(command)}`"
        environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                env=environ,
                capture_output=True,
                text=True,
                timeout=WAIT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise Unavailable(f"{said} took over {WAIT_S} s: {self.wanted}") from error
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no word"])[-1]
            raise Unavailable(f"{said} failed ({last}): {self.wanted}")
