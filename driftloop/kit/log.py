"""Logs: one line an event, JSON for machines, short text on a terminal. What the log says is ids
and counts, never payloads and never secrets.

`bound` says what all lines inside are about, so that no caller repeats it.
"""

from __future__ import annotations

import contextvars
import json
import logging
import re
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, TextIO

from driftloop.kit.secret import Redactor

LINE_CHARACTERS_MAX = 20_000  # a traceback fits; a runaway message doesn't fill the disk
# The same line, whatever its numbers: so often in so long. A loop that fails at every batch would
# write 50 lines a second for each pipeline.
REPEATS_MAX, REPEATS_S = 20, 10.0
LINES_KNOWN_MAX = 1_000  # different lines that are counted; the oldest is forgotten
# only its id is wanted here, and kit.trace may log
TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
OURS = ("driftloop", "services")
NO_FIELDS: Mapping[str, Any] = MappingProxyType({})

_BOUND: ContextVar[Mapping[str, Any]] = ContextVar("driftloop.log.bound", default=NO_FIELDS)


@dataclass(frozen=True, slots=True)
class Setup:
    """How a process logs: what a child needs to log in the same way."""

    service: str
    replica: str
    form: str = ""  # json, text; none: text on a terminal, else json
    level: str = ""  # of ours: debug, info, warning, error; none: info
    secrets: frozenset[str] = field(default=frozenset(), repr=False)


@dataclass(frozen=True, slots=True)
class Inherited:
    """What a child process takes over: how to log, and what its lines are about."""

    setup: Setup | None
    bound: Mapping[str, Any]


def setup(
    service: str,
    replica: str,
    form: str = "",
    stream: TextIO | None = None,
    *,
    level: str = "",
    secrets: Iterable[str] = (),
) -> None:
    """Send all logging to `stream` (stderr) as `form`. Ours from `level`, others' from WARNING
    (INFO where ours is debug)."""
    _apply(Setup(service, replica, form, level, frozenset(secrets)), stream)


def logger(name: str) -> logging.Logger:
    """Use: `log.info("released", extra={"fields": {"version": 7}})`."""
    return logging.getLogger(name if name.startswith(OURS) else f"driftloop.{name}")


@contextmanager
def bound(*, traceparent: str = "", **fields: Any) -> Iterator[None]:
    """Every line inside carries `fields`, as `pipeline`, `loop` and `run_id`, and the trace id of
    `traceparent`; what is empty is left out."""
    found = TRACEPARENT.match(traceparent)
    if found:
        fields["trace_id"] = found[1]
    known = {name: value for name, value in fields.items() if value not in ("", None)}
    token = _BOUND.set({**_BOUND.get(), **known})
    try:
        yield
    finally:
        _BOUND.reset(token)


def carrying(work: Callable[..., Any]) -> Callable[..., Any]:
    """`work` for another thread, whose lines carry what is bound here and now."""
    context = contextvars.copy_context()

    def carried(*arguments: Any, **named: Any) -> Any:
        return context.run(work, *arguments, **named)

    return carried


def inherited() -> Inherited:
    """For a child process, which calls `adopt` with it."""
    handler = _own_handler()
    return Inherited(handler.setup if handler else None, dict(_BOUND.get()))


def adopt(given: Inherited) -> None:
    """Log as the parent does, about what it was about when it started us."""
    if given.setup is not None:
        _apply(given.setup, None)
    _BOUND.set(given.bound)


def redacted(text: str) -> str:
    """`text` without this process's secrets: for what goes out beside the log, as an error in a
    pulse or an answer to a call."""
    handler = _own_handler()
    return (handler.redactor if handler else Redactor()).text(text)


class Lines(logging.StreamHandler[TextIO]):
    """The one handler of a process: knows how it was set up."""

    def __init__(self, setup: Setup, stream: TextIO) -> None:
        super().__init__(stream)
        self.setup, self.redactor = setup, Redactor(setup.secrets)
        text = setup.form == "text" or (not setup.form and stream.isatty())
        self.setFormatter(
            TextLines(setup.service, self.redactor)
            if text
            else JsonLines(setup.service, setup.replica, self.redactor)
        )
        self.addFilter(Bounded())


class Bounded(logging.Filter):
    """Lets a line of one loop of one pipeline through REPEATS_MAX times in REPEATS_S; the next one
    after that says how many were left out, as `left_out`."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: OrderedDict[tuple[object, ...], tuple[float, int]] = OrderedDict()
        self._lock = threading.Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        of = [str(_fields(record).get(name, ""))[:200] for name in ("pipeline", "loop")]
        name = (record.name, record.levelno, str(record.msg)[:200], *of)
        with self._lock:
            since, count = self._seen.get(name, (record.created, 0))
            left_out = 0
            if record.created - since >= REPEATS_S:
                left_out, since, count = max(0, count - REPEATS_MAX), record.created, 0
            self._seen[name] = since, count + 1
            self._seen.move_to_end(name)
            if len(self._seen) > LINES_KNOWN_MAX:
                self._seen.popitem(last=False)
        if left_out:
            record.fields = {**_own_fields(record), "left_out": left_out}
        return count < REPEATS_MAX


class JsonLines(logging.Formatter):
    """time, level, service, replica, what is bound, logger, message, the fields, and the traceback
    under `error`."""

    def __init__(self, service: str, replica: str, redactor: Redactor | None = None) -> None:
        super().__init__()
        self.head = {"service": service, "replica": replica}
        self._redactor = redactor or Redactor()

    def format(self, record: logging.LogRecord) -> str:
        clean = self._redactor
        line: dict[str, Any] = {
            "time": _rfc3339(record.created),
            "level": record.levelname.lower(),
            **self.head,
            "logger": record.name,
            "message": clean.text(_message(record))[:LINE_CHARACTERS_MAX],
        }
        for name, value in _fields(record).items():
            line.setdefault(name, clean.named(name, value))
        if record.exc_info:
            line["error"] = clean.text(self.formatException(record.exc_info))
            line["error"] = line["error"][-LINE_CHARACTERS_MAX:]
        return json.dumps(line, default=str, ensure_ascii=False)


class TextLines(logging.Formatter):
    """`12:00:01 warning serving  no broker  address=127.0.0.1:19092`, a traceback below it."""

    def __init__(self, service: str, redactor: Redactor | None = None) -> None:
        super().__init__()
        self.service = service
        self._redactor = redactor or Redactor()

    def format(self, record: logging.LogRecord) -> str:
        clean = self._redactor
        time = datetime.fromtimestamp(record.created, UTC).astimezone().strftime("%H:%M:%S")
        fields = "".join(f"  {k}={clean.named(k, v)}" for k, v in _fields(record).items())
        said = clean.text(_message(record))
        line = f"{time} {record.levelname.lower():7} {self.service:10} {said}{fields}"
        if record.exc_info:
            line += "\n" + clean.text(self.formatException(record.exc_info))
        return line[:LINE_CHARACTERS_MAX]


def _apply(how: Setup, stream: TextIO | None) -> None:
    root = logging.getLogger()
    root.handlers[:] = [Lines(how, stream or sys.stderr)]
    level = logging.getLevelName((how.level or "info").upper())
    root.setLevel(max(logging.INFO, level) if how.level == "debug" else logging.WARNING)
    for name in OURS:
        logging.getLogger(name).setLevel(level)
    logging.captureWarnings(True)
    if stream is None:  # a process of its own: nothing may come out beside the lines
        sys.excepthook = _on_crash


def _on_crash(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    logger("kit.log").critical("crashed: %s", error, exc_info=(kind, error, trace))


def _own_handler() -> Lines | None:
    return next((h for h in logging.getLogger().handlers if isinstance(h, Lines)), None)


def _message(record: logging.LogRecord) -> str:
    """A line whose arguments don't fit its text is said as it is: logging never breaks its
    caller."""
    try:
        return record.getMessage()
    except (TypeError, ValueError):
        return f"{record.msg} {record.args}"


def _fields(record: logging.LogRecord) -> Mapping[str, Any]:
    return {**_BOUND.get(), **_own_fields(record)}


def _own_fields(record: logging.LogRecord) -> Mapping[str, Any]:
    fields = getattr(record, "fields", None)
    return fields if isinstance(fields, Mapping) else {}


def _rfc3339(seconds: float) -> str:
    return (
        datetime.fromtimestamp(seconds, UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z")
    )
