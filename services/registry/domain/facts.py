"""What can have happened: the facts that the log of record holds. `detail` is bytes that only the
codec reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Declared:
    """An accepted pipeline file. `version` rises with each change, from 1, within one name."""

    name: str
    version: int
    generation: int
    yaml: str
    digest: str
    by: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class Opened:
    run_id: str
    pipeline: str
    generation: int
    trigger: str
    reason: str
    request_id: str
    at_ms: int
    deadline_ms: int  # wall time; the run is over then, whatever has come of it


@dataclass(frozen=True, slots=True)
class Stored:
    digest: str
    size: int  # bytes
    pipeline: str
    run_id: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class Candidate:
    digest: str
    size: int  # bytes
    detail: bytes
    line: str = ""  # of an online learner


@dataclass(frozen=True, slots=True)
class Trained:
    run_id: str
    pipeline: str
    generation: int
    declaration: int  # version of the pipeline file; 0: the newest
    outcome: str  # trained, failed, cancelled
    reason: str
    candidates: Mapping[str, Candidate]  # by digest
    at_ms: int
    detail: bytes


@dataclass(frozen=True, slots=True)
class Verdict:
    detail: bytes
    metrics: bytes


@dataclass(frozen=True, slots=True)
class Evaluated:
    run_id: str
    pipeline: str
    generation: int
    outcome: str  # released, rejected, failed
    reason: str
    champion_version: int
    winner_digest: str
    verdicts: Mapping[str, Verdict]  # by digest
    at_ms: int
    detail: bytes


@dataclass(frozen=True, slots=True)
class Versioned:
    pipeline: str
    generation: int
    version: int
    digest: str
    size: int  # bytes
    run_id: str
    inputs: Sequence[str]
    classes: Sequence[str]
    created_ms: int
    released_by: str
    candidate: bytes
    verdict: bytes
    metrics: bytes
    line: str = ""  # an online learner, whose newest snapshot is served


@dataclass(frozen=True, slots=True)
class Released:
    pipeline: str
    generation: int
    version: int
    digest: str
    size: int  # bytes
    run_id: str
    by: str
    reason: str
    cause: str  # release, promote, rollback
    previous_version: int
    baseline_version: int  # 0: this is it, or none is wanted
    baseline_digest: str
    inputs: Sequence[str]
    classes: Sequence[str]
    at_ms: int
    request_id: str = ""  # under which a person asked for it
    line: str = ""


@dataclass(frozen=True, slots=True)
class Finished:
    run_id: str
    pipeline: str
    generation: int
    outcome: str  # released, rejected, failed, cancelled, timed_out
    reason: str
    version: int
    at_ms: int


@dataclass(frozen=True, slots=True)
class Quarantined:
    """Rows of [from_us, to_us) of event time are in no window from now on; or, lifted, they are."""

    pipeline: str
    from_us: int
    to_us: int
    reason: str
    by: str
    at_ms: int
    lifted: bool = False


@dataclass(frozen=True, slots=True)
class Marked:
    """What a person has said of a version, whole: the newest one holds."""

    pipeline: str
    version: int
    pinned: bool
    note: str
    tags: Mapping[str, str]
    by: str
    at_ms: int
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Collected:
    """Artifacts whose bytes were given up."""

    digests: Sequence[str]
    by: str
    at_ms: int


Fact = (
    Declared
    | Opened
    | Stored
    | Trained
    | Evaluated
    | Versioned
    | Released
    | Finished
    | Quarantined
    | Marked
    | Collected
)
