"""The versions of a pipeline's model as the page lists them, and two of them side by side."""

from __future__ import annotations

from collections.abc import Mapping

from driftloop.client.plain import Plain, plain
from driftloop.contracts.model_pb2 import ModelVersion
from driftloop.kit.errors import Refused
from driftloop.web.control import Control
from driftloop.web.turns import metrics


def models(told: Control) -> list[Plain]:
    """Versions, the oldest first."""
    return [_model(told.versions[number], told) for number in sorted(told.versions)]


def compare(told: Control, a: int, b: int) -> Plain:
    """Both in full, and every figure in which they differ. Refused: no such version."""
    left, right = _full(told, a), _full(told, b)
    flat = _flat(left), _flat(right)
    names = sorted(set(flat[0]) | set(flat[1]))
    return {
        "a": left,
        "b": right,
        "differences": [
            {"field": name, "a": flat[0].get(name), "b": flat[1].get(name)}
            for name in names
            if flat[0].get(name) != flat[1].get(name)
        ],
    }


def _model(version: ModelVersion, told: Control) -> Plain:
    first = next((e for e in told.releases if e.message.version == version.version), None)
    candidate = version.candidate
    return {
        "version": version.version,
        "created_ms": version.created_ms,
        "released_ms": first.time_ms if first else None,
        "released_by": first.message.by if first else "",
        "run_id": version.run_id,
        "learner": candidate.name,
        "kind": candidate.kind,
        "digest": version.digest,
        "bytes": version.bytes,
        "rows": candidate.window.rows,
        "metrics": metrics(version.metrics),
        "aliases": _aliases(told).get(version.version, []),
    }


def _full(told: Control, number: int) -> Plain:
    version = told.versions.get(number)
    if version is None:
        known = ", ".join(map(str, sorted(told.versions))) or "none"
        raise Refused(f"no version {number}; there are {known}", status="NOT_FOUND")
    candidate = version.candidate
    return {
        **_model(version, told),
        "from_us": candidate.window.start_us or None,
        "to_us": candidate.window.end_us or None,
        "rows_sha256": candidate.window.rows_sha256,
        "fit_s": candidate.fit_s,
        "seed": candidate.seed,
        "params": plain(candidate)["params"] or {},
        "inputs": list(version.inputs),
        "gain": version.verdict.gain,
        "gain_low": version.verdict.gain_low,
    }


def _aliases(told: Control) -> dict[int, list[str]]:
    """As the registry names them: the live one, the one before it, the first."""
    if not told.releases:
        return {}
    live, first = told.releases[-1].message, told.releases[0].message
    named = {"champion": live.version, "previous": live.previous_version, "baseline": first.version}
    found: dict[int, list[str]] = {}
    for alias, version in named.items():
        if version:
            found.setdefault(version, []).append(alias)
    return found


def _flat(model: Mapping[str, object], prefix: str = "") -> Plain:
    """`metrics.auc`, `params.num_leaves`; a list as text."""
    found: Plain = {}
    for name, value in model.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = ", ".join(map(str, value)) if isinstance(value, list) else value
    return found
