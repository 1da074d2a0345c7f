"""A fit that has been made before is not made again: the same rows, recipe, code and libraries are
the same bytes, so the model that is kept is taken.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, replace

import grpc

from driftloop.contracts.model_pb2 import Candidate
from driftloop.contracts.registry_pb2 import RunsRequest
from driftloop.contracts.registry_pb2_grpc import RegistryStub
from driftloop.kit.log import logger
from services.training.plan import LearnerPlan, recipe

RUNS = 30  # the newest, whose candidates may be taken
ANSWER_S = 10.0
log = logger(__name__)


def key(learner: LearnerPlan, candidate: Candidate) -> str:
    """sha256 of all that makes the bytes; of a search, what it may try."""
    search = asdict(learner.search) if learner.search else None
    made = [
        recipe(learner),
        search,
        candidate.window.rows_sha256,
        candidate.code,
        dict(candidate.libraries),
        candidate.threads,
        candidate.cpu,
    ]
    return hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()


def study_key(learner: LearnerPlan, candidate: Candidate) -> str:
    """Of all that makes a trial's loss: a budget that grows, or is used by more workers, goes on
    with the same trials.
    """
    assert learner.search is not None, learner
    search = replace(learner.search, trials=0, seconds=0.0, workers=0)
    return key(replace(learner, search=search), candidate)


def earlier(channel: grpc.Channel, pipeline: str) -> dict[str, Candidate]:
    """By key, what the newest runs have made; nothing where the registry doesn't answer now. Each
    says which run fitted it.
    """
    asked = RunsRequest(pipeline=pipeline, newest=RUNS)
    try:
        runs = RegistryStub(channel).Runs(asked, timeout=ANSWER_S).runs
    except grpc.RpcError as error:
        log.warning("no earlier fits to reuse: %s", error.code())
        return {}
    found: dict[str, Candidate] = {}
    for run in reversed(runs):
        for candidate in run.trained.candidates:
            if candidate.recipe and candidate.digest and not candidate.chance:
                candidate.cached_from = candidate.cached_from or run.trained.run_id
                found[candidate.recipe] = candidate
    return found


def reused(candidate: Candidate, known: Mapping[str, Candidate]) -> Candidate | None:
    """The model that was kept, under the candidate's own name and window; it took no time."""
    kept = known.get(candidate.recipe)
    if kept is None:
        return None
    name, window = candidate.name, candidate.window
    found = Candidate()
    found.CopyFrom(kept)
    found.name, found.fit_s, found.export_s = name, 0.0, 0.0
    found.window.CopyFrom(window)
    return found
