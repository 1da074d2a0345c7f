"""Wall and monotonic time as an argument: the only caller of `time`. Event time never comes from
here."""

from __future__ import annotations

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """What the kit may know of time."""

    def ms(self) -> int:
        """Wall time in milliseconds since 1970, as Kafka stamps its records."""

    def ns(self) -> int:
        """The same in nanoseconds, as spans are stamped."""

    def seconds(self) -> float:
        """Monotonic seconds; only differences mean anything."""

    def sleep(self, seconds: float, stop: threading.Event | None = None) -> None:
        """Wait that long, or until `stop` is set."""


class SystemClock:
    """The machine's own."""

    def ms(self) -> int:
        return time.time_ns() // 1_000_000

    def ns(self) -> int:
        return time.time_ns()

    def seconds(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float, stop: threading.Event | None = None) -> None:
        if stop is not None:
            stop.wait(max(0.0, seconds))
        elif seconds > 0:
            time.sleep(seconds)


class FakeClock:
    """Stands still until told otherwise; sleeping moves it and takes no time."""

    def __init__(self, ms: int = 1_700_000_000_000) -> None:
        self._us = ms * 1000

    def ms(self) -> int:
        return self._us // 1000

    def ns(self) -> int:
        return self._us * 1000

    def seconds(self) -> float:
        return self._us / 1e6

    def sleep(self, seconds: float, stop: threading.Event | None = None) -> None:
        if stop is None or not stop.is_set():
            self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Move forward; never back."""
        assert seconds >= 0, seconds
        self._us += round(seconds * 1e6)
