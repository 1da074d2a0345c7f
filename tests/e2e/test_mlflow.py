"""Runs and models go to a real MLflow and come from it, each asked for there by its own means. The
short form has MLflow's stock client on a folder, the long one a server and the whole of MLflow.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from driftloop.cli.app import app
from driftloop.mlflow.beside import beside
from infra.tools import peers
from tests.e2e.conftest import Looped
from tests.support import mlflow
from tests.support.eventually import eventually

pytestmark = pytest.mark.timeout(300)
Run = Callable[..., Result]

WRITTEN = """
import mlflow, numpy
from mlflow import MlflowClient
client, name = MlflowClient(), WORDS["name"]
where = client.get_experiment_by_name(name).experiment_id
runs = client.search_runs([where], max_results=1000)
versions = client.search_model_versions(f"name = '{name}'")
rows = numpy.array(WORDS["rows"], "float32")
champion = f"models:/{name}@champion"
answers = mlflow.pyfunc.load_model(champion).predict({"features": rows})
print(json.dumps({
    "runs": {each.data.tags["driftloop.key"]: {
        "status": each.info.status, "tags": dict(each.data.tags),
        "params": dict(each.data.params), "metrics": dict(each.data.metrics),
        "files": [file.path for file in client.list_artifacts(each.info.run_id)],
    } for each in runs},
    "versions": {each.version: dict(each.tags) for each in versions},
    "aliases": dict(client.get_registered_model(name).aliases),
    "probability": [row[1] for row in answers["probability"].tolist()],
}))
"""
LOGGED = """
import mlflow
model = mlflow.onnx.load_model(WORDS["uri"])
with mlflow.start_run():
    made = mlflow.onnx.log_model(model, name="mine", registered_model_name="mine")
client = mlflow.MlflowClient()
client.set_registered_model_alias("mine", "champion", made.registered_model_version)
class Other(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input
with mlflow.start_run():
    mlflow.pyfunc.log_model(name="other", python_model=Other(), registered_model_name="other")
print(json.dumps(made.registered_model_version))
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[mlflow.Server]:
    with mlflow.running(tmp_path_factory.mktemp("mlflow")) as server:
        yield server


@pytest.fixture
def run(looped: Looped, monkeypatch: pytest.MonkeyPatch) -> Run:
    assert peers.install("mlflow") == 0
    for name, value in looped.world.stack.environ.items():
        monkeypatch.setenv(name, value)

    def invoke(*words: str, code: int = 0) -> Result:
        result = CliRunner().invoke(app, words)
        assert result.exit_code == code, result.output
        return result

    return invoke


def told(result: Result) -> Any:
    return json.loads(result.output)


def there(uri: str, stream: str) -> Any:
    """What is in MLflow, by the keys that we gave it."""
    with beside(uri) as asked:
        return asked.ask("known", name=stream, pipeline=stream)


def test_runs_and_versions_go_to_a_folder_once_and_a_model_comes_back(
    run: Run, looped: Looped, tmp_path: Path
) -> None:
    stream, uri = looped.stream, f"file://{tmp_path}/runs"
    words = ("export", "mlflow", stream, "--tracking-uri", uri, "--json")
    first = told(run(*words))
    runs = [each["opened"]["run_id"] for each in told(run("runs", stream, "--json"))]
    models = told(run("models", stream, "--json"))

    known = there(uri, stream)
    assert set(runs) <= set(known["runs"])
    assert first["written"] == len(known["runs"]) + len(known["versions"])
    assert first["candidates"] >= len(models)
    assert {key: each["digest"] for key, each in known["versions"].items()} == {
        str(each["version"]): each["digest"] for each in models
    }
    assert told(run(*words))["written"] == 0  # again is no harm
    assert there(uri, stream) == known

    wish = ("import", "mlflow", f"models:/{stream}@champion", "--tracking-uri", uri, "--json")
    judged = ended(run, stream, told(run(*wish))["request_id"])
    assert judged["finished"]["outcome"] == "rejected", judged["finished"]  # it is live already


def ended(run: Run, stream: str, request_id: str) -> Any:
    """The run that a request opened, when it has ended."""

    def found() -> Any:
        runs = told(run("runs", stream, "--json"))
        mine = [one for one in runs if one["opened"]["request_id"] == request_id]
        return mine[0] if mine and mine[0]["finished"] else None

    return eventually(found, within_s=40, every_s=0.5)


def test_what_cant_be_done_is_refused_with_the_reason(
    run: Run, looped: Looped, tmp_path: Path
) -> None:
    stream, at = looped.stream, ("--tracking-uri", f"file://{tmp_path}/runs")
    assert (
        "nobody" in run("import", "mlflow", "models:/nobody@champion", stream, *at, code=2).output
    )
    nameless = run("import", "mlflow", "runs:/1/model", *at, code=2)
    assert "names no registered model" in nameless.output
    away = run("export", "mlflow", stream, "--tracking-uri", "http://127.0.0.1:9", code=1)
    assert "127.0.0.1:9" in away.output
    assert "--tracking-uri" in run("export", "mlflow", stream, code=2).output


@pytest.mark.soak
def test_runs_versions_and_aliases_go_to_mlflow_once_and_its_own_client_finds_them(
    run: Run, looped: Looped, server: mlflow.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = looped.stream
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    first = told(run("export", "mlflow", stream, "--json"))
    row = json.dumps({"id": "x", "at": "2024-01-05T20:50:00Z", "sensor": "s1", "a": 9.0, "b": 9.0,
                      "c": 1.0})  # fmt: skip
    answer = told(run("predict", stream, row, "--json"))
    found = server.asked(WRITTEN, name=stream, rows=[list(answer["features"].values())])

    runs = told(run("runs", stream, "--json"))
    models = {each["version"]: each for each in told(run("models", stream, "--json"))}
    assert first["written"] == len(found["runs"]) + len(found["versions"]) > len(runs)
    for each in runs:
        one = found["runs"][each["opened"]["run_id"]]
        assert one["tags"]["driftloop.trigger"] == each["opened"]["trigger"]
        assert "run.json" in one["files"]
        for made in (each["trained"] or {}).get("candidates", ()):
            nested = found["runs"][f"{each['opened']['run_id']}/{made['name']}"]
            assert nested["params"]["learner"]
    assert {tags["driftloop.digest"] for tags in found["versions"].values()} == {
        each["digest"] for each in models.values()
    }
    champion = found["versions"][found["aliases"]["champion"]]
    [live] = [each for each in models.values() if "champion" in each["aliases"]]
    assert champion["driftloop.version"] == str(live["version"])
    judged = [each["metrics"] for each in found["runs"].values() if "log_loss" in each["metrics"]]
    assert judged
    if answer["model"] == f"{stream}@{live['version']}":
        assert found["probability"] == pytest.approx([answer["probability"]], abs=1e-6)

    again = told(run("export", "mlflow", stream, "--json"))
    assert (again["written"], again["runs"]) == (0, first["runs"])
    assert (
        server.asked(WRITTEN, name=stream, rows=[[0.0] * len(answer["features"])])["runs"].keys()
        == found["runs"].keys()
    )


@pytest.mark.soak
def test_a_model_of_mlflows_goes_through_the_gate(
    run: Run, looped: Looped, server: mlflow.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = looped.stream
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    run("export", "mlflow", stream)
    number = server.asked(LOGGED, uri=f"models:/{stream}@champion")
    found = told(run("import", "mlflow", "models:/mine@champion", stream, "--note", "a", "--json"))
    assert found["source"] == f"models:/mine/{number} at {server.uri}"

    judged = ended(run, stream, found["request_id"])
    assert judged["finished"]["outcome"] == "rejected", judged["finished"]
    [candidate] = judged["trained"]["candidates"]
    assert candidate["params"]["note"].startswith(found["source"])
    refused = run("import", "mlflow", "models:/other/1", stream, code=2)
    assert "no ONNX flavour" in refused.output
