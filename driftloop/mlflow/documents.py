"""What Driftloop has on record, in MLflow's words: a run with a nested run for each candidate, a
version with its file. Pure.

A document's `key` says whose it is, its `seal` what it was made of: what is there under the same
seal needs no writing.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from driftloop.client.plain import Plain
from driftloop.client.status import run_row

STATUS = {"": "RUNNING", "failed": "FAILED", "timed_out": "FAILED", "cancelled": "KILLED"}
FIGURES = ("gain", "gain_low", "train_s", "evaluate_s", "release_s", "rows", "holdout_rows")
OF_CANDIDATE = ("fit_s", "export_s", "parity_max", "bytes", "rows_learnt")
OF_VERDICT = ("gain", "gain_low", "p_value")
NOT_A_NAME = re.compile(r"[^\w\-./: ]", re.ASCII)  # of a param or metric, there
OUTPUTS_LABEL = {"dtype": "int64", "shape": [-1]}
ALIASES = ("champion", "previous", "baseline", "challenger")  # each is one version's


def run(told: Plain) -> Plain:
    """One run of Driftloop."""
    opened, row = told["opened"], run_row(told)
    finished, evaluated = told["finished"] or {}, told["evaluated"] or {}
    tags = {
        "driftloop.pipeline": opened["pipeline"],
        "driftloop.generation": opened["generation"],
        "driftloop.trigger": opened["trigger"],
        "driftloop.request": opened["request_id"],
        "driftloop.outcome": finished.get("outcome", ""),
        "driftloop.reason": finished.get("reason", ""),
        "driftloop.version": finished.get("version") or "",
        "driftloop.winner": evaluated.get("winner", ""),
        "driftloop.rule": evaluated.get("rule", ""),
        "mlflow.note.content": opened["reason"],
    }
    figures = {name: row[name] for name in FIGURES}
    figures |= {f"champion_{name}": value for name, value in _metrics(evaluated.get("champion"))}
    ended_ms = finished.get("at_ms", 0)
    return _sealed(
        {
            "key": opened["run_id"],
            "name": opened["run_id"],
            "start_ms": opened["at_ms"],
            "end_ms": ended_ms,
            "at_ms": ended_ms or opened["at_ms"],
            "status": STATUS.get(finished.get("outcome", ""), "FINISHED"),
            "tags": _texts(tags),
            "params": _texts({"trigger": opened["trigger"]}),
            "metrics": _series(figures),
            "files": {"run.json": json.dumps(told, indent=2, sort_keys=True)},
        }
    )


def candidates(told: Plain, trials: Sequence[Plain] = ()) -> list[Plain]:
    """The candidates of a run; each tells by `run` which one that is. `trials`: of its searches."""
    trained, evaluated = told["trained"] or {}, told["evaluated"] or {}
    verdicts = {each["name"]: each for each in evaluated.get("verdicts", ())}
    tried: dict[str, list[tuple[int, float]]] = {}
    for each in trials:
        if each["loss"] is not None:
            tried.setdefault(each["candidate"], []).append((each["number"], each["loss"]))
    return [
        _candidate(told, each, verdicts.get(each["name"], {}), tried.get(each["name"], []))
        for each in trained.get("candidates", ())
    ]


def _candidate(
    told: Plain, made: Plain, verdict: Plain, tried: Sequence[tuple[int, float]]
) -> Plain:
    at, opened, window = told["at_ms"], told["opened"], made["window"] or {}
    end_ms = at.get("evaluated") or at["trained"]
    tags = {
        "driftloop.pipeline": opened["pipeline"],
        "driftloop.run": opened["run_id"],
        "driftloop.digest": made["digest"],
        "driftloop.eligible": verdict.get("eligible", False),
        "driftloop.reason": made["error"] or verdict.get("reason", ""),
        "driftloop.rows_sha256": window.get("rows_sha256", ""),
        "driftloop.window": json.dumps(window, sort_keys=True) if window else "",
        "driftloop.libraries": json.dumps(made["libraries"], sort_keys=True),
        "driftloop.code": made["code"],
        "driftloop.cached_from": made["cached_from"],
        "driftloop.line": made["line"],
    }
    figures = {name: made[name] for name in OF_CANDIDATE}
    figures |= {name: verdict[name] for name in OF_VERDICT if name in verdict}
    figures |= {"fitted_rows": window.get("rows")} | dict(_metrics(verdict.get("metrics")))
    return _sealed(
        {
            "key": key(opened["run_id"], made["name"]),
            "run": opened["run_id"],
            "name": made["name"],
            "start_ms": opened["at_ms"],
            "end_ms": end_ms,
            "at_ms": end_ms,
            "status": "FAILED" if made["error"] else "FINISHED",
            "tags": _texts(tags),
            "params": _texts(
                {"learner": made["kind"], "seed": made["seed"], **_flat(made["params"] or {})}
            ),
            "metrics": _series(figures) | ({"trial_loss": list(tried)} if tried else {}),
            "files": {},
        }
    )


def key(run_id: str, candidate: str) -> str:
    """Of a candidate's run."""
    return f"{run_id}/{candidate}"


def version(told: Plain) -> Plain:
    """One version: `run` is the key of its candidate's run, `given` what people tagged it with."""
    made = told["candidate"] or {}
    tags = {
        "driftloop.pipeline": told["pipeline"],
        "driftloop.version": told["version"],
        "driftloop.generation": told["generation"],
        "driftloop.digest": told["digest"],
        "driftloop.run": told["run_id"],
        "driftloop.released_by": told["released_by"],
        "driftloop.inputs": json.dumps(told["inputs"]),
        "driftloop.classes": json.dumps(told["classes"]),
        "driftloop.pinned": "pinned" in told["aliases"],
    }
    return _sealed(
        {
            "key": str(told["version"]),
            "digest": told["digest"],
            "run": key(told["run_id"], made.get("name", "")),
            "parent": told["run_id"],
            "tags": _texts(tags),
            "given": dict(told["tags"]),
            "note": told["note"],
            "signature": _signature(len(told["inputs"]), len(told["classes"])),
        }
    )


def aliases(models: Sequence[Plain]) -> dict[str, str]:
    """Alias -> our version; those that name one version alone."""
    return {
        alias: str(each["version"])
        for each in models
        for alias in each["aliases"]
        if alias in ALIASES
    }


def _signature(inputs: int, classes: int) -> Plain:
    given = {"features": {"dtype": "float32", "shape": [-1, inputs]}}
    gives: dict[str, Plain] = {"value": {"dtype": "float32", "shape": [-1]}}
    if classes:
        chances = {"dtype": "float32", "shape": [-1, classes]}
        gives = {"probability": chances, "label": OUTPUTS_LABEL}
    return {"inputs": _schema(given), "outputs": _schema(gives), "params": None}


def _schema(tensors: Mapping[str, Plain]) -> str:
    said = [
        {"name": name, "type": "tensor", "tensor-spec": tensor} for name, tensor in tensors.items()
    ]
    return json.dumps(said)


def _metrics(metrics: Plain | None) -> Iterator[tuple[str, Any]]:
    """Name and figure; of several classes the averages too."""
    for name, value in (metrics or {}).items():
        if name == "averages":
            yield from value.items()
        elif name != "confusion":
            yield ("judged_rows" if name == "rows" else name), value


def _series(figures: Mapping[str, Any]) -> dict[str, list[tuple[int, float]]]:
    """Each figure as the one point of its series; what is not known is left out."""
    return {
        _name(name): [(0, float(value))]
        for name, value in figures.items()
        if value is not None and math.isfinite(value)
    }


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    """What is empty is left out, what is no text is written as JSON."""
    return {
        _name(name): value if isinstance(value, str) else json.dumps(value)
        for name, value in values.items()
        if value != "" and value is not None
    }


def _flat(params: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in params.items():
        nested = isinstance(value, Mapping)
        flat |= _flat(value, f"{prefix}{name}.") if nested else {f"{prefix}{name}": value}
    return flat


def _name(name: str) -> str:
    return NOT_A_NAME.sub("_", name)


def _sealed(document: Plain) -> Plain:
    text = json.dumps(document, sort_keys=True)
    return {**document, "seal": hashlib.sha256(text.encode()).hexdigest()}
