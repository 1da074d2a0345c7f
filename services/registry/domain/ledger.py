"""The registry's state: a fold over facts, nothing else, so that reading the log of record again
gives the same.

Nothing is decided here and nothing refused: facts have happened.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from services.registry.domain.facts import (
    Collected,
    Declared,
    Evaluated,
    Fact,
    Finished,
    Marked,
    Opened,
    Quarantined,
    Released,
    Stored,
    Trained,
    Versioned,
)

UNOPENED_RUNS_MAX = (
    1_000  # runs heard of before their opening; anyone may write such events, 1,000 x ~5 kB = 5 MB
)


@dataclass(slots=True)
class Run:
    """What is known of one run; parts may come in any order: they stand in different topics."""

    opened: Opened | None = None
    trained: Trained | None = None
    evaluated: Evaluated | None = None
    released: Released | None = None
    finished: Finished | None = None


@dataclass(slots=True)
class Ledger:
    """The registry's state."""

    declarations: dict[str, list[Declared]] = field(default_factory=dict)  # oldest first
    runs: dict[str, Run] = field(default_factory=dict)  # in the order of their first event
    open: dict[str, int] = field(default_factory=dict)  # run id -> deadline, milliseconds
    stored: dict[str, Stored] = field(default_factory=dict)
    versions: dict[str, dict[int, Versioned]] = field(default_factory=dict)
    releases: dict[str, list[Released]] = field(default_factory=dict)  # oldest first
    unopened: dict[str, None] = field(default_factory=dict)
    quarantined: dict[str, list[Quarantined]] = field(default_factory=dict)  # what holds now
    marks: dict[str, dict[int, Marked]] = field(default_factory=dict)  # the newest of each version
    # What is looked up often, and follows from the above: runs in the order of their opening, of
    # each pipeline and under "" of all; who made a version live first; what a request has brought.
    opened: dict[str, list[str]] = field(default_factory=dict)
    lived: dict[str, dict[int, str]] = field(default_factory=dict)
    asked: dict[str, Released | Marked] = field(default_factory=dict)

    def apply(self, fact: Fact) -> None:
        """Facts are never refused here: they have happened."""
        match fact:
            case Declared():
                self.declarations.setdefault(fact.name, []).append(fact)
            case Stored():
                self.stored[fact.digest] = fact
            case Versioned():
                self.versions.setdefault(fact.pipeline, {})[fact.version] = fact
            case Released():
                self._release(fact)
                if fact.cause == "release":
                    self._run(fact.run_id).released = fact
            case Quarantined():
                self._quarantine(fact)
            case Collected():
                for digest in fact.digests:
                    self.stored.pop(digest, None)
            case Marked():
                self.marks.setdefault(fact.pipeline, {})[fact.version] = fact
                self._ask(fact)
            case _:
                self._apply_to_run(fact)

    def declared(self, pipeline: str, version: int = 0) -> Declared | None:
        """A declaration of `pipeline`; version 0 is the newest."""
        known = self.declarations.get(pipeline, [])
        return next((d for d in reversed(known) if version in (0, d.version)), None)

    def champion(self, pipeline: str) -> Released | None:
        releases = self.releases.get(pipeline)
        return releases[-1] if releases else None

    def aliases(self, pipeline: str) -> dict[str, int]:
        """champion, previous, baseline, challenger -> version; those that there are. The challenger
        is the newest version, where it has never been live: it waits for a person's word.
        """
        releases, newest = self.releases.get(pipeline, []), self.newest(pipeline)
        named: dict[str, int] = {}
        if releases:
            live = releases[-1]
            named = {"champion": live.version, "baseline": releases[0].version}
            named |= {"previous": live.previous_version} if live.previous_version else {}
        if newest and newest not in self.lived.get(pipeline, {}):
            named["challenger"] = newest
        return named

    def newest(self, pipeline: str) -> int:
        """The newest version; 0: none. Versions only rise."""
        return next(reversed(self.versions.get(pipeline, {})), 0)

    def etag(self, pipeline: str, version: int) -> str:
        """Of what can change of a version: where aliases point, and what people say of it."""
        named = [name for name, number in self.aliases(pipeline).items() if number == version]
        mark = self.mark(pipeline, version)
        said = (mark.pinned, mark.note, dict(mark.tags)) if mark else (False, "", {})
        return hashlib.sha256(repr((version, named, said)).encode()).hexdigest()[:16]

    def mark(self, pipeline: str, version: int) -> Marked | None:
        return self.marks.get(pipeline, {}).get(version)

    def first_released_by(self, pipeline: str, version: int) -> str:
        """Who made a version live the first time; empty: no one yet."""
        return self.lived.get(pipeline, {}).get(version, "")

    def who_served(self, pipeline: str, at_ms: int) -> Released | None:
        """The release that was live at a wall time."""
        releases = self.releases.get(pipeline, [])
        return next((r for r in reversed(releases) if r.at_ms <= at_ms), None)

    def _release(self, fact: Released) -> None:
        self.releases.setdefault(fact.pipeline, []).append(fact)
        self.lived.setdefault(fact.pipeline, {}).setdefault(fact.version, fact.by)
        self._ask(fact)

    def _ask(self, fact: Released | Marked) -> None:
        if fact.request_id:
            self.asked[fact.request_id] = fact

    def _quarantine(self, fact: Quarantined) -> None:
        holds = self.quarantined.setdefault(fact.pipeline, [])
        holds[:] = [one for one in holds if (one.from_us, one.to_us) != (fact.from_us, fact.to_us)]
        if not fact.lifted:
            holds.append(fact)

    def _run(self, run_id: str) -> Run:
        if run_id not in self.runs:
            self.runs[run_id] = Run()
            self.unopened[run_id] = None
            if len(self.unopened) > UNOPENED_RUNS_MAX:
                oldest = next(iter(self.unopened))
                del self.unopened[oldest], self.runs[oldest]
        return self.runs[run_id]

    def _apply_to_run(self, fact: Opened | Trained | Evaluated | Finished) -> None:
        run = self._run(fact.run_id)
        match fact:
            case Opened():
                run.opened = fact
                for pipeline in ("", fact.pipeline):
                    self.opened.setdefault(pipeline, []).append(fact.run_id)
                self.open[fact.run_id] = fact.deadline_ms
                self.unopened.pop(fact.run_id, None)
            case Trained():
                run.trained = fact
            case Evaluated():
                run.evaluated = fact
            case Finished():
                run.finished = fact
                self.open.pop(fact.run_id, None)
