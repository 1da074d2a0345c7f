"""Waiting for facts with a deadline: the only place in the tests that sleeps."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(fact: Callable[[], T], within_s: float = 10.0, every_s: float = 0.02) -> T:
    """Ask until the answer is true (and the question raises no AssertionError), and give it back.

    At the deadline the last AssertionError, or one that shows the last answer, is raised.
    """
    deadline = time.monotonic() + within_s
    while True:
        try:
            answer = fact()
            assert answer, f"still {answer!r} after {within_s} s"
            return answer
        except AssertionError:
            if time.monotonic() >= deadline:
                raise
        time.sleep(every_s)
