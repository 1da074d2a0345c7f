"""A raw row to an answer, over real gRPC to servicers that answer what is written here."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import grpc
import pytest

from driftloop.client import Refused
from driftloop.client.calls import infer_outputs
from driftloop.contracts.inference_pb2 import ModelInferRequest, ModelInferResponse
from driftloop.contracts.inference_pb2_grpc import (
    GRPCInferenceServiceServicer,
    add_GRPCInferenceServiceServicer_to_server,
)
from driftloop.contracts.transform_pb2 import (
    FeatureAge,
    TransformedRow,
    TransformReply,
    TransformRequest,
)
from driftloop.contracts.transform_pb2_grpc import (
    FeatureStoreServicer,
    add_FeatureStoreServicer_to_server,
)
from driftloop.kit.rpc import serve
from tests.unit.client.world import a_client, a_log


class Store(FeatureStoreServicer):
    """Two features for every row."""

    def Transform(self, request: TransformRequest, context: grpc.ServicerContext) -> TransformReply:
        if request.pipeline != "small":
            context.abort(grpc.StatusCode.NOT_FOUND, f"no pipeline {request.pipeline}")
        row = TransformedRow(vector=[3.0, 4.0], ages=[FeatureAge(feature="rows_1d", seconds=60)])
        return TransformReply(rows=[row], names=["amount", "rows_1d"], generation=1, sequence=9)


class Model(GRPCInferenceServiceServicer):
    """Answers with the vector's own numbers, raw, as stock servers do."""

    def ModelInfer(
        self, request: ModelInferRequest, context: grpc.ServicerContext
    ) -> ModelInferResponse:
        vector = request.inputs[0].contents.fp32_contents
        outputs = [
            ModelInferResponse.InferOutputTensor(name="probability", datatype="FP32", shape=[1, 2]),
            ModelInferResponse.InferOutputTensor(name="label", datatype="INT64", shape=[1]),
        ]
        raw = [struct.pack("<2f", *vector), struct.pack("<q", 1)]
        return ModelInferResponse(
            model_name="small", model_version="7", outputs=outputs, raw_output_contents=raw
        )


@pytest.fixture
def address() -> Iterator[str]:
    server = serve(
        [
            lambda server: add_FeatureStoreServicer_to_server(Store(), server),
            lambda server: add_GRPCInferenceServiceServicer_to_server(Model(), server),
        ],
        "127.0.0.1",
        0,
    )
    yield f"127.0.0.1:{server.port}"
    server.stop(0)


def test_a_row_is_transformed_then_answered(address: str) -> None:
    client = a_client(a_log(), {"DRIFTLOOP_FEATURES": address, "DRIFTLOOP_SERVING": address})

    answer = client.predict("small", {"amount": 3})

    assert answer["model"] == "small@7"
    assert (answer["probability"], answer["label"]) == (4.0, 1)
    assert answer["features"] == {"amount": 3.0, "rows_1d": 4.0}
    assert answer["ages_s"] == {"rows_1d": 60}


def test_a_refusal_is_the_services_own_words(address: str) -> None:
    client = a_client(a_log(), {"DRIFTLOOP_FEATURES": address})

    with pytest.raises(Refused, match="no pipeline other"):
        client.predict("other", {})


def test_typed_outputs_are_read_as_raw_ones_are() -> None:
    tensor = ModelInferResponse.InferOutputTensor(name="probability", datatype="FP32")
    tensor.contents.fp32_contents.extend([0.25, 0.75])

    assert infer_outputs(ModelInferResponse(outputs=[tensor])) == {"probability": [0.25, 0.75]}
