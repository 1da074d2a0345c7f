"""Runs one command that must not outlive the process that started it, however that one ends (kill
-9 too).

    python -I -S leash.py <parent's pid> <command> …

On Linux the kernel does it: PR_SET_PDEATHSIG survives exec, so the command takes this process's
place and costs
nothing more. (It is bound to the *thread* that started us: start from one that lives as long as the
supervisor.)
Elsewhere this process stays, forwards signals, and ends the command when its stdin, a pipe from the
supervisor, closes.
Standard library only, and no site: it starts in about 15 ms.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from types import FrameType

LINUX = sys.platform.startswith("linux")
PR_SET_PDEATHSIG = 1
LOST = 71  # our exit code when the parent was gone before we could bind ourselves to it


def main(arguments: Sequence[str]) -> int:
    """Never returns on Linux; elsewhere the command's exit code."""
    parent, command = int(arguments[0]), list(arguments[1:])
    return _by_kernel(parent, command) if LINUX else watch(command)


def _by_kernel(parent: int, command: list[str]) -> int:
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        return LOST
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    return os.execvp(command[0], command)


def watch(command: Sequence[str]) -> int:
    """Stay beside the command; end it when stdin closes."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)

    def forward(number: int, _: FrameType | None) -> None:
        child.send_signal(number)

    signal.signal(signal.SIGTERM, forward)
    signal.signal(signal.SIGINT, forward)
    threading.Thread(target=_kill_at_end_of_input, args=(child,), daemon=True).start()
    code = child.wait()
    return code if code >= 0 else 128 - code


def _kill_at_end_of_input(child: subprocess.Popen[bytes]) -> None:
    while os.read(0, 1):
        continue
    child.kill()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
