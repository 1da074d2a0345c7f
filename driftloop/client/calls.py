"""Questions to the services by gRPC, with their refusals turned into ours. The one module of the
client that imports grpc.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import grpc
from grpc_health.v1 import health_pb2

from driftloop.client.addresses import ANSWER_WITHIN_S, listens
from driftloop.contracts import inference_pb2, transform_pb2
from driftloop.contracts.evaluation_pb2_grpc import EvaluationStub
from driftloop.contracts.inference_pb2 import (
    InferTensorContents,
    ModelInferRequest,
    ModelInferResponse,
)
from driftloop.contracts.inference_pb2_grpc import GRPCInferenceServiceStub
from driftloop.contracts.registry_pb2_grpc import RegistryStub
from driftloop.contracts.training_pb2_grpc import TrainingStub
from driftloop.contracts.transform_pb2 import TransformReply, TransformRequest
from driftloop.contracts.transform_pb2_grpc import FeatureStoreStub
from driftloop.kit.config import Common, Tls
from driftloop.kit.errors import Refused, Unavailable

# Calls that change nothing: any replica may answer them, and they may be asked twice.
QUESTIONS = tuple(
    service.full_name
    for file in (inference_pb2, transform_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
)
DEADLINE_S = 10.0  # the slowest question is apply, which makes some ten topics
FORMATS = {"FP32": "f", "FP64": "d", "INT64": "q", "INT32": "i"}  # of struct
ASKERS_FAULT = (
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNIMPLEMENTED,
)


class Calls:
    """Channels to the services, opened when first used."""

    def __init__(
        self,
        common: Common,
        channel: Callable[[str, Tls | None], grpc.Channel],
        spread: Callable[[str, Tls | None], grpc.Channel] | None = None,
    ) -> None:
        """`spread` opens a channel that goes round the replicas of serving and features."""
        self._common, self._channel, self._spread = common, channel, spread or channel
        self._open: dict[tuple[str, bool], grpc.Channel] = {}

    @contextmanager
    def registry(self) -> Iterator[RegistryStub]:
        with self._asking("registry", self._common.driftloop_registry) as channel:
            yield RegistryStub(channel)

    @contextmanager
    def training(self) -> Iterator[TrainingStub]:
        with self._asking("training", self._common.driftloop_training) as channel:
            yield TrainingStub(channel)

    @contextmanager
    def evaluation(self) -> Iterator[EvaluationStub]:
        with self._asking("evaluation", self._common.driftloop_evaluation) as channel:
            yield EvaluationStub(channel)

    def transform(self, request: TransformRequest) -> TransformReply:
        """Raw rows to vectors, by features."""
        with self._asking("features", self._common.driftloop_features, spread=True) as channel:
            return FeatureStoreStub(channel).Transform(request, timeout=DEADLINE_S)

    def infer(self, request: ModelInferRequest) -> ModelInferResponse:
        """Vectors to answers, by serving."""
        with self._asking("serving", self._common.driftloop_serving, spread=True) as channel:
            return GRPCInferenceServiceStub(channel).ModelInfer(request, timeout=DEADLINE_S)

    @property
    def services(self) -> Mapping[str, str]:
        """Those whose address we know, with it."""
        common = self._common
        return {
            "registry": common.driftloop_registry,
            "features": common.driftloop_features,
            "serving": common.driftloop_serving,
            "training": common.driftloop_training,
            "evaluation": common.driftloop_evaluation,
        }

    def trouble(self, service: str, within_s: float) -> str:
        """Why a service can't be asked, in a line; empty where it answers that it serves."""
        address = self.services[service]
        ask = self._channel_to(address).unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        try:
            answer = ask(health_pb2.HealthCheckRequest(), timeout=within_s)
        except grpc.RpcError as error:
            return _no_health(address, error)
        except ValueError:  # gRPC's word for a channel that was closed meanwhile
            return f"{address} was asked too late"
        name = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
        return "" if name == "SERVING" else f"{address} answers {name}: it starts, drains or waits"

    def close(self) -> None:
        for channel in self._open.values():
            channel.close()
        self._open.clear()

    @contextmanager
    def _asking(
        self, service: str, address: str, *, spread: bool = False
    ) -> Iterator[grpc.Channel]:
        try:
            yield self._channel_to(address, spread=spread)
        except grpc.RpcError as error:
            raise _translated(service, address, error) from error

    def _channel_to(self, address: str, *, spread: bool = False) -> grpc.Channel:
        if (address, spread) not in self._open:
            opened = self._spread if spread else self._channel
            self._open[address, spread] = opened(address, self._common.tls)
        return self._open[address, spread]


def infer_request(pipeline: str, vectors: Sequence[Sequence[float]]) -> ModelInferRequest:
    """`vectors` [rows, k] for the live model of `pipeline`."""
    flat = [value for vector in vectors for value in vector]
    tensor = ModelInferRequest.InferInputTensor(
        name="features",
        datatype="FP32",
        shape=[len(vectors), len(vectors[0])],
        contents=InferTensorContents(fp32_contents=flat),
    )
    return ModelInferRequest(model_name=pipeline, inputs=[tensor])


def infer_outputs(response: ModelInferResponse) -> Mapping[str, Sequence[float]]:
    """Output name → its numbers, flat and in row-major order, whether typed or raw."""
    outputs: dict[str, Sequence[float]] = {}
    for at, tensor in enumerate(response.outputs):
        if at < len(response.raw_output_contents):
            outputs[tensor.name] = _numbers(tensor.datatype, response.raw_output_contents[at])
        else:
            contents = tensor.contents
            outputs[tensor.name] = (
                list(contents.fp32_contents)
                or list(contents.int64_contents)
                or list(contents.fp64_contents)
            )
    return outputs


def _numbers(datatype: str, raw: bytes) -> Sequence[float]:
    if datatype not in FORMATS:
        raise Unavailable(f"serving answered with {datatype}, wanted one of {', '.join(FORMATS)}")
    return struct.unpack(
        f"<{len(raw) // struct.calcsize(FORMATS[datatype])}{FORMATS[datatype]}", raw
    )


def _no_health(address: str, error: Any) -> str:
    if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
        if any(listens(each.strip(), ANSWER_WITHIN_S) for each in address.split(",")):
            return f"what listens at {address} is none of ours, or hangs: it speaks no gRPC"
        return f"nothing listens at {address}"
    return f"what listens at {address} is none of ours ({error.code().name})"


def _translated(service: str, address: str, error: Any) -> Refused | Unavailable:
    if error.code() in ASKERS_FAULT:
        return Refused(error.details() or error.code().name, status=error.code().name)
    if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
        return Unavailable(
            f"{service} does not answer at {address}: start the stack with `make run`, "
            f"or say where it is by DRIFTLOOP_{service.upper()}"
        )
    return Unavailable(
        f"{service} at {address}: {error.details() or error.code().name}; its log has the cause"
    )
