"""The one order: each row in turn is accepted with a number, or is a duplicate, too late, or a dead
letter.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from driftloop.spec import Pipeline
from services.ingestion.domain.row import Ordered, Row
from services.ingestion.domain.seen import Seen
from services.ingestion.domain.watermark import Watermark


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of some rows. `dead` are (row, rule, reason)."""

    accepted: list[Ordered] = field(default_factory=list)
    dead: list[tuple[Row, str, str]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


class Order:
    """All that must be remembered to go on numbering: the next sequence, the watermark, the ids
    seen.
    """

    def __init__(self, pipeline: Pipeline, ranks: Sequence[int], ahead_us: int) -> None:
        """`ranks[rank]` is the index in `pipeline.sources` of the source with that rank."""
        sources = [pipeline.sources[index] for index in ranks]
        self.sequence = 1
        self.watermark = Watermark(max(source.lateness for source in sources), ahead_us)
        self.window_us = max(source.dedup_window for source in sources)
        # Without an id of fields an id is the record's own place, which can't come twice.
        self._seen = [Seen(source.dedup_window if source.id else 0) for source in sources]
        self._late = [source.late for source in sources]

    def take(self, rows: Sequence[Row]) -> Outcome:
        """Rows in their order."""
        outcome = Outcome()
        accepted, counts, watermark = outcome.accepted, outcome.counts, self.watermark
        for row in rows:
            if row.verdict:
                outcome.dead.append((row, row.verdict, row.reason))
                counts[row.verdict] += 1
                continue
            seen, before_us = self._seen[row.rank], watermark.at_us
            if (row.id, before_us) in seen:
                counts["duplicate"] += 1
                continue
            late = row.time_us < before_us
            if late and not self._keeps(row, before_us, outcome):
                continue
            after_us = watermark.see(row.time_us, row.source_ms)
            seen.add(row.id, after_us)
            accepted.append(Ordered(row, late, after_us))
        counts["accepted"] += len(accepted)
        self.sequence += len(accepted)
        return outcome

    def recall(
        self, rank: int, event_id: str, time_us: int, source_ms: int, written_us: int
    ) -> None:
        """A row that was accepted before, read back from `records` in its order."""
        self._seen[rank].add(event_id, self.watermark.recall(time_us, source_ms, written_us))

    def remembered(self) -> int:
        """How many ids are held in memory."""
        return sum(len(seen) for seen in self._seen)

    def _keeps(self, row: Row, watermark_us: int, outcome: Outcome) -> bool:
        outcome.counts["late"] += 1
        policy = self._late[row.rank]
        if policy == "dead":
            behind_s = (watermark_us - row.time_us) / 1e6
            outcome.dead.append((row, "late", f"its time is {behind_s:.0f} s behind the watermark"))
        return policy == "keep"
