"""Runs and versions of a pipeline to MLflow, each once; a model of MLflow's to the gate."""

from __future__ import annotations

import re
import tempfile
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from driftloop.client import Client
from driftloop.client.plain import Plain
from driftloop.kit.errors import Refused
from driftloop.mlflow import documents
from driftloop.mlflow.beside import Beside

REGISTERED = re.compile(r"models:/([^/@]+)[/@].+")


@dataclass(slots=True)
class Exported:
    """How much there is of ours at MLflow, and how much of it was written now. `lost`: versions
    whose bytes the registry no longer keeps; `deleted`: runs that people have deleted there.
    """

    experiment: str
    runs: int = 0
    candidates: int = 0
    versions: int = 0
    written: int = 0
    aliases: dict[str, str] = field(default_factory=dict)
    lost: list[int] = field(default_factory=list)
    deleted: int = 0


@dataclass(frozen=True, slots=True)
class Imported:
    """A model that was handed to the gate."""

    request_id: str
    pipeline: str
    source: str


def export(client: Client, mlflow: Beside, pipeline: str, name: str) -> Exported:
    """All of `pipeline` as experiment and registered model `name`. Refused: there is no such
    pipeline, or what stands under that name is another one's.
    """
    models, runs = client.models(pipeline), client.runs(pipeline)
    trials: dict[str, list[Plain]] = {}
    for each in client.trials(pipeline):
        trials.setdefault(each["run_id"], []).append(each)
    known = mlflow.ask("known", name=name, pipeline=pipeline)
    versions = [documents.version(each) for each in models]
    _ours(versions, known["versions"], name)
    sent = _Sent(mlflow, known, Exported(known["experiment"]))
    for run in runs:
        sent.run(documents.run(run))
        for each in documents.candidates(run, trials.get(run["opened"]["run_id"], ())):
            sent.run(each)
    for each in versions:
        sent.version(client, each, name)
    numbers = {ours: each["number"] for ours, each in known["versions"].items()}
    pointed = documents.aliases(models)
    wanted = {alias: numbers[ours] for alias, ours in pointed.items() if ours in numbers}
    sent.done.aliases = mlflow.ask("aliases", name=name, wanted=wanted)
    return sent.done


def _ours(versions: list[Plain], known: Mapping[str, Plain], name: str) -> None:
    """Two stacks may have a pipeline of the same name."""
    for each in versions:
        there = known.get(each["key"])
        if there is not None and there["digest"] != each["digest"]:
            raise Refused(
                f"version {each['key']} of {name} at MLflow is of another Driftloop: its digest "
                f"is {there['digest'][:12]}, ours {each['digest'][:12]}; say another name by --name"
            )


class _Sent:
    """One export: what is there, brought up to what we have."""

    def __init__(self, mlflow: Beside, known: Plain, done: Exported) -> None:
        self._mlflow, self._known, self.done = mlflow, known, done

    def run(self, document: Plain) -> None:
        there = self._known["runs"].get(document["key"], {})
        nested = "run" in document
        self.done.candidates += nested
        self.done.runs += not nested
        if there.get("deleted"):
            self.done.deleted += 1
            return
        if there.get("seal") == document["seal"]:
            return
        parent = self._known["runs"].get(document.get("run"), {}).get("id")
        tags = document["tags"] | ({"mlflow.parentRunId": parent} if parent else {})
        said = {**document, "tags": tags, "id": there.get("id")}
        made = self._mlflow.ask("run", experiment=self._known["experiment"], **said)
        self._known["runs"][document["key"]] = {"id": made, "seal": document["seal"]}
        self.done.written += 1

    def version(self, client: Client, document: Plain, name: str) -> None:
        there = self._known["versions"].get(document["key"], {})
        self.done.versions += 1
        if there.get("seal") == document["seal"]:
            return
        runs = self._known["runs"]
        run = runs.get(document["run"]) or runs.get(document["parent"], {})
        said = {**document, "name": name, "run": run.get("id"), "number": there.get("number")}
        with tempfile.TemporaryDirectory() as folder:
            if said["number"] is None and not (
                _live(run) and _fetched(client, document["digest"], Path(folder, "model.onnx"))
            ):
                self.done.versions -= 1
                self.done.lost.append(int(document["key"]))
                return
            number = self._mlflow.ask("model", file=str(Path(folder, "model.onnx")), **said)
        self._known["versions"][document["key"]] = {"number": number, "digest": document["digest"]}
        self.done.written += 1


def _live(run: Plain) -> bool:
    return bool(run.get("id")) and not run.get("deleted")


def _fetched(client: Client, digest: str, path: Path) -> bool:
    """False where the registry has given the bytes up."""
    try:
        path.write_bytes(client.artifact(digest))
    except Refused as error:
        if error.status != "NOT_FOUND":
            raise
        return False
    return True


def take(client: Client, mlflow: Beside, uri: str, pipeline: str, note: str, at: str) -> Imported:
    """The ONNX behind `uri` to the gate of `pipeline`, or of the one that has the registered
    model's name; `at`: the tracking URI. Refused: there is none, no ONNX, or no such pipeline.
    """
    into = pipeline or registered(uri)
    with tempfile.TemporaryDirectory() as folder:
        found = mlflow.ask("fetch", uri=uri, folder=folder)
        stem = re.sub(r"\W+", "-", found["uri"].partition(":/")[2]).strip("-") or "mlflow"
        path = Path(found["file"]).rename(Path(folder, f"{stem}.onnx"))
        source = f"{found['uri']} at {shown(at)}"
        said = f"{source}: {note}" if note else source
        return Imported(client.add_model(into, path, said), into, source)


def registered(uri: str) -> str:
    """NAME of `models:/NAME@alias` or `models:/NAME/3`. Refused: it names none."""
    named = REGISTERED.fullmatch(uri)
    if named is None:
        raise Refused(
            f"{uri!r} names no registered model, as models:/flights@champion or models:/flights/3 "
            "does; say the pipeline after it"
        )
    return named[1]


def shown(uri: str) -> str:
    """A tracking URI without who asks and by which password."""
    parts = urllib.parse.urlsplit(uri)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
