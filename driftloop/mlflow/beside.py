"""The process that speaks with MLflow: found, started, asked and ended."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

from driftloop.client.addresses import environment, installed_beside
from driftloop.kit.errors import Refused, Unavailable

PROGRAM = Path(__file__).with_name("within.py")
ALWAYS = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "GIT_PYTHON_REFRESH": "quiet"}
# MLflow's own defaults wait minutes for a server that is away. The file store is in maintenance
# there and asks to be allowed; reading what people have in one does no harm.
UNLESS_SAID = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",
    "MLFLOW_ALLOW_FILE_STORE": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
MISSING = (
    "MLflow's client is not installed here: pip install 'driftloop[mlflow]', or in a clone "
    "`python -m infra.tools.peers mlflow`"
)
END_S = 10.0  # after its last answer it has nothing left to do


def python() -> Path:
    """The interpreter that has MLflow: ours, or that of its own environment in a clone's `var/`.
    Refused: there is none, and how to get it.
    """
    if find_spec("mlflow") is not None:
        return Path(sys.executable)
    found = installed_beside("mlflow")
    if found is None:
        raise Refused(MISSING)
    return found


@contextmanager
def beside(uri: str) -> Iterator[Beside]:
    """A conversation with MLflow at `uri`. Refused: no address, or no client here."""
    if not uri:
        raise Refused("where is MLflow? Say it by --tracking-uri or MLFLOW_TRACKING_URI")
    place = python()
    with tempfile.TemporaryFile("w+", errors="replace") as said:
        process = subprocess.Popen(
            [str(place), "-P", str(PROGRAM)],
            env=environment({**ALWAYS, "MLFLOW_TRACKING_URI": uri}, UNLESS_SAID),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
        )
        try:
            yield Beside(uri, place, process, said)
        except BaseException:
            process.kill()
            raise
        finally:
            process.communicate(timeout=END_S)


class Beside:
    """The process, while it can be asked."""

    def __init__(
        self, uri: str, python: Path, process: subprocess.Popen[str], said: IO[str]
    ) -> None:
        self._uri, self._python, self._process, self._said = uri, python, process, said

    def ask(self, do: str, **said: Any) -> Any:
        """What MLflow gives. Refused: it won't, and why. Unavailable: it can't now."""
        into, out = self._process.stdin, self._process.stdout
        assert into is not None and out is not None
        try:
            into.write(json.dumps({"do": do, **said}) + "\n")
            into.flush()
        except BrokenPipeError:
            raise self._ended() from None
        line = out.readline()
        if not line:
            raise self._ended()
        answer = json.loads(line)
        if "refused" in answer:
            raise Refused(f"MLflow: {answer['refused']}")
        if "unavailable" in answer:
            raise Unavailable(f"MLflow at {self._uri}: {answer['unavailable']}")
        return answer["gives"]

    def _ended(self) -> Unavailable:
        self._process.wait(END_S)
        self._said.seek(0)
        words = self._said.read().strip().splitlines() or ["it said nothing"]
        return Unavailable(f"MLflow's client ended ({self._python}): {words[-1]}")
