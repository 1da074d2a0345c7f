"""The newest snapshots as candidates of a run; how good a line is, its own record says."""

from __future__ import annotations

from collections.abc import Callable

from driftloop.contracts.model_pb2 import Candidate, Snapshot
from driftloop.kit.broker import Broker
from driftloop.kit.trace import Steps
from services.training.made import cpu_features, libraries
from services.training.online.plan import LinePlan
from services.training.online.snapshots import newest
from services.training.plan import Plan

LEARNS_ON = "it learns on: a snapshot is its state after so many rows of the log"


def candidates(
    broker: Broker, plan: Plan, upload: Callable[[bytes], str], steps: Steps, code: str
) -> list[Candidate]:
    """One of each line of the plan; without a snapshot it carries its error."""
    found = newest(broker, plan.pipeline, plan.generation) if plan.lines else {}
    return [_candidate(one, found.get(one.name), upload, steps, code) for one in plan.lines]


def _candidate(
    line: LinePlan,
    snapshot: Snapshot | None,
    upload: Callable[[bytes], str],
    steps: Steps,
    code: str,
) -> Candidate:
    candidate = Candidate(
        name=line.name,
        kind=line.kind,
        line=line.name,
        seed=line.seed,
        libraries=libraries(line.kind),
        cpu=cpu_features(),
        code=code,
        chance=LEARNS_ON,
    )
    candidate.params.update(dict(line.params))
    if snapshot is None or snapshot.recipe != line.recipe():
        candidate.error = "it has not learnt enough yet: there is no snapshot of it"
        return candidate
    with steps.step("upload", line.name, candidate=line.name, bytes=len(snapshot.model)):
        candidate.digest = upload(snapshot.model)
    candidate.bytes, candidate.rows_learnt = len(snapshot.model), snapshot.rows
    return candidate
