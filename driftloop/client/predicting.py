"""A raw row to an answer: features makes the vector, serving answers it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from driftloop.client.calls import Calls, infer_outputs, infer_request
from driftloop.client.plain import Plain
from driftloop.contracts.transform_pb2 import TransformRequest


def predict(calls: Calls, pipeline: str, row: Mapping[str, object]) -> Plain:
    """What the live model says of `row`: outputs, model, the vector by feature, the age of each
    window in seconds.
    """
    asked = calls.transform(TransformRequest(pipeline=pipeline, rows=[json.dumps(dict(row))]))
    transformed = asked.rows[0]
    response = calls.infer(infer_request(pipeline, [list(transformed.vector)]))
    return {
        "model": f"{pipeline}@{response.model_version}",
        **_answers(infer_outputs(response)),
        "features": dict(zip(asked.names, transformed.vector, strict=True)),
        "ages_s": {age.feature: age.seconds for age in transformed.ages if age.HasField("seconds")},
        "late": transformed.late,
        "sequence": asked.sequence,
    }


def _answers(outputs: Mapping[str, Sequence[float]]) -> Plain:
    """Two classes: the positive one's probability; more: all of them; regression: the value."""
    answers: Plain = {}
    for name, numbers in outputs.items():
        if name == "probability" and len(numbers) > 2:
            answers["probabilities"] = list(numbers)
        else:
            answers[name] = numbers[-1]
    return answers
