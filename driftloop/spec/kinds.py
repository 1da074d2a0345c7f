"""What follows from the target's kind where a pipeline file leaves it open: numbers are measured by
squared errors, classes by log-loss, which is the models' own default.

It works on the file's data as it was read, before anything is known to fit: what has another shape
than it should stays, to be refused as it stands.
"""

from __future__ import annotations

from typing import Any


def with_losses(data: Any) -> Any:
    """`data` with `evaluation.metric` and each detector's `on` filled in for kind: regression."""
    target = data.get("target") if isinstance(data, dict) else None
    if not isinstance(target, dict) or target.get("kind") != "regression":
        return data
    filled: dict[str, Any] = {**data}
    evaluation, monitor = data.get("evaluation", {}), data.get("monitor", {})
    if isinstance(evaluation, dict):
        filled["evaluation"] = {"metric": "squared_error", **evaluation}
    detectors = monitor.get("detectors", [{}]) if isinstance(monitor, dict) else None
    if isinstance(detectors, list):
        filled["monitor"] = {**monitor, "detectors": [_of_squares(each) for each in detectors]}
    return filled


def _of_squares(detector: Any) -> Any:
    return {"on": "squared_error", **detector} if isinstance(detector, dict) else detector
