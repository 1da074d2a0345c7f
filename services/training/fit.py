"""One run, in a child process of its own: read the window, hold rows out, fit, export, check,
upload.

Nothing here knows of the control topics: it is told what to read and gives back one
`model.trained`. All heavy libraries are imported here, once, in the server that children are forked
from.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import lightgbm  # noqa: F401  # loaded here, once, for all children
import numpy as np
import river.linear_model  # noqa: F401  # the same
import sklearn.ensemble  # noqa: F401  # the same
import xgboost  # noqa: F401  # the same

from driftloop import dataset
from driftloop.contracts.model_pb2 import Candidate, ModelTrained, Window
from driftloop.dataset import Envelopes, Range, Rows
from driftloop.event_times import narrowed
from driftloop.kit import rpc, rpc_trace
from driftloop.kit.broker import Broker
from driftloop.kit.child import told
from driftloop.kit.clock import Clock, SystemClock
from driftloop.kit.events import to_json
from driftloop.kit.kafka import KafkaBroker
from driftloop.kit.trace import Steps
from driftloop.plugins import Examples
from services.training.domain import cut, weights
from services.training.domain import newest as newest_of
from services.training.given import fits
from services.training.kinds import PLAIN, chance_of, kind_of
from services.training.learners.parity import differing, measured
from services.training.made import THREADS, code_digest, cpu_features, libraries
from services.training.online.candidates import candidates
from services.training.plan import GivenPlan, LearnerPlan, Plan, SearchPlan, recipe
from services.training.reuse import earlier, key, reused, study_key
from services.training.searching import Subject, searched, tuning
from services.training.store import Store
from services.training.tuning import Trial

CLASSES_MIN = 2  # one class, or one number, alone says nothing

Report = Callable[[dict[str, Any]], None]
Upload = Callable[[bytes], str]
Fetch = Callable[[str], bytes]


def fit(argument: dict[str, Any], report: Report) -> dict[str, Any]:
    """The child's function. `argument`: {"plan": Plan, "places": Places}; gives back {"trained":
    JSON, "spans": what it did when}.
    """
    plan, places = argument["plan"], argument["places"]
    clock = SystemClock()
    broker = KafkaBroker(places.kafka, places.namespace)
    with rpc.channel(places.registry, places.tls) as channel:
        store, steps = Store(rpc_trace.passing(channel), clock), Steps(plan.traceparent, clock)
        upload = lambda model: store.upload(model, plan.pipeline, plan.run_id)  # noqa: E731
        known = earlier(channel, plan.pipeline)
        work = Workshop(plan, upload, report, clock, steps, store.fetch, known)
        trained = work.run(broker)
    return {"trained": to_json(trained), "spans": steps.told}


class Workshop:
    """One run's work, from offsets to a `ModelTrained`."""

    def __init__(
        self,
        plan: Plan,
        upload: Upload,
        report: Report,
        clock: Clock,
        steps: Steps | None = None,
        fetch: Fetch | None = None,
        known: Mapping[str, Candidate] | None = None,
    ) -> None:
        """`fetch`: what was uploaded, by digest; for models that are given. `known`: what earlier
        runs have made (services.training.reuse).
        """
        self._fetch, self._known = fetch, known or {}
        self._steps = steps or Steps(plan.traceparent, clock)
        self._plan, self._upload, self._clock = plan, upload, clock
        self._report, self._began_s = report, clock.seconds()
        self._code = code_digest()
        self._twins: dict[
            str, Candidate
        ] = {}  # what was fitted before on the same rows by the same means

    def run(self, broker: Broker) -> ModelTrained:
        """Everything; a candidate that fails carries its error, and if all do, the run has
        failed.
        """
        plan = self._plan
        self._tell("reading")
        with self._steps.step("read"):
            ranges = narrowed(broker, plan.ranges, plan.times, plan.pipeline, plan.generation)
            rows, envelopes = dataset.read(
                broker, ranges, lambda count: self._tell("reading", rows=count), plan.times
            )
        if len(rows) and rows.vectors.shape[1] != len(plan.names):
            return self._failed(
                f"examples have {rows.vectors.shape[1]} columns, wanted {len(plan.names)}"
            )
        fitted, held = self._held_out(rows, envelopes, ranges)
        if held.rows == 0:
            return self._failed(
                f"{len(rows)} labelled rows are too few to hold any out for the judgement"
            )
        every = (
            [self._given(plan.given, rows)]
            if plan.given
            else [
                *(
                    self._candidate(number, learner, rows, envelopes, fitted)
                    for number, learner in enumerate(plan.learners)
                ),
                *candidates(broker, plan, self._upload, self._steps, self._code),
            ]
        )
        trained = self._failed("; ".join(f"{one.name}: {one.error}" for one in every))
        if any(one.digest for one in every):
            trained.outcome, trained.reason = "trained", ""
        trained.candidates.extend(every)
        trained.holdout.CopyFrom(held)
        return trained

    def _held_out(
        self, rows: Rows, envelopes: Envelopes, ranges: Sequence[Range]
    ) -> tuple[list[Range], Window]:
        """The offsets that may be fitted on, and the record of the rows that may not."""
        change_us = self._plan.change_us
        since = None if change_us is None else int((rows.times >= change_us).sum())
        chosen = cut(
            envelopes.partitions,
            envelopes.offsets,
            envelopes.counts,
            envelopes.sequences,
            self._plan.limits.rows(len(rows), since),
        )
        fitted, held = dataset.parted(ranges, chosen.offsets)
        return fitted, dataset.window(rows.within(held), held, self._plan.times)

    def _given(self, given: GivenPlan, rows: Rows) -> Candidate:
        """A model that was fitted elsewhere, on nobody here knows what."""
        candidate = Candidate(
            name=given.name, kind="given", digest=given.digest, bytes=given.bytes,
            chance="it was fitted elsewhere",
        )  # fmt: skip
        candidate.params.update({"note": given.note} if given.note else {})
        assert self._fetch is not None, "a given model is fetched"
        fetch, classes = self._fetch, self._plan.classes
        self._tell("checking", given.name, 0.0, len(rows))
        candidate.error = told(lambda: fits(fetch(given.digest), rows.vectors, classes), PLAIN)
        if candidate.error:
            candidate.digest, candidate.bytes = "", 0
        return candidate

    def _candidate(
        self,
        number: int,
        learner: LearnerPlan,
        rows: Rows,
        envelopes: Envelopes,
        fitted: Sequence[Range],
    ) -> Candidate:
        done = number / len(self._plan.learners)
        self._tell("fitting", learner.name, done)
        ranges = self._window(learner, fitted, envelopes)
        mine = rows.within(ranges)
        candidate = Candidate(
            name=learner.name,
            kind=learner.kind,
            seed=learner.seed,
            window=dataset.window(mine, ranges, self._plan.times),
            libraries=libraries(learner.kind),
            threads=THREADS,
            cpu=cpu_features(),
            code=self._code,
        )
        candidate.params.update(dict(learner.params))
        candidate.recipe = key(learner, candidate)
        twin = self._twins.setdefault(candidate.recipe, candidate)
        if (
            twin is not candidate
        ):  # at first everything is within the newest weeks: one fit serves both
            return _as(twin, candidate)
        if (kept := reused(candidate, self._known)) is not None:
            return kept
        # a learner is others' code, and so are the libraries that it calls
        candidate.error = told(lambda: self._made(learner, mine, candidate, done), PLAIN)
        if candidate.error:
            candidate.digest, candidate.bytes = "", 0
        return candidate

    def _window(
        self, learner: LearnerPlan, fitted: Sequence[Range], envelopes: Envelopes
    ) -> list[Range]:
        """Of `fitted` what the learner looks at."""
        if learner.since_change:
            return _since(self._plan.change_us, fitted, envelopes)
        return _newest(learner.window_us, fitted, envelopes)

    def remake(self, learner: LearnerPlan, rows: Rows, candidate: Candidate) -> None:
        """One candidate again, on the rows of its record. ValueError and its like: why there is no
        model."""
        self._make(learner, rows, candidate, 0.0)

    def _made(self, learner: LearnerPlan, rows: Rows, candidate: Candidate, done: float) -> None:
        """As `_make`, by the parameters that a search finds where one is asked for."""
        if learner.search is not None:
            learner = self._tuned(learner, learner.search, rows, candidate, done)
        self._make(learner, rows, candidate, done)

    def _tuned(
        self,
        learner: LearnerPlan, search: SearchPlan, rows: Rows, candidate: Candidate, done: float,
    ) -> LearnerPlan:  # fmt: skip
        """The learner with what was found. ValueError: nothing was."""
        plan, examples = self._plan, _examples(rows, self._plan, learner)

        def tell(trial: Trial, ended: int) -> None:
            share = done + ended / search.trials / len(plan.learners)
            self._tell("tuning", learner.name, min(share, 1.0), len(rows), asdict(trial))

        with self._steps.step("tune", learner.name, candidate=learner.name, rows=len(rows)):
            of = Subject(
                plan.pipeline, plan.run_id, learner, examples, study_key(learner, candidate)
            )
            found = searched(of, search, plan.searching, self._clock, tell)
        candidate.tuning.CopyFrom(tuning(found, search, plan.run_id))
        candidate.params.update(dict(found.params))
        return replace(learner, params=found.params, search=None)

    def _make(self, learner: LearnerPlan, rows: Rows, candidate: Candidate, done: float) -> None:
        """Fit, export, check, upload. ValueError and its like: why there is no model."""
        examples = _examples(rows, self._plan, learner)
        began_s = self._clock.seconds()
        with self._steps.step("fit", learner.name, candidate=learner.name, rows=len(rows)):
            kind = kind_of(learner.kind)
            candidate.chance = chance_of(kind)
            learnt = kind().fit(examples, learner.params, learner.seed)
        candidate.fit_s = self._clock.seconds() - began_s
        self._tell("exporting", learner.name, done, len(rows))
        began_s = self._clock.seconds()
        with self._steps.step("export", learner.name, candidate=learner.name):
            model = learnt.onnx(self._metadata(learner, candidate.window))
            parity = measured(learnt, model, examples.vectors)
            candidate.parity_max = parity.largest
        candidate.export_s = self._clock.seconds() - began_s
        if len(parity.rows):
            raise ValueError(differing(parity, rows.ids))
        self._tell("uploading", learner.name, done, len(rows))
        with self._steps.step("upload", learner.name, candidate=learner.name, bytes=len(model)):
            candidate.digest, candidate.bytes = self._upload(model), len(model)

    def _metadata(self, learner: LearnerPlan, window: Window) -> dict[str, str]:
        """What made the model, in the model. Not the run: the same rows and recipe are the same
        bytes in any run.
        """
        return {
            "pipeline": self._plan.pipeline,
            "generation": str(self._plan.generation),
            **recipe(learner),
            "window": to_json(window).decode(),
            "rows_sha256": window.rows_sha256,
            "code": self._code,
            "libraries": json.dumps(libraries(learner.kind), sort_keys=True),
            "threads": str(THREADS),
            "inputs": json.dumps(self._plan.names),
        }

    def _failed(self, reason: str) -> ModelTrained:
        plan = self._plan
        return ModelTrained(
            run_id=plan.run_id,
            pipeline=plan.pipeline,
            generation=plan.generation,
            declaration=plan.declaration,
            outcome="failed",
            reason=reason,
            code=self._code,
            cpu=cpu_features(),
        )

    def _tell(
        self,
        stage: str,
        candidate: str = "",
        done: float = 0.0,
        rows: int = 0,
        trial: dict[str, Any] | None = None,
    ) -> None:
        self._report(
            {
                **({"trial": trial} if trial else {}),
                "stage": stage,
                "candidate": candidate,
                "done": done,
                "rows": rows,
                "seconds": self._clock.seconds() - self._began_s,
            }
        )


def _newest(window_us: int | None, fitted: Sequence[Range], envelopes: Envelopes) -> list[Range]:
    """`fitted`, or of it what holds the newest `window_us` of event time."""
    if window_us is None or not len(envelopes.newest):
        return _since(None, fitted, envelopes)
    inside = dataset.within(fitted, envelopes.partitions, envelopes.offsets)
    last_us = int(envelopes.newest[inside].max(initial=0))
    return _since(last_us - window_us, fitted, envelopes)


def _since(since_us: int | None, fitted: Sequence[Range], envelopes: Envelopes) -> list[Range]:
    """`fitted`, or of it what starts with the first row of `since_us` or later; empty ranges are
    left out.
    """
    ranges = [one for one in fitted if one.end > one.start]
    if since_us is None:
        return ranges
    inside = dataset.within(ranges, envelopes.partitions, envelopes.offsets)
    starts = newest_of(
        envelopes.partitions[inside],
        envelopes.offsets[inside],
        envelopes.newest[inside],
        since_us,
    )
    return [
        Range(one.topic, one.partition, max(one.start, starts[one.partition]), one.end)
        for one in ranges
        if one.partition in starts and one.end > starts[one.partition]
    ]


def _examples(rows: Rows, plan: Plan, learner: LearnerPlan) -> Examples:
    """What a learner gets. ValueError: nothing can be learnt from that."""
    seen = np.unique(rows.target)
    if len(seen) < CLASSES_MIN:
        what = f"{len(seen)} classes" if plan.classes else f"{len(seen)} different values"
        raise ValueError(f"{len(rows)} rows of {what} can't be learnt from")
    if not np.isfinite(seen).all():
        raise ValueError("a target is not finite")
    if plan.classes and not np.isin(seen, np.arange(plan.classes)).all():
        raise ValueError(f"targets from {seen[0]:g} to {seen[-1]:g} are no {plan.classes} classes")
    if np.isnan(rows.vectors).all():
        raise ValueError(f"every value of {len(rows)} rows is missing")
    heavy = weights(rows.times, rows.target, learner.weighing)
    return Examples(rows.times, rows.vectors, rows.target, plan.names, plan.classes, heavy)


def _as(twin: Candidate, candidate: Candidate) -> Candidate:
    """The twin's model under the candidate's own name; it took no time of its own."""
    name = candidate.name
    candidate.CopyFrom(twin)
    candidate.name, candidate.fit_s, candidate.export_s = name, 0.0, 0.0
    return candidate
