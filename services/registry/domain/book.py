"""The decisions: what happened and what is wished, and the facts that follow from it.

The run machine of one run: opened at accepted, ended exactly once, whatever the order in which its
events are read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

from services.registry.domain.facts import (
    Candidate,
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
    Verdict,
    Versioned,
)
from services.registry.domain.garbage import garbage
from services.registry.domain.ledger import Ledger, Run
from services.registry.domain.terms import Terms

R = TypeVar("R", Released, Marked)
APPROVE = "approve"  # the cause of a release
APPROVAL, REJECTED = "approval", "rejected"  # the tag of a version that was said no to
TermsOf = Callable[[str], Terms]  # a pipeline file's text -> its terms


class Unwanted(Exception):
    """A wish that the ledger can't fulfil; the text says why and what would do."""

    def __init__(self, message: str, *, missing: bool = False, changed: bool = False) -> None:
        super().__init__(message)
        self.missing = missing  # what is named does not exist
        self.changed = changed  # it is no longer what the wish was made of


class Book:
    """Takes what happened and what is wished, and gives back the facts that follow; all of them are
    applied already.
    """

    def __init__(self, ledger: Ledger, terms: TermsOf) -> None:
        self.ledger = ledger
        self._terms = terms

    def learn(self, fact: Opened | Trained | Evaluated, now_ms: int) -> list[Fact]:
        """An event from a control topic. What is known already, or comes after the run's end, gives
        nothing.
        """
        run = self.ledger.runs.get(fact.run_id, Run())
        known = {Opened: run.opened, Trained: run.trained, Evaluated: run.evaluated}[type(fact)]
        if not fact.run_id or known or run.finished:
            return []
        return [*self._enter(fact), *self._conclude(fact.run_id, now_ms)]

    def collect(
        self, before_ms: int, keep: int, *, by: str, now_ms: int
    ) -> tuple[list[Stored], list[Fact]]:
        """Give up what nothing keeps (services.registry.domain.garbage)."""
        found = garbage(self.ledger, before_ms, keep)
        digests = tuple(one.digest for one in found)
        return found, self._enter(Collected(digests, by, now_ms)) if found else []

    def store(self, fact: Stored) -> list[Fact]:
        return [] if fact.digest in self.ledger.stored else self._enter(fact)

    def declare(self, fact: Declared) -> tuple[Declared, list[Fact]]:
        """The declaration that holds now. The same digest as the newest changes nothing;
        `fact.version` is set here.
        """
        newest = self.ledger.declared(fact.name)
        if newest and newest.digest == fact.digest:
            return newest, []
        version = newest.version + 1 if newest else 1
        numbered = Declared(
            fact.name, version, fact.generation, fact.yaml, fact.digest, fact.by, fact.at_ms
        )
        return numbered, self._enter(numbered)

    def promote(
        self,
        pipeline: str,
        version: int,
        *,
        by: str,
        reason: str,
        now_ms: int,
        request_id: str = "",
        cause: str = "promote",
    ) -> Released:
        """Make a version live. Unwanted where there is no such version, or it is live already."""
        wanted, live = self._version(pipeline, version), self.ledger.champion(pipeline)
        if live and live.version == version:
            raise Unwanted(f"{pipeline}@{version} is live already")
        if wanted.digest not in self.ledger.stored:
            raise Unwanted(
                f"{pipeline}@{version} was collected: its bytes are gone; `driftloop runs retry "
                f"{wanted.run_id}` makes it again"
            )
        if live and live.generation != wanted.generation:
            raise Unwanted(
                f"{pipeline}@{version} is of generation {wanted.generation}, "
                f"live is {live.generation}"
            )
        released = self._release(wanted, by, reason, cause, now_ms)
        return self._entered(replace(released, request_id=request_id))

    def approve(
        self,
        pipeline: str,
        version: int,
        *,
        by: str,
        reason: str,
        now_ms: int,
        request_id: str = "",
    ) -> Released:
        """Make a version live that waits for it. Unwanted: it doesn't, and why."""
        self._awaited(pipeline, version, now_ms)
        asked = {"by": by, "reason": reason, "request_id": request_id}
        return self.promote(pipeline, version, now_ms=now_ms, cause=APPROVE, **asked)

    def reject(
        self,
        pipeline: str,
        version: int,
        *,
        by: str,
        reason: str,
        now_ms: int,
        request_id: str = "",
    ) -> list[Fact]:
        """Say no to a version that waits to be approved. Unwanted: it doesn't wait, and why."""
        self._awaited(pipeline, version, now_ms)
        return self.mark(
            pipeline, version, pinned=None, note=reason or None, tags={APPROVAL: REJECTED},
            by=by, now_ms=now_ms, request_id=request_id,
        )  # fmt: skip

    def _awaited(self, pipeline: str, version: int, now_ms: int) -> None:
        """Unwanted: this version does not wait to be approved."""
        name, known = f"{pipeline}@{version}", self._version(pipeline, version)
        declared = self.ledger.declared(pipeline)
        assert declared is not None, pipeline  # a version has a run, a run a declaration
        mark = self.ledger.mark(pipeline, version)
        if known.released_by:
            raise Unwanted(f"{name} was made under release.mode auto: nobody waits for a yes")
        if any(each.version == version for each in self.ledger.releases.get(pipeline, ())):
            raise Unwanted(f"{name} was released already; `driftloop promote` makes it live again")
        if mark is not None and mark.tags.get(APPROVAL) == REJECTED:
            raise Unwanted(f"{name} was rejected by {mark.by}: {mark.note}")
        over_ms = now_ms - known.created_ms - self._terms(declared.yaml).expiry_ms
        if over_ms >= 0:
            raise Unwanted(
                f"{name} could be approved until {over_ms // 1_000:,} s ago (release.expiry); "
                f"`driftloop runs retry {known.run_id}` asks anew"
            )

    def rollback(
        self, pipeline: str, *, by: str, reason: str, now_ms: int, request_id: str = ""
    ) -> Released:
        """Make the version live that was live before. Unwanted where there was none."""
        previous = self.ledger.aliases(pipeline).get("previous")
        if previous is None:
            raise Unwanted(
                f"{pipeline} has no earlier version to go back to; "
                f"`driftloop models {pipeline}` lists them"
            )
        back_to = self._version(pipeline, previous)
        released = self._release(back_to, by, reason, "rollback", now_ms)
        return self._entered(replace(released, request_id=request_id))

    def again(self, request_id: str, kind: type[R], pipeline: str, cause: str = "") -> R | None:
        """What the same request has brought before; None: it is new, or has no id. Unwanted where
        the id was another wish's.
        """
        found = self.ledger.asked.get(request_id) if request_id else None
        if found is None:
            return None
        wished = found.cause if isinstance(found, Released) else ""
        if not isinstance(found, kind) or (found.pipeline, wished) != (pipeline, cause):
            raise Unwanted(f"request_id {request_id!r} was used for another wish; make a new one")
        return found

    def unchanged(self, pipeline: str, version: int, etag: str) -> None:
        """Unwanted where a version is no longer what it was read as; an empty etag asks nothing."""
        self._version(pipeline, version)
        if etag and etag != (now := self.ledger.etag(pipeline, version)):
            raise Unwanted(
                f"{pipeline}@{version} has changed since it was read: etag {now}, wanted {etag}; "
                "read it again",
                changed=True,
            )

    def quarantine(self, fact: Quarantined) -> list[Fact]:
        """Leave a span out of later windows, or take it back in. Unwanted where none such is to be
        lifted; the same span twice changes nothing.
        """
        holds = self.ledger.quarantined.get(fact.pipeline, [])
        same = any((one.from_us, one.to_us) == (fact.from_us, fact.to_us) for one in holds)
        if fact.lifted and not same:
            raise Unwanted(f"{fact.pipeline} has no such quarantine to lift", missing=True)
        return self._enter(fact) if fact.lifted or not same else []

    def mark(
        self,
        pipeline: str,
        version: int,
        *,
        pinned: bool | None,
        note: str | None,
        tags: Mapping[str, str],
        by: str,
        now_ms: int,
        request_id: str = "",
    ) -> list[Fact]:
        """Change what is said of a version; what is None stays, a tag without a value goes.
        Unwanted where there is no such version; what is so already changes nothing.
        """
        self._version(pipeline, version)
        known = self.ledger.mark(pipeline, version) or Marked(
            pipeline, version, False, "", {}, by, now_ms
        )
        kept = {name: value for name, value in {**known.tags, **tags}.items() if value}
        fact = Marked(
            pipeline,
            version,
            known.pinned if pinned is None else pinned,
            known.note if note is None else note,
            dict(sorted(kept.items())),
            by,
            now_ms,
            request_id,
        )
        said = (known.pinned, known.note, known.tags)
        same = (fact.pinned, fact.note, fact.tags) == said
        return [] if same and not request_id else self._enter(fact)

    def overdue(self, now_ms: int) -> list[Fact]:
        """Ends the runs whose deadline has passed."""
        late = [run_id for run_id, deadline in self.ledger.open.items() if deadline <= now_ms]
        return [
            fact
            for run_id in late
            for fact in self._finish(
                run_id, "timed_out", "its deadline passed before it was judged", now_ms
            )
        ]

    def _version(self, pipeline: str, version: int) -> Versioned:
        known = self.ledger.versions.get(pipeline, {})
        if version not in known:
            there = ", ".join(str(number) for number in known) or "none"
            raise Unwanted(f"{pipeline}@{version} does not exist; there is: {there}", missing=True)
        return known[version]

    def _entered(self, fact: Released) -> Released:
        self.ledger.apply(fact)
        return fact

    def _enter(self, *facts: Fact) -> list[Fact]:
        for fact in facts:
            self.ledger.apply(fact)
        return list(facts)

    def _conclude(self, run_id: str, now_ms: int) -> list[Fact]:
        """The run machine: what follows once an event more is known of a run."""
        run = self.ledger.runs[run_id]
        if run.opened is None or run.trained is None:
            return []
        if run.trained.outcome in ("failed", "cancelled"):
            return self._finish(run_id, run.trained.outcome, run.trained.reason, now_ms)
        if run.evaluated is None:
            return []
        if run.evaluated.outcome == "released":
            return self._release_winner(run_id, run.trained, run.evaluated, now_ms)
        outcome = (
            run.evaluated.outcome if run.evaluated.outcome in ("rejected", "failed") else "failed"
        )
        return self._finish(run_id, outcome, run.evaluated.reason, now_ms)

    def _release_winner(
        self, run_id: str, trained: Trained, evaluated: Evaluated, now_ms: int
    ) -> list[Fact]:
        """`released` only where all still holds that the gate went by."""
        winner = trained.candidates.get(evaluated.winner_digest)
        declared = self.ledger.declared(trained.pipeline, trained.declaration)
        live = self.ledger.champion(trained.pipeline)
        live_version = live.version if live else 0
        if winner is None or declared is None or evaluated.winner_digest not in self.ledger.stored:
            return self._finish(run_id, "failed", _why_not(winner, declared, evaluated), now_ms)
        if evaluated.champion_version != live_version:
            reason = f"stale: judged against {evaluated.champion_version}, live is {live_version}"
            return self._finish(run_id, "rejected", reason, now_ms)
        terms = self._terms(declared.yaml)
        version = self._new_version(trained, evaluated, winner, terms, now_ms)
        if terms.approve:
            name = f"{version.pipeline}@{version.version}"
            reason = f"release.mode is approve: `driftloop approve {name}` makes it live"
            return [
                *self._enter(version),
                *self._finish(run_id, "rejected", reason, now_ms, version.version),
            ]
        self._enter(version)
        released = self._release(version, "gate", evaluated.reason, "release", now_ms)
        self._enter(released)
        return [
            version,
            released,
            *self._finish(run_id, "released", evaluated.reason, now_ms, version.version),
        ]

    def _new_version(
        self, trained: Trained, evaluated: Evaluated, winner: Candidate, terms: Terms, now_ms: int
    ) -> Versioned:
        verdict = evaluated.verdicts.get(winner.digest, Verdict(b"", b""))
        number = self.ledger.newest(trained.pipeline) + 1
        return Versioned(
            pipeline=trained.pipeline,
            generation=trained.generation,
            version=number,
            digest=winner.digest,
            size=self.ledger.stored[winner.digest].size,
            run_id=trained.run_id,
            inputs=terms.inputs,
            classes=terms.classes,
            created_ms=now_ms,
            released_by="" if terms.approve else "gate",
            candidate=winner.detail,
            verdict=verdict.detail,
            metrics=verdict.metrics,
            line=winner.line,
        )

    def _release(
        self, version: Versioned, by: str, reason: str, cause: str, now_ms: int
    ) -> Released:
        releases = self.ledger.releases.get(version.pipeline, [])
        declared = self.ledger.declared(version.pipeline)
        assert declared is not None, version.pipeline  # a version has a run, a run a declaration
        first = releases[0] if releases and self._terms(declared.yaml).baseline else None
        baseline = first if first and first.version != version.version else None
        return Released(
            pipeline=version.pipeline,
            generation=version.generation,
            version=version.version,
            digest=version.digest,
            size=version.size,
            run_id=version.run_id,
            by=by,
            reason=reason,
            cause=cause,
            previous_version=releases[-1].version if releases else 0,
            baseline_version=baseline.version if baseline else 0,
            baseline_digest=baseline.digest if baseline else "",
            inputs=version.inputs,
            classes=version.classes,
            at_ms=now_ms,
            line=version.line,
        )

    def _finish(
        self, run_id: str, outcome: str, reason: str, now_ms: int, version: int = 0
    ) -> list[Fact]:
        opened = self.ledger.runs[run_id].opened
        assert opened is not None, run_id
        return self._enter(
            Finished(run_id, opened.pipeline, opened.generation, outcome, reason, version, now_ms)
        )


def _why_not(winner: Candidate | None, declared: Declared | None, evaluated: Evaluated) -> str:
    if winner is None:
        return (
            f"the winner {evaluated.winner_digest[:12] or '(none)'} is not a candidate of this run"
        )
    if declared is None:
        return f"pipeline {evaluated.pipeline} is not declared"
    return f"the winner's artifact {evaluated.winner_digest[:12]} was never stored"
