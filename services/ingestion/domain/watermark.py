"""How far event time has come: newest time − largest lateness, never falling, and deaf to a few
rows far ahead.
"""

from __future__ import annotations

# a jump counts from its tenth row in a row on: one record stamped 2031 must not close everything
ROWS_AHEAD = 10


class Watermark:
    """0 until the first row. All in microseconds of event time."""

    def __init__(self, lateness_us: int, ahead_us: int) -> None:
        self.at_us = 0
        self._lateness_us, self._ahead_us = lateness_us, ahead_us
        self._limit_us: int | None = None  # beyond this a row is far ahead
        self._far = 0

    def see(self, time_us: int, source_ms: int) -> int:
        """One accepted row in log order; gives back the watermark after it.

        `source_ms`: the record's append time; before any row has been seen, it tells what would be
        far ahead.
        """
        if self._limit_us is None:
            self._limit_us = source_ms * 1_000 + self._ahead_us
        if time_us > self._limit_us:
            self._far += 1
            if self._far < ROWS_AHEAD:
                return self.at_us
        self._far = 0
        return self._reach(time_us)

    def recall(self, time_us: int, source_ms: int, written_us: int) -> int:
        """The same of a row that was accepted before; `written_us` was written in its envelope.

        What is read back may begin with a row far ahead, of which the append time says nothing
        where old data is replayed: what was written does.
        """
        if self._limit_us is None and written_us:
            self._limit_us = written_us + self._lateness_us + self._ahead_us
        if self.see(time_us, source_ms) > written_us > 0:
            self.at_us = written_us
            self._limit_us = written_us + self._lateness_us + self._ahead_us
        return self.at_us

    def end(self, watermark_us: int) -> None:
        """The stream says that it has come to here."""
        self.at_us = max(self.at_us, watermark_us)

    def _reach(self, time_us: int) -> int:
        low_us = time_us - self._lateness_us
        if low_us > self.at_us or not self.at_us:
            self.at_us = max(1, low_us)
        self._limit_us = self.at_us + self._lateness_us + self._ahead_us
        return self.at_us
