"""`driftloop web` as a process, and a browser's half of it: requests, and a stream that is read in
a thread and comes back by Last-Event-ID.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx

from tests.integration.running import a_free_port
from tests.support.eventually import eventually
from tests.support.kafka import SharedKafka

CHANGE = {"x-driftloop": "1"}


class Page:
    """A page of a log under a namespace, on a free port."""

    def __init__(
        self, kafka: SharedKafka, namespace: str, folder: Path, settings: Mapping[str, str] = {}
    ) -> None:
        self.port = a_free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "web.log"
        kafka_settings = {
            f"KAFKA_{name.upper().replace('.', '_')}": value
            for name, value in kafka.properties.items()
        }
        own = {"KAFKA_BOOTSTRAP": kafka.bootstrap, "DRIFTLOOP_NAMESPACE": namespace}
        self._environ = {**os.environ, **kafka_settings, **own, **settings}
        self._environ.pop("KAFKA_BOOTSTRAP_SERVERS", None)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str) -> None:
        command = [sys.executable, "-m", "driftloop.cli", "web", "--port", str(self.port), *options]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, env=self._environ, stdout=log, stderr=log)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Its exit status; negative: the signal that ended it."""
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.wait(20)

    def status(self) -> int:
        """Once it has ended by itself."""
        assert self._process is not None
        return self._process.wait(30)

    def get(self, path: str) -> Any:
        """The answer's JSON; AssertionError, to be asked again, where there is none."""
        try:
            found = httpx.get(self.url + path, timeout=10)
        except httpx.TransportError as error:
            raise AssertionError(f"{path}: {error}") from error
        assert found.status_code == 200, found.text
        return found.json()

    def ask(self, path: str, body: Mapping[str, Any], **headers: str) -> httpx.Response:
        """A change that is wished for."""
        return httpx.post(self.url + path, json=dict(body), headers=CHANGE | headers, timeout=20)

    def up(self) -> None:
        eventually(lambda: self.get("/healthz"), within_s=60)

    def kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(10)


@contextlib.contextmanager
def opened(page: Page, *options: str) -> Iterator[Page]:
    """Started and ready; gone at the end."""
    page.start(*options)
    try:
        page.up()
        yield page
    finally:
        page.kill()


class Browser:
    """A context: an EventSource of one pipeline. `document`: what the page shows."""

    def __init__(self, page: Page, pipeline: str) -> None:
        self.document: dict[str, Any] = {}
        self.services: list[Any] = []
        self.troubles: list[str] = []
        self.opened = 0
        self._url = f"{page.url}/api/pipelines/{pipeline}/stream"
        self._last = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Browser:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(httpx.TransportError):
                self._read()
            self._stop.wait(0.2)

    def _read(self) -> None:
        headers = {"last-event-id": self._last} if self._last else {}
        with httpx.stream("GET", self._url, headers=headers, timeout=30) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            self.opened += 1
            fields: dict[str, str] = {}
            for line in answer.iter_lines():
                name, _, value = line.partition(": ")
                fields[name] = value
                if not line:
                    self._take(fields)
                    fields = {}
                if self._stop.is_set():
                    return

    def _take(self, fields: Mapping[str, str]) -> None:
        data = json.loads(fields.get("data", "null"))
        self._last = fields.get("id", self._last)
        match fields.get("event"):
            case "update":
                self._update(data)
            case "services":
                self.services = data
            case "trouble":
                self.troubles.append(data["says"])

    def _update(self, changed: dict[str, Any]) -> None:
        start, columns = changed.pop("from_bucket", 0), changed.pop("buckets", {})
        known = self.document.get("buckets", {})
        buckets = {n: known.get(n, [])[:start] + column for n, column in columns.items()} or known
        self.document = {**self.document, **changed, "buckets": buckets}
