"""The index of event times: between which of them the rows lie that were read since a closing.

Offsets grow with the time at which a label came, not with the time of its row; so a stretch of the
log is described by its oldest and its newest row, and whoever looks for a span of event time skips
the stretches that lie outside of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

NEVER = 2**62


@dataclass(frozen=True, slots=True)
class Zone:
    """From the offset `since` on. Event times in µs; oldest > newest: no row yet."""

    since: int
    oldest_us: int = NEVER
    newest_us: int = 0

    def with_rows(self, times_us: NDArray[np.int64]) -> Zone:
        """And these rows."""
        if not len(times_us):
            return self
        return replace(
            self,
            oldest_us=min(self.oldest_us, int(times_us.min())),
            newest_us=max(self.newest_us, int(times_us.max())),
        )
