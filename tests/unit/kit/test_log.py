"""What a line carries without being told, what it leaves out, and how often it comes."""

from __future__ import annotations

import io
import json
import logging
import pickle
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from driftloop.kit import log
from driftloop.kit.broker import Subscription
from driftloop.kit.clock import SystemClock
from driftloop.kit.loop import LoopSpec
from driftloop.kit.loops import Loops
from driftloop.kit.memory import MemoryBroker
from driftloop.kit.metrics import Metrics
from tests.support import eventually

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Written(io.StringIO):
    """A stream whose lines are read back."""

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.getvalue().splitlines()]


@pytest.fixture
def stream() -> Iterator[Written]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    ours = {name: logging.getLogger(name).level for name in log.OURS}
    yield Written()
    root.handlers[:], root.level = before, level
    for name, was in ours.items():
        logging.getLogger(name).setLevel(was)
    logging.captureWarnings(False)


def test_lines_inside_carry_what_they_are_about(stream: Written) -> None:
    log.setup("training", "training-0", "json", stream)
    say = log.logger("kit.x")
    with log.bound(pipeline="sea", traceparent=TRACE), log.bound(run_id="run-1", loop=""):
        say.info("fitting", extra={"fields": {"rows": 7, "pipeline": "other"}})
    say.info("idle")

    inside, outside = stream.lines()
    assert inside["run_id"] == "run-1"
    assert inside["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
    assert inside["pipeline"] == "other"  # whoever says it himself knows better
    assert "loop" not in inside
    assert not {"pipeline", "run_id", "trace_id"} & set(outside)


def test_every_line_has_the_same_head(stream: Written) -> None:
    log.setup("training", "training-0", "json", stream)
    log.logger("kit.x").warning("odd %s", "value")
    logging.getLogger("uvicorn.error").warning("from another library")

    for line in stream.lines():
        assert list(line)[:6] == ["time", "level", "service", "replica", "logger", "message"]
        assert all(isinstance(line[name], str) for name in list(line)[:6])


def test_a_thread_carries_what_was_bound_where_it_was_made(stream: Written) -> None:
    log.setup("training", "training-0", "json", stream)
    with log.bound(run_id="run-1"):
        work = log.carrying(lambda: log.logger("kit.x").info("in a thread"))
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert stream.lines()[0]["run_id"] == "run-1"


def test_a_loop_s_own_lines_say_whose_loop_it_is(stream: Written) -> None:
    log.setup("serving", "serving-0", "json", stream)

    reads = Subscription("scores", ["no.such.topic"], "scores-0")
    spec = LoopSpec("scores-sea", "sea", reads, _no_task)
    loops = Loops(MemoryBroker(), SystemClock(), Metrics())
    loops.start(spec)
    (line, *_) = eventually(
        lambda: [one for one in stream.lines() if "begins anew" in one["message"]]
    )
    loops.stop_all()

    assert (line["loop"], line["pipeline"]) == ("scores-sea", "sea")


def test_a_child_takes_over_how_to_log_and_about_what(stream: Written) -> None:
    log.setup("training", "training-0", "json", stream, secrets={"hunter22"})
    with log.bound(run_id="run-1"):
        given = pickle.loads(pickle.dumps(log.inherited()))

    assert given.setup.replica == "training-0"
    assert given.bound == {"run_id": "run-1"}
    assert "hunter22" not in repr(given)


def test_secrets_are_in_no_part_of_a_line(stream: Written) -> None:
    log.setup("serving", "serving-0", "json", stream, secrets={"hunter22"})
    say = log.logger("kit.x")
    say.info("with hunter22 and %s", "hunter22", extra={"fields": {"why": ["hunter22"]}})
    try:
        raise ValueError("hunter22 is wrong")
    except ValueError:
        say.exception("failed")
    with log.bound(reason="hunter22"):
        logging.getLogger("grpc").warning("https://me:other-secret@host")

    assert "hunter22" not in stream.getvalue()
    assert "other-secret" not in stream.getvalue()
    assert len(stream.lines()) == 3
    assert log.redacted("hunter22!") == "***!"


def test_text_for_people_hides_them_too(stream: Written) -> None:
    log.setup("serving", "serving-0", "text", stream, secrets={"hunter22"})
    log.logger("kit.x").warning("x", extra={"fields": {"password": "abc", "why": "hunter22"}})

    assert stream.getvalue().rstrip().endswith("x  password=***  why=***")


def test_a_line_that_repeats_is_let_through_so_often_and_then_counted(stream: Written) -> None:
    log.setup("serving", "serving-0", "json", stream)
    handler = logging.getLogger().handlers[0]
    for number in range(1_000):
        handler.handle(_record("a bad row %d", number, at_s=100.0))
    handler.handle(_record("another", at_s=100.0))
    handler.handle(_record("a bad row %d", 1_000, at_s=100.0 + log.REPEATS_S))

    lines = stream.lines()
    assert len(lines) == log.REPEATS_MAX + 2
    assert lines[-1]["left_out"] == 1_000 - log.REPEATS_MAX


def test_a_loop_that_repeats_itself_does_not_hush_another(stream: Written) -> None:
    log.setup("serving", "serving-0", "json", stream)
    for pipeline in ("flights", "sea"):
        for loop in ("scores", "other"):
            with log.bound(pipeline=pipeline, loop=loop):
                for _ in range(100):
                    log.logger("kit.x").warning("begins anew")
    told = log.logger("kit.x")
    for _ in range(100):
        told.warning("begins anew", extra={"fields": {"pipeline": "lake"}})

    heard = Counter((line.get("pipeline"), line.get("loop")) for line in stream.lines())
    assert len(heard) == 5
    assert set(heard.values()) == {log.REPEATS_MAX}


def test_the_level_is_of_ours_and_others_are_heard_from_warning_on(stream: Written) -> None:
    log.setup("serving", "serving-0", "json", stream, level="debug")
    log.logger("kit.x").debug("ours")
    logging.getLogger("aiokafka").debug("a payload")
    log.setup("serving", "serving-0", "json", stream, level="error")
    log.logger("kit.x").warning("not now")

    assert [line["message"] for line in stream.lines()] == ["ours"]


def test_a_line_whose_arguments_do_not_fit_is_said_all_the_same(stream: Written) -> None:
    log.setup("serving", "serving-0", "json", stream)
    logging.getLogger("driftloop.x").warning("%d rows", "seven")

    assert "seven" in stream.lines()[0]["message"]


def _record(text: str, *arguments: object, at_s: float) -> logging.LogRecord:
    record = logging.LogRecord("driftloop.x", logging.WARNING, "x.py", 1, text, arguments, None)
    record.created = at_s
    return record


def _no_task() -> Any:
    raise AssertionError("never assigned")
