"""A real `mlflow server` for tests, from its own locked environment, and people who use it by its
stock client there.
"""

from __future__ import annotations

import json
import os
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.local import ports
from infra.local.places import VAR
from infra.local.process import Process
from infra.tools import peers
from tests.support.eventually import eventually
from tests.support.process import beside

NAME = "mlflow-server"
QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
ANSWER_S = 100.0


@dataclass(frozen=True)
class Server:
    """A running one."""

    uri: str
    process: Process
    folder: Path

    def asked(self, script: str, **words: Any) -> Any:
        """What a Python script there prints as JSON; `WORDS` are its words."""
        before = f"import json\nWORDS = json.loads({json.dumps(words)!r})\n"
        done = subprocess.run(
            [str(python()), "-c", before + script],
            env={**_environ(), "MLFLOW_TRACKING_URI": self.uri},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=ANSWER_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.strip().splitlines()[-1])

    def answers(self) -> bool:
        assert self.process.ended() is None, self.process.tail()
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=1):
                return True
        except OSError:
            return False


@contextmanager
def running(folder: Path) -> Iterator[Server]:
    """A server that keeps its runs in SQLite and its files in `folder`."""
    assert peers.install(NAME) == 0
    [port] = ports.free(1)
    command = [
        *(str(python()), "-m", "mlflow", "server", "--host", ports.HOST, "--port", str(port)),
        *("--workers", "1", "--backend-store-uri", f"sqlite:///{folder}/runs.db"),
        *("--artifacts-destination", str(folder / "artifacts")),
    ]
    with beside(command, folder / "mlflow.log", _environ()) as process:
        server = Server(f"http://{ports.HOST}:{port}", process, folder)
        eventually(server.answers, within_s=60, every_s=0.3)
        yield server


def python() -> Path:
    return VAR / "peers" / NAME / "bin" / "python"


def _environ() -> Mapping[str, str]:
    """Nothing of ours but what every program needs."""
    return {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **QUIET}
