"""Which artifacts nobody can want any more.

Kept are those of what is live, previous, baseline, challenger or pinned, of each pipeline's newest
versions (whatever may be rolled back to), of runs that are open, and the candidates of the newest
runs, which later fits may reuse. Windows are rows of the log or the archive, not artifacts: nothing
here touches them.
"""

from __future__ import annotations

from collections.abc import Iterator

from services.registry.domain.facts import Stored
from services.registry.domain.ledger import Ledger

RUNS_KEPT = 30  # of each pipeline: services.training.reuse looks as far back


def garbage(ledger: Ledger, before_ms: int, keep: int) -> list[Stored]:
    """Artifacts stored before `before_ms` that nothing keeps, oldest first; `keep`: of each
    pipeline's newest versions.
    """
    wanted = set(_wanted(ledger, keep))
    old = (one for one in ledger.stored.values() if one.at_ms < before_ms)
    return sorted((one for one in old if one.digest not in wanted), key=lambda one: one.at_ms)


def _wanted(ledger: Ledger, keep: int) -> Iterator[str]:
    for pipeline, versions in ledger.versions.items():
        named = set(ledger.aliases(pipeline).values())
        for number in sorted(versions, reverse=True)[:keep]:
            named.add(number)
        for number, version in versions.items():
            mark = ledger.mark(pipeline, number)
            if number in named or (mark is not None and mark.pinned):
                yield version.digest
    for name, opened in ledger.opened.items():
        recent = opened[-RUNS_KEPT:] if name else ()  # under "" stand those of all pipelines
        for run_id in {*recent, *ledger.open}:
            trained = ledger.runs[run_id].trained
            yield from trained.candidates if trained else ()
