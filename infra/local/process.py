"""One child process on a leash: its log, its end, its stop. Whether it is started again is the
supervisor's business.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

LEASH = Path(__file__).with_name("leash.py")


class Process:
    """A running command in a process group of its own (so that Ctrl-C reaches the supervisor
    alone).

    Start it from a thread that lives as long as the process should (see leash.py). stdout and
    stderr are appended to
    `log`.
    """

    def __init__(
        self, command: Sequence[str], log: Path, env: Mapping[str, str], folder: Path
    ) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self.log = log
        self._cleared = False
        self._log_start = log.stat().st_size if log.exists() else 0
        leash = [sys.executable, "-I", "-S", str(LEASH), str(os.getpid())]
        with log.open("ab") as out:
            self._child = subprocess.Popen(
                [*leash, *command],
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=dict(env),
                cwd=folder,
                process_group=0,
            )

    @property
    def pid(self) -> int:
        return self._child.pid

    def ended(self) -> int | None:
        """Its exit code (negative: the signal that ended it); None while it runs."""
        return self._child.poll()

    def terminate(self) -> None:
        """Ask it to stop; `wait` sees to the rest."""
        if self._child.poll() is None:
            self._child.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once; `wait` sees to the rest."""
        if self._child.poll() is None:
            self._child.kill()

    def wait(self, within_s: float) -> bool:
        """True if it ended by itself in time. Else it and its whole group are killed."""
        try:
            self._child.wait(within_s)
            return True
        except subprocess.TimeoutExpired:
            return False
        finally:
            self._kill_group()

    def tail(self, lines: int = 15) -> str:
        """The end of what this start wrote to its log."""
        with self.log.open("rb") as file:
            file.seek(max(self._log_start, self.log.stat().st_size - 65_536))
            text = file.read().decode(errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def _kill_group(self) -> None:
        """What is left of the group: the child, if it did not stop, and anything that it started.

        Once only: the id may be another's later.
        """
        if self._cleared:
            return
        self._cleared = True
        try:
            os.killpg(self._child.pid, signal.SIGKILL)
        except (
            ProcessLookupError,
            PermissionError,
        ):  # nobody is left (macOS says EPERM for a zombie)
            return
        finally:
            self._child.wait()
            if self._child.stdin is not None:
                self._child.stdin.close()
