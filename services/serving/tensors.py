"""V2 tensors ↔ arrays: the checks of a request, and the answer in the form in which the request
came.

A request with raw contents is answered with raw contents, one with typed contents with typed ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from driftloop.contracts import inference_pb2 as v2
from driftloop.kit.errors import Refused
from services.serving.domain import Answer, Answering, Floats, Release

INPUT = "features"
PROBABILITY, LABEL, VALUE = "probability", "label", "value"
PLATFORM = "onnx_onnxruntime"


def vectors(request: v2.ModelInferRequest, *, width: int, rows_max: int) -> Floats:
    """[rows, width] of the one input. Refused names what was expected."""
    wanted = f"wanted one input {INPUT}: FP32 [rows, {width}]"
    if len(request.inputs) != 1 or request.inputs[0].name != INPUT:
        found = ", ".join(tensor.name for tensor in request.inputs) or "none"
        raise Refused(f"found inputs {found}; {wanted}")
    tensor = request.inputs[0]
    shape = list(tensor.shape)
    if tensor.datatype != "FP32":
        raise Refused(f"found {INPUT} of datatype {tensor.datatype or 'none'}; {wanted}")
    if len(shape) != 2 or shape[1] != width or shape[0] < 1:
        raise Refused(f"found {INPUT} of shape {shape}; {wanted}")
    if shape[0] > rows_max:
        raise Refused(
            f"found {shape[0]} rows, wanted at most {rows_max} a call; "
            "SERVING_CALL_ROWS_MAX raises the limit"
        )
    return _contents(request, tensor, shape[0], width)


def wanted_outputs(request: v2.ModelInferRequest, release: Release) -> Sequence[str]:
    """The outputs asked for; none named: all. Refused names those that there are."""
    there = _outputs(release)
    unknown = [output.name for output in request.outputs if output.name not in there]
    if unknown:
        raise Refused(f"found outputs {', '.join(unknown)}, wanted {' or '.join(there)}")
    return [output.name for output in request.outputs] or there


def response(
    request: v2.ModelInferRequest, answering: Answering, answer: Answer, wanted: Sequence[str]
) -> v2.ModelInferResponse:
    """The outputs in the order asked for."""
    release = answering.release
    message = v2.ModelInferResponse(
        model_name=request.model_name, model_version=str(release.version), id=request.id
    )
    message.parameters["provider"].string_param = answering.network.provider
    raw = bool(request.raw_input_contents)
    for name in wanted:
        _add(message, name, answer, raw=raw)
    return message


def metadata(name: str, versions: Sequence[str], answering: Answering) -> v2.ModelMetadataResponse:
    """Names, types and shapes; the columns' names, which V2 has no place for, and the provider as
    properties.
    """
    release, tensor = answering.release, v2.ModelMetadataResponse.TensorMetadata
    shapes = {
        PROBABILITY: ("FP32", [-1, release.width]),
        LABEL: ("INT64", [-1]),
        VALUE: ("FP32", [-1]),
    }
    outputs = [
        tensor(name=output, datatype=shapes[output][0], shape=shapes[output][1])
        for output in _outputs(release)
    ]
    return v2.ModelMetadataResponse(
        name=name,
        versions=versions,
        platform=PLATFORM,
        inputs=[tensor(name=INPUT, datatype="FP32", shape=[-1, len(release.inputs)])],
        outputs=outputs,
        properties={
            "provider": answering.network.provider,
            "digest": release.digest,
            "features": ",".join(release.inputs),
            "classes": ",".join(release.classes),
        },
    )


def _outputs(release: Release) -> list[str]:
    return [PROBABILITY, LABEL] if release.classes else [VALUE]


def _contents(
    request: v2.ModelInferRequest,
    tensor: v2.ModelInferRequest.InferInputTensor,
    rows: int,
    width: int,
) -> Floats:
    typed = tensor.contents.fp32_contents
    if request.raw_input_contents:
        raw = request.raw_input_contents
        if len(raw) != 1 or len(raw[0]) != rows * width * 4:
            sizes = ", ".join(str(len(part)) for part in raw)
            raise Refused(
                f"found raw_input_contents of {sizes} bytes, wanted one of {rows * width * 4}"
            )
        if tensor.HasField("contents"):
            raise Refused(
                f"found {INPUT} in contents and in raw_input_contents, wanted one of them"
            )
        return np.frombuffer(raw[0], "<f4").reshape(rows, width)
    if len(typed) != rows * width:
        raise Refused(f"found {len(typed)} fp32_contents, wanted {rows} x {width}")
    return np.array(typed, np.float32).reshape(rows, width)


def _add(message: v2.ModelInferResponse, name: str, answer: Answer, *, raw: bool) -> None:
    values = {PROBABILITY: answer.outputs, LABEL: answer.labels, VALUE: answer.outputs[:, 0]}[name]
    assert values is not None, name
    output = message.outputs.add(
        name=name, datatype="INT64" if name == LABEL else "FP32", shape=values.shape
    )
    if raw:
        message.raw_output_contents.append(np.ascontiguousarray(values).tobytes())
    elif name == LABEL:
        output.contents.int64_contents.extend(int(label) for label in values.ravel())
    else:
        output.contents.fp32_contents.extend(float(value) for value in values.ravel())
