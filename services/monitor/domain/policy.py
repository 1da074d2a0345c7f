"""Is it worth a retrain? What the monitor says of one pipeline's closed buckets, in event time.

It owns every trigger that is not a person's: the first model, drift, schedule and volume. A wish
that its own policy forbids is said all the same, with the reason in it. At most one wish is open:
until its run has ended, no other is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from driftloop.betting import Bets
from services.monitor.domain.drift import LossDetector, Losses, Raised, in_order, merged

DAY_US = 86_400_000_000


# Runs whose answer may still have to be read: the two topics are read together, seconds apart, and
# a pipeline has one run at a time
ENDED_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Rules:
    """The `monitor` and `retrain` parts of a pipeline file; times in microseconds of event time."""

    detector: str
    params: Mapping[str, object]
    statistic: str
    first_us: int
    rows_min: int
    triggers: frozenset[str]
    every_us: int | None
    volume: int | None
    cooldown_us: int
    partitions: int
    lines: Sequence[str] = ()  # online learners that answer in the shadow of what is live


@dataclass(frozen=True, slots=True)
class Part:
    """What one partition closed for one bucket and version."""

    partition: int
    start_us: int
    end_us: int
    version: int
    scored: int
    labelled: int
    times_us: object
    losses: object
    newest_row_ms: int
    parts: int
    examples: tuple[int, int]  # offsets read so far
    gains: NDArray[np.int8]  # [n, lines] over what was live, in the order of `losses`


@dataclass(frozen=True, slots=True)
class Wish:
    """A retrain that is wanted; `suppressed` says why it is not to be done after all."""

    trigger: str
    reason: str
    at_us: int
    suppressed: str = ""
    raised: Raised | None = None
    drift: bool = False  # a detector spoke at this very bucket
    version: int = 0
    examples: Mapping[int, tuple[int, int]] | None = None
    line: str = ""  # of a challenger


class Policy:
    """The state of one pipeline generation's watch."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._parts: dict[int, list[Part]] = {}  # bucket end -> what came of it
        self._closed: dict[int, int] = {}  # partition -> end of its last closed bucket
        self._examples: dict[int, tuple[int, int]] = {}
        self._version = 0
        self._detector: LossDetector | None = None
        self._asked = False  # a wish is out and not resolved
        self._running: set[str] = set()
        # run.finished may be read before the retrain.resolved that opened it; oldest first
        self._ended: dict[str, None] = {}
        self._bets = Bets(len(rules.lines))
        self._quiet_until_us = 0
        self._began_us: int | None = None
        self._labelled = 0
        self._labelled_at_run = 0
        self._run_us: int | None = None

    @property
    def version(self) -> int:
        return self._version

    def reference_loss(self) -> float | None:
        """The mean loss that the detector compares with; None: it has seen none yet."""
        return self._detector.reference_loss() if self._detector else None

    def waiting(self) -> int:
        """Parts of buckets that not all partitions have closed."""
        return sum(map(len, self._parts.values()))

    def released(self, version: int) -> None:
        """A model went live: its losses are a new series."""
        if version != self._version:
            self._version = version
            self._detector = LossDetector(self._rules.detector, self._rules.params)
            self._bets = Bets(len(self._rules.lines))

    def resolved(self, outcome: str, run_id: str) -> None:
        """What training said to a wish, ours or a person's."""
        if outcome == "suppressed":
            return
        self._asked = False
        if outcome in ("accepted", "coalesced") and run_id not in self._ended:
            self._running.add(run_id)

    def finished(self, run_id: str) -> None:
        self._ended[run_id] = None
        if len(self._ended) > ENDED_MAX:
            del self._ended[next(iter(self._ended))]
        self._running.discard(run_id)

    @property
    def _open(self) -> bool:
        return self._asked or bool(self._running)

    def part(self, part: Part) -> list[Wish]:
        """Take one partition's bucket; speak of each bucket that all partitions have closed by
        now.
        """
        self._parts.setdefault(part.end_us, []).append(part)
        same = [each for each in self._parts[part.end_us] if each.partition == part.partition]
        if len(same) < part.parts:
            return []
        self._closed[part.partition] = max(part.end_us, self._closed.get(part.partition, 0))
        self._examples[part.partition] = part.examples
        if len(self._closed) < self._rules.partitions:
            return []
        over = sorted(end for end in self._parts if end <= min(self._closed.values()))
        return [wish for end in over for wish in self._bucket(self._parts.pop(end))]

    def _bucket(self, parts: Sequence[Part]) -> list[Wish]:
        start, end = parts[0].start_us, parts[0].end_us
        if self._began_us is None:
            self._began_us = start
        self._labelled += sum(part.labelled for part in parts)
        if not self._version:
            return self._first(end)
        mine = sorted((p for p in parts if p.version == self._version), key=lambda p: p.partition)
        bucket = Losses(
            start,
            end,
            merged([(p.times_us, p.losses) for p in mine]),  # type: ignore[misc]
            max((p.newest_row_ms for p in mine), default=0),
        )
        if mine:
            self._bets.take(in_order([(p.times_us, p.gains) for p in mine]))  # type: ignore[misc]
        return self._challenger(end) or self._drift(bucket) or self._periodic(end)

    def _challenger(self, now_us: int) -> list[Wish]:
        """A line whose record beats what is live: no cooldown holds it up, its evidence does."""
        best = self._bets.winner()
        if best is None or self._open:
            return []
        name, times = self._rules.lines[best], np.exp(min(self._bets.evidence[best], 50.0))
        reason = (
            f"line {name} errs less than version {self._version}: bets on it have grown "
            f"{times:,.0f}-fold over {self._bets.rows} rows, {np.exp(self._bets.least):,.0f} wanted"
        )
        self._bets.begin_anew(best)
        return [self._wish("challenger", reason, now_us, line=name)]

    def _first(self, now_us: int) -> list[Wish]:
        assert self._began_us is not None
        if (
            self._open
            or now_us < self._quiet_until_us
            or now_us - self._began_us < self._rules.first_us
        ):
            return []
        if self._labelled < self._rules.rows_min:
            return []
        days = (now_us - self._began_us) / DAY_US
        return [
            self._wish(
                "first",
                f"no model yet and {self._labelled} labelled rows of {days:.1f} days",
                now_us,
            )
        ]

    def _drift(self, bucket: Losses) -> list[Wish]:
        assert self._detector is not None
        if not self._detector.spoken:
            raised = self._detector.observe(bucket)
            return [self._on_drift(raised, bucket, drift=True)] if raised else []
        self._detector.observe(bucket)
        if self._open or bucket.end_us < self._quiet_until_us or not len(bucket.losses):
            return []
        raised = self._detector.still_raised(bucket)
        if raised is None:  # back to normal without a new model: watch afresh
            self._detector = LossDetector(self._rules.detector, self._rules.params)
            return []
        return [self._on_drift(raised, bucket, drift=False)]

    def _on_drift(self, raised: Raised, bucket: Losses, *, drift: bool) -> Wish:
        said = "rose" if drift else "is still raised"
        reason = (
            f"{self._rules.statistic} of version {self._version} {said}: {raised.value:.4f} "
            f"against {raised.reference:.4f} before, over {raised.rows} rows"
        )
        return self._wish("drift", reason, bucket.end_us, raised=raised, drift=drift)

    def _periodic(self, now_us: int) -> list[Wish]:
        rules, since = self._rules, self._labelled - self._labelled_at_run
        if self._open or now_us < self._quiet_until_us:
            return []
        if rules.every_us and self._run_us is not None and now_us - self._run_us >= rules.every_us:
            return [
                self._wish("schedule", f"{rules.every_us / DAY_US:g} days since the last", now_us)
            ]
        if rules.volume and since >= rules.volume:
            return [self._wish("volume", f"{since} labelled rows since the last", now_us)]
        return []

    def _wish(
        self,
        trigger: str,
        reason: str,
        now_us: int,
        *,
        raised: Raised | None = None,
        drift: bool = False,
        line: str = "",
    ) -> Wish:
        suppressed = "" if line else self._forbidden(trigger, now_us)
        if line:
            self._asked = True
        elif not suppressed:
            self._asked = True
            self._quiet_until_us = now_us + self._rules.cooldown_us
            self._labelled_at_run, self._run_us = self._labelled, now_us
        return Wish(
            trigger,
            reason,
            now_us,
            suppressed,
            raised,
            drift,
            self._version,
            dict(self._examples),
            line,
        )

    def _forbidden(self, trigger: str, now_us: int) -> str:
        if trigger not in self._rules.triggers | {"first"}:
            return f"{trigger} is not among retrain.on"
        if self._open:
            return "a run is open"
        if now_us < self._quiet_until_us:
            return f"cooldown for another {(self._quiet_until_us - now_us) / DAY_US:.2f} days"
        if self._labelled < self._rules.rows_min:
            return f"{self._labelled} labelled rows, {self._rules.rows_min} wanted"
        return ""
