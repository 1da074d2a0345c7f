"""The program beside us that speaks with MLflow by its stock client. It may run on another Python
environment than we do, so it imports nothing of ours.

A line of JSON in is a wish, `{"do": name, ...}`; a line out is its answer: `{"gives": ...}`, or
`{"refused": why}` and `{"unavailable": why}`. Whatever is wished for twice is done once: what is
there is found by the tags that it was made with.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import onnx
import yaml
from google.protobuf.message import DecodeError, EncodeError
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities import Metric, Param, RunTag, ViewType
from mlflow.exceptions import MlflowException
from mlflow.models import Model

Said = Mapping[str, Any]
KEY, SEAL = "driftloop.key", "driftloop.seal"  # whose it is; what it was made of, set last
PIPELINE, VERSION, DIGEST = "driftloop.pipeline", "driftloop.version", "driftloop.digest"
NAMES = "driftloop.tags"  # those of a version that people have set, so that they can go again
PAGE = 1_000  # of runs and versions, asked for at once
BATCH = 100  # params and tags in one call, MLflow's limit; of metrics it takes 1,000
FOLDER = "model"  # of a run's artifacts
OURS_TO_GIVE = ("champion", "previous", "baseline", "challenger")
WRONG = ("RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS", "INVALID_PARAMETER_VALUE")
WRONG_TOO = ("INVALID_STATE", "PERMISSION_DENIED", "FEATURE_DISABLED")


class Unwanted(Exception):
    """What is asked for can't be; the text says why."""


def main() -> int:
    """Answers wishes until their end. MLflow's own words go to stderr."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    client = MlflowClient()
    for line in sys.stdin:
        answers.write(json.dumps(_answer(client, json.loads(line))) + "\n")
        answers.flush()
    return 0


def _answer(client: MlflowClient, said: Said) -> Said:
    try:
        return {"gives": WISHES[said["do"]](client, said)}
    except Unwanted as error:
        return {"refused": str(error)}
    except MlflowException as error:
        wrong = error.error_code in (*WRONG, *WRONG_TOO)
        return {"refused" if wrong else "unavailable": error.message.splitlines()[0]}
    except OSError as error:  # requests' errors are among them
        return {"unavailable": str(error).splitlines()[0]}


# -- out of Driftloop


def known(client: MlflowClient, said: Said) -> Said:
    """What is there of `pipeline`; experiment and registered model `name` are made where they are
    not. `runs` and `versions`: ours by their key.
    """
    name, tags = said["name"], {PIPELINE: said["pipeline"]}
    experiment = client.get_experiment_by_name(name)
    if experiment is not None and experiment.lifecycle_stage != "active":
        raise Unwanted(f"experiment {name} was deleted there: restore it, or say another by --name")
    where = experiment.experiment_id if experiment else client.create_experiment(name, tags=tags)
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name, tags, f"Driftloop's pipeline {said['pipeline']}")
    return {
        "experiment": where,
        "runs": {run.data.tags[KEY]: _of_run(run) for run in _runs(client, where)},
        "versions": {each.tags[VERSION]: _of_version(each) for each in _versions(client, name)},
    }


def _runs(client: MlflowClient, experiment: str) -> Iterator[Any]:
    """Also those that people have deleted there: they are not made anew."""
    token = None
    while True:
        page = client.search_runs(
            [experiment], "", ViewType.ALL, PAGE, ["attributes.start_time ASC"], token
        )
        yield from (run for run in page if KEY in run.data.tags)
        token = page.token
        if not token:
            return


def _of_run(run: Any) -> Said:
    deleted = run.info.lifecycle_stage != "active"
    return {"id": run.info.run_id, "seal": run.data.tags.get(SEAL, ""), "deleted": deleted}


def _versions(client: MlflowClient, name: str) -> Iterator[Any]:
    token = None
    while True:
        page = client.search_model_versions(f"name = '{name}'", PAGE, page_token=token)
        yield from (each for each in page if VERSION in each.tags)
        token = page.token
        if not token:
            return


def _of_version(found: Any) -> Said:
    tags = found.tags
    return {"number": found.version, "seal": tags.get(SEAL, ""), "digest": tags.get(DIGEST, "")}


def run(client: MlflowClient, said: Said) -> str:
    """One run, made or brought up to date; gives its id."""
    tags = said["tags"]
    found = said.get("id") or _begun(client, said)
    data = client.get_run(found).data
    metrics = [
        Metric(name, value, said["at_ms"], step)
        for name, series in said["metrics"].items()
        if name not in data.metrics  # a figure is never changed
        for step, value in series
    ]
    params = [Param(name, value) for name, value in said["params"].items()]
    _log(client, found, metrics, [each for each in params if each.key not in data.params], tags)
    for name, text in said["files"].items():
        client.log_text(found, text, name)
    if said["end_ms"]:
        client.set_terminated(found, said["status"], said["end_ms"])
    client.set_tag(found, SEAL, said["seal"])
    return str(found)


def _begun(client: MlflowClient, said: Said) -> str:
    tags = {KEY: said["key"], "mlflow.source.name": "driftloop", "mlflow.source.type": "JOB"}
    made = client.create_run(said["experiment"], said["start_ms"], tags, said["name"])
    return str(made.info.run_id)


def _log(
    client: MlflowClient, found: str, metrics: Sequence[Any], params: Sequence[Any], tags: Said
) -> None:
    marks = [RunTag(name, value) for name, value in tags.items()]
    for at in range(0, max(len(metrics), len(params), len(marks)), BATCH):
        part = slice(at, at + BATCH)
        client.log_batch(found, metrics[part], params[part], marks[part])


def model(client: MlflowClient, said: Said) -> str:
    """One version with its file, made or brought up to date; gives its number there."""
    name, number = said["name"], said.get("number")
    tags = {**said["tags"], **said["given"], NAMES: json.dumps(sorted(said["given"]))}
    if number is None:
        source = _stored(client, said)
        made = client.create_model_version(
            name, source, said["run"], tags=tags, description=said["note"]
        )
        number = made.version
    else:
        _marked(client, name, number, tags)
        client.update_model_version(name, number, said["note"])
    client.set_model_version_tag(name, number, SEAL, said["seal"])
    return str(number)


def _stored(client: MlflowClient, said: Said) -> str:
    """The model's folder among its run's artifacts, in the ONNX flavour."""
    described = Model(artifact_path=FOLDER, run_id=said["run"])
    data = {"data": "model.onnx"}
    described.add_flavor(
        "onnx", onnx_version=version("onnx"), providers=["CPUExecutionProvider"], **data
    )
    python = {"python_version": ".".join(map(str, sys.version_info[:3]))}
    environments = {"env": {"virtualenv": "python_env.yaml"}}
    pyfunc = {"loader_module": "mlflow.onnx", **data, **python, **environments}
    described.add_flavor("python_function", **pyfunc)
    needs = ["mlflow", "numpy", "onnx", "onnxruntime", "pandas"]
    beside = {"python": python["python_version"], "dependencies": ["-r requirements.txt"]}
    with TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "model.onnx").write_bytes(Path(said["file"]).read_bytes())
        (place / "MLmodel").write_text(
            yaml.safe_dump({**described.to_dict(), "signature": said["signature"]})
        )
        (place / "requirements.txt").write_text("\n".join(needs) + "\n")
        (place / "python_env.yaml").write_text(yaml.safe_dump(beside))
        client.log_artifacts(said["run"], folder, FOLDER)
    return f"{client.get_run(said['run']).info.artifact_uri}/{FOLDER}"


def _marked(client: MlflowClient, name: str, number: str, tags: Said) -> None:
    there = client.get_model_version(name, number).tags
    for tag, value in tags.items():
        if there.get(tag) != value:
            client.set_model_version_tag(name, number, tag, value)
    for tag in set(json.loads(there.get(NAMES, "[]"))) - set(tags):
        client.delete_model_version_tag(name, number, tag)


def aliases(client: MlflowClient, said: Said) -> Said:
    """`wanted` alias -> number there. One of ours that is no more is taken from our versions."""
    name, wanted = said["name"], said["wanted"]
    there = dict(client.get_registered_model(name).aliases)
    ours = {each.version for each in _versions(client, name)}
    for alias, number in wanted.items():
        if str(there.get(alias)) != number:
            client.set_registered_model_alias(name, alias, number)
    for alias in set(OURS_TO_GIVE) - set(wanted):
        if str(there.get(alias)) in ours:
            client.delete_registered_model_alias(name, alias)
    return dict(client.get_registered_model(name).aliases)


# -- into Driftloop


def fetch(client: MlflowClient, said: Said) -> Said:
    """The ONNX behind `uri`, as one file in `folder`, and which version that is."""
    uri, folder = said["uri"], Path(said["folder"])
    found = _exactly(client, uri)
    place = Path(download_artifacts(found, dst_path=str(folder)))
    flavours = yaml.safe_load((place / "MLmodel").read_text())["flavors"]  # Model.load: with pandas
    if "onnx" not in flavours:
        raise Unwanted(
            f"{uri} has no ONNX flavour, only {', '.join(sorted(flavours))}: log it by "
            "mlflow.onnx.log_model"
        )
    path = folder / "whole.onnx"
    path.write_bytes(_whole(place / flavours["onnx"]["data"], uri))
    return {"file": str(path), "uri": found}


def _exactly(client: MlflowClient, uri: str) -> str:
    """An alias as the number that it stands for now."""
    name, _, alias = uri.removeprefix("models:/").partition("@")
    if not uri.startswith("models:/") or not alias:
        return uri
    return f"models:/{name}/{client.get_model_version_by_alias(name, alias).version}"


def _whole(path: Path, uri: str) -> bytes:
    """The file as it is, or with the tensors in it that MLflow has put beside it."""
    try:
        alone = onnx.load(path, load_external_data=False)
        whole = onnx.load(path)
        apart = alone.SerializeToString() != whole.SerializeToString()
        return whole.SerializeToString() if apart else path.read_bytes()
    except (DecodeError, EncodeError, ValueError, onnx.checker.ValidationError) as error:
        raise Unwanted(f"{uri}: what it holds is no ONNX of less than 2 GB: {error}") from error


WISHES: Mapping[str, Callable[[MlflowClient, Said], Any]] = {
    "known": known,
    "run": run,
    "model": model,
    "aliases": aliases,
    "fetch": fetch,
}

if __name__ == "__main__":
    sys.exit(main())
