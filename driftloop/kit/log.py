"""Logs: one line an event, JSON for machines, short text on a terminal. What the log says is ids
and counts, never payloads."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

LINE_CHARACTERS_MAX = 20_000  # a traceback fits; a runaway message doesn't fill the disk


def setup(service: str, replica: str, form: str = "", stream: TextIO | None = None) -> None:
    """Send all logging to `stream` (stderr) as `form`: json, text, or by whether it is a terminal.
    Ours from INFO, others' from WARNING."""
    target = stream or sys.stderr
    text = form == "text" or (not form and target.isatty())
    handler = logging.StreamHandler(target)
    handler.setFormatter(TextLines(service) if text else JsonLines(service, replica))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for ours in ("driftloop", "services"):
        logging.getLogger(ours).setLevel(logging.INFO)
    logging.captureWarnings(True)


def logger(name: str) -> logging.Logger:
    """Use: `log.info("released", extra={"fields": {"version": 7}})`."""
    return logging.getLogger(
        name if name.startswith(("driftloop", "services")) else f"driftloop.{name}"
    )


class JsonLines(logging.Formatter):
    """time, level, service, replica, logger, message, the fields, and the traceback under
    `error`."""

    def __init__(self, service: str, replica: str) -> None:
        super().__init__()
        self.head = {"service": service, "replica": replica}

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": _rfc3339(record.created),
            "level": record.levelname.lower(),
            **self.head,
            "logger": record.name,
            "message": record.getMessage()[:LINE_CHARACTERS_MAX],
        }
        line.update({key: value for key, value in _fields(record).items() if key not in line})
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)[-LINE_CHARACTERS_MAX:]
        return json.dumps(line, default=str, ensure_ascii=False)


class TextLines(logging.Formatter):
    """`12:00:01 warning serving  no broker  address=127.0.0.1:19092`, a traceback below it."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self.service = service

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).astimezone().strftime("%H:%M:%S")
        fields = "".join(f"  {key}={value}" for key, value in _fields(record).items())
        line = (
            f"{time} {record.levelname.lower():7} {self.service:10} {record.getMessage()}{fields}"
        )
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line[:LINE_CHARACTERS_MAX]


def _fields(record: logging.LogRecord) -> Mapping[str, Any]:
    fields = getattr(record, "fields", None)
    return fields if isinstance(fields, Mapping) else {}


def _rfc3339(seconds: float) -> str:
    return (
        datetime.fromtimestamp(seconds, UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z")
    )
