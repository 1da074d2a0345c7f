"""The whole stack comes up on free ports, says where it is, and goes when it is told to."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import psutil

from infra.local import places, ready, stack
from tests.support import eventually

HOLDER = """
import sys, threading
from pathlib import Path
from infra.local.stack import Stack, interrupt_on_signals

interrupt_on_signals()
try:
    with Stack(Path(sys.argv[1])):
        threading.Event().wait()
except KeyboardInterrupt:
    sys.exit(0)
"""


def test_a_stack_says_where_it_is_and_ends_whole_when_told_to(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    command = [sys.executable, "-c", HOLDER, str(folder)]
    with subprocess.Popen(command, cwd=places.ROOT) as holder:
        facts = eventually(lambda: _facts(holder, folder / "stack.json"), within_s=90.0)
        answers = {name: ready.serving(address) for name, address in facts["grpc"].items()}
        page = eventually(lambda: _page(facts["web"]), within_s=60.0)

        status = stack.stop(tmp_path)

        assert holder.wait(10.0) == 0
    assert answers == dict.fromkeys(facts["grpc"], True)
    assert (page["status"], facts["environ"]["DRIFTLOOP_WEB"]) == ("up", facts["web"])
    assert status == 0
    assert not (folder / "stack.json").exists()
    assert [name for name, pid in facts["pids"].items() if psutil.pid_exists(pid)] == []


def _page(address: str) -> dict[str, Any]:
    """Its health; nobody waits for the page when a stack starts."""
    try:
        return dict(httpx.get(f"{address}/healthz").json())
    except httpx.TransportError:
        return {}


def _facts(holder: subprocess.Popen[bytes], path: Path) -> dict[str, Any]:
    if holder.poll() is not None:
        raise RuntimeError(f"the stack ended with {holder.returncode}")
    facts = dict(json.loads(path.read_text())) if path.exists() else {"pids": {}}
    return facts if facts["pids"] else {}  # it names none until all are ready
