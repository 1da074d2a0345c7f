"""Models as onnxruntime sessions; the only import of onnxruntime in this service.

A session is checked and warmed up before anyone sees it, so that no row pays for the first run.
"""

from __future__ import annotations

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as errors

from driftloop.kit.errors import Malformed
from services.serving.domain import Floats

INPUT, CLASSES_OUTPUT, VALUE_OUTPUT = "features", "probability", "value"
CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
WARM_UP_ROWS = (1, 64)
# onnxruntime's exceptions have no common root but Exception
_UNUSABLE = (
    errors.EngineError,
    errors.EPFail,
    errors.Fail,
    errors.InvalidArgument,
    errors.InvalidGraph,
    errors.InvalidProtobuf,
    errors.NoModel,
    errors.NotImplemented,
    errors.RuntimeException,
)


class Session:
    """One model. `run` may be called by several threads at once."""

    def __init__(self, data: bytes, *, width: int, classes: int, provider: str) -> None:
        """Malformed: no ONNX, other names or shapes than ours, or it fails on a row. `classes` 0:
        regression.
        """
        self._output = CLASSES_OUTPUT if classes else VALUE_OUTPUT
        self._columns = classes or 1
        try:
            self._session = onnxruntime.InferenceSession(
                data, _options(), providers=_wanted(provider)
            )
            self._check(width)
            for rows in WARM_UP_ROWS:
                self._check_answer(self.run(np.zeros((rows, width), np.float32)), rows)
        except _UNUSABLE as error:
            raise Malformed(f"not a usable ONNX model: {error}", rule="corrupt_model") from error
        self.provider: str = self._session.get_providers()[0]
        said = self._session.get_modelmeta().custom_metadata_map
        self.recipe: str = said.get("recipe", "") if "line" in said else ""

    def run(self, vectors: Floats) -> Floats:
        """[rows, features] → [rows, outputs]."""
        outputs = self._session.run([self._output], {INPUT: vectors})[0]
        return np.asarray(outputs, np.float32).reshape(len(vectors), -1)

    def _check(self, width: int) -> None:
        inputs = {i.name: (i.type, i.shape) for i in self._session.get_inputs()}
        kind, shape = inputs.get(INPUT, ("", []))
        if (
            len(inputs) != 1
            or kind != "tensor(float)"
            or len(shape) != 2
            or shape[1] not in (width, None)
        ):
            raise Malformed(
                f"its inputs are {inputs}, wanted {INPUT}: float [-1, {width}]", rule="wrong_shape"
            )
        outputs = [o.name for o in self._session.get_outputs()]
        if self._output not in outputs:
            raise Malformed(
                f"its outputs are {', '.join(outputs)}, wanted {self._output}", rule="wrong_shape"
            )

    def _check_answer(self, outputs: Floats, rows: int) -> None:
        if outputs.shape != (rows, self._columns):
            raise Malformed(
                f"{rows} rows gave outputs {outputs.shape}, wanted {(rows, self._columns)}",
                rule="wrong_shape",
            )


def provider(wanted: str) -> str:
    """onnxruntime's name of what will run: `auto` takes CUDA where this build of onnxruntime has
    it.
    """
    has_cuda = CUDA in onnxruntime.get_available_providers()
    return CUDA if wanted == "cuda" or (wanted == "auto" and has_cuda) else CPU


def _options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = (
        1  # a batch is 20-80 rows: threads cost more than they give, and cores are shared
    )
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors; the rest is noise about initializers
    return options


def _wanted(name: str) -> list[str]:
    return [CPU] if name == CPU else [name, CPU]
