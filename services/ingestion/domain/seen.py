"""Which ids have come before, within a window of event time: the clock is the watermark, so
restarts forget the same.

An id is remembered while the watermark has moved less than the window since it was accepted. Two
dictionaries take turns, so that forgetting costs nothing a row and memory holds at most two
windows.
"""

from __future__ import annotations


class Seen:
    """The ids of one source. `window_us` 0: none are remembered."""

    def __init__(self, window_us: int) -> None:
        self._window_us = window_us
        self._young: dict[str, int] = {}  # id -> watermark when it was accepted
        self._old: dict[str, int] = {}
        self._turned_us = 0

    def __contains__(self, asked: tuple[str, int]) -> bool:
        """(id, watermark now): was it accepted within the window?"""
        event_id, watermark_us = asked
        accepted_us = self._young.get(event_id)
        if accepted_us is None:
            accepted_us = self._old.get(event_id)
        return accepted_us is not None and watermark_us - accepted_us <= self._window_us

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def add(self, event_id: str, watermark_us: int) -> None:
        """`watermark_us`: after the row."""
        if not self._window_us:
            return
        if watermark_us - self._turned_us > self._window_us:
            self._old, self._young, self._turned_us = self._young, {}, watermark_us
        self._young[event_id] = watermark_us
