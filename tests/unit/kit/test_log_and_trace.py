"""Logs as lines, and the trace context that is passed on."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from driftloop.kit import log, trace

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield io.StringIO()
    root.handlers[:], root.level = before, level
    logging.captureWarnings(False)


def test_a_line_for_machines_is_json_with_the_fields(stream: io.StringIO) -> None:
    log.setup("serving", "serving-0", "json", stream)
    log.logger("kit.x").info("swapped %s", "in", extra={"fields": {"version": 7, "level": "no"}})
    line = json.loads(stream.getvalue())
    assert (line["service"], line["replica"], line["level"]) == ("serving", "serving-0", "info")
    assert (line["message"], line["version"], line["logger"]) == (
        "swapped in",
        7,
        "driftloop.kit.x",
    )


def test_an_error_carries_its_traceback_in_the_same_line(stream: io.StringIO) -> None:
    log.setup("serving", "serving-0", "json", stream)
    log.logger("kit.x").error("failed", exc_info=ValueError("no"))
    assert "ValueError: no" in json.loads(stream.getvalue())["error"]


def test_a_line_for_people_is_short(stream: io.StringIO) -> None:
    log.setup("serving", "serving-0", "text", stream)
    log.logger("services.x").warning("slow", extra={"fields": {"ms": 3}})
    assert stream.getvalue()[9:] == "warning serving    slow  ms=3\n"


def test_others_are_heard_from_warning_on(stream: io.StringIO) -> None:
    log.setup("serving", "serving-0", "json", stream)
    logging.getLogger("aiokafka").info("chatter")
    assert stream.getvalue() == ""


def test_a_trace_context_is_read_and_written_again() -> None:
    context = trace.parse(TRACE)
    assert context is not None and context.sampled
    assert trace.render(context) == TRACE
    assert trace.passed_on([("x", b"1"), ("traceparent", TRACE.encode())]) == TRACE


@pytest.mark.parametrize(
    "text",
    ["", "00-0-0-01", TRACE + "-x", "ff" + TRACE[2:], TRACE.replace("b7ad6b7169203331", "0" * 16)],
)
def test_a_broken_trace_context_is_ignored(text: str) -> None:
    assert trace.parse(text) is None
    assert trace.passed_on([("traceparent", text.encode())]) == ""
