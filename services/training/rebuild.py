"""A model made again from its record, in a child process of its own: the same rows, recipe and
seed, compared by sha256.

The recipe is read from the model that is kept, which carries it; the rows come from the log or the
archive and are checked. Where the bytes differ, what was recorded is held against what is here, and
the differences are named. Nothing is uploaded.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import onnx

from driftloop import archive
from driftloop.contracts.model_pb2 import Candidate, ModelVersion
from driftloop.contracts.training_pb2 import Cause, RebuildReply
from driftloop.kit import rpc
from driftloop.kit.broker import Broker
from driftloop.kit.clock import Clock, SystemClock
from driftloop.kit.errors import Refused
from driftloop.kit.kafka import KafkaBroker
from driftloop.kit.objects import Objects
from driftloop.plugins import LEARNERS, Unknown, find
from services.training.domain import Limits
from services.training.fit import Workshop
from services.training.kinds import chance_of
from services.training.learners import SHIPPED
from services.training.made import THREADS, code_digest, cpu_features, libraries
from services.training.plan import LearnerPlan, Plan, of_recipe
from services.training.store import Store

ORDER = ("window", "rows", "code", "libraries", "seed", "threads", "cpu", "record", "fit")
OF_METADATA: Mapping[str, str] = {  # what a model carries of its making → the cause that it is
    "code": "code",
    "libraries": "libraries",
    "seed": "seed",
    "threads": "threads",
    "rows_sha256": "rows",
}


def rebuild(argument: dict[str, Any], report: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """`argument`: {"model": bytes of a ModelVersion, "places": Places, "archive": where}; gives
    back {"reply": bytes of a RebuildReply}, or {"refused": why}.
    """
    model, places = ModelVersion.FromString(argument["model"]), argument["places"]
    clock = SystemClock()
    with rpc.channel(places.registry, places.tls) as channel:
        fetch = Store(channel, clock).fetch
        broker = KafkaBroker(places.kafka, places.namespace)
        shelf = archive.Archive(Objects(argument["archive"]))
        try:
            reply = Rebuild(model, fetch(model.digest), broker, shelf, clock).reply()
        except Refused as error:
            return {"refused": str(error)}
    return {"reply": reply.SerializeToString()}


class Rebuild:
    """One model."""

    def __init__(
        self,
        model: ModelVersion,
        kept: bytes,
        broker: Broker,
        shelf: archive.Archive,
        clock: Clock,
    ) -> None:
        """`kept`: the model's own bytes, whose digest is the one to be met."""
        self._model, self._kept = model, kept
        self._broker, self._shelf, self._clock = broker, shelf, clock
        self._said = metadata(kept)

    def reply(self) -> RebuildReply:
        """What came of it. Refused: the model was not fitted here, or its learner promises
        nothing."""
        began_s = self._clock.seconds()
        self._check()
        reply = RebuildReply(
            pipeline=self._model.pipeline, version=self._model.version, recorded=self._model.digest
        )
        try:
            found = archive.recall(self._broker, self._model.candidate.window, self._shelf)
            reply.source, reply.rows = found.source, len(found.rows)
            self._compare(reply, self._made(found))
        except archive.Gone as error:
            recorded = self._model.candidate.window.rows_sha256
            reply.causes.append(Cause(what=error.what, recorded=recorded, found=str(error)))
        except (ValueError, Unknown) as error:
            reply.causes.extend(self._differences({**self._said, **self._here()}))
            reply.causes.append(Cause(what="fit", recorded="a model", found=str(error)))
        reply.seconds = self._clock.seconds() - began_s
        return reply

    def _check(self) -> None:
        candidate, name = self._model.candidate, f"{self._model.pipeline}@{self._model.version}"
        if not candidate.window.rows or "params" not in self._said:
            raise Refused(f"{name} was not fitted here: its record names no window")
        why = candidate.chance or _chance(self._said.get("kind", candidate.kind))
        if why:
            raise Refused(f"{name} can't be made again to the byte: {why}")

    def _made(self, found: archive.Found) -> bytes:
        kept: list[bytes] = []

        def upload(model: bytes) -> str:
            kept.append(model)
            return hashlib.sha256(model).hexdigest()

        again = Candidate(window=self._model.candidate.window)
        workshop = Workshop(self._plan(), upload, lambda _: None, self._clock)
        workshop.remake(self._learner(), found.rows, again)
        return kept[0]

    def _learner(self) -> LearnerPlan:
        """By the model's own recipe, with the seed that the registry has on record."""
        candidate = self._model.candidate
        return replace(of_recipe(candidate.name, self._said), seed=candidate.seed)

    def _plan(self) -> Plan:
        model = self._model
        return Plan(
            model.run_id,
            model.pipeline,
            model.generation,
            0,
            (),
            (self._learner(),),
            tuple(json.loads(self._said["inputs"])),
            len(model.classes),
            Limits(),
        )

    def _here(self) -> dict[str, str]:
        """What would stand in the record of a model that is made here and now."""
        kind = self._said["kind"]
        return {
            "code": code_digest(),
            "libraries": json.dumps(libraries(kind), sort_keys=True),
            "threads": str(THREADS),
        }

    def _compare(self, reply: RebuildReply, model: bytes) -> None:
        reply.rebuilt = hashlib.sha256(model).hexdigest()
        reply.equal = reply.rebuilt == reply.recorded
        reply.same_graph = _bare(model) == _bare(self._kept)
        if not reply.equal:
            reply.causes.extend(self._differences(metadata(model)))
            if not reply.causes:
                reply.causes.append(Cause(what="unknown", found="all that is recorded is the same"))

    def _differences(self, found: Mapping[str, str]) -> list[Cause]:
        """What is recorded otherwise than it is here, the likeliest cause first."""
        causes = [*self._of_metadata(found), *self._of_cpu()]
        return sorted(causes, key=lambda cause: ORDER.index(cause.what))

    def _of_metadata(self, found: Mapping[str, str]) -> Iterator[Cause]:
        for key in sorted({*self._said, *found}):
            recorded, now = self._said.get(key, ""), found.get(key, "")
            if recorded != now:
                what = OF_METADATA.get(key, "record")
                told = _changed(recorded, now) if what == "libraries" else (recorded, now)
                named = "" if what != "record" else f"{key}: "
                yield Cause(what=what, recorded=f"{named}{told[0]}", found=f"{named}{told[1]}")

    def _of_cpu(self) -> Iterator[Cause]:
        recorded, now = self._model.candidate.cpu, cpu_features()
        if recorded and recorded != now:
            yield Cause(what="cpu", recorded=recorded, found=now)


def metadata(model: bytes) -> dict[str, str]:
    """What a model carries of its making. ValueError: no ONNX."""
    return {one.key: one.value for one in onnx.load_model_from_string(model).metadata_props}


def _chance(kind: str) -> str:
    try:
        return chance_of(find(LEARNERS, kind, SHIPPED))
    except Unknown:
        return ""  # the fit will say so


def _bare(model: bytes) -> bytes:
    """The model without what it carries of its making."""
    bare = onnx.load_model_from_string(model)
    del bare.metadata_props[:]
    return bytes(bare.SerializeToString(deterministic=True))


def _changed(recorded: str, now: str) -> tuple[str, str]:
    """Of two lists of versions, what differs."""
    before, after = json.loads(recorded or "{}"), json.loads(now or "{}")
    names = [name for name in sorted({*before, *after}) if before.get(name) != after.get(name)]
    return _listed(before, names), _listed(after, names)


def _listed(versions: Mapping[str, str], names: Sequence[str]) -> str:
    return ", ".join(f"{name} {versions.get(name, 'none')}" for name in names)
