"""The Open Inference Protocol V2: questions to the live model, answered from memory.

A pipeline is a model; its versions are those that this process holds: live, previous, baseline.
Wrong tensors are refused by what was expected; an answered call goes to the journal, never waits
for it.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable

import grpc

from driftloop.contracts import inference_pb2 as v2
from driftloop.contracts.inference_pb2_grpc import GRPCInferenceServiceServicer
from driftloop.kit.errors import Refused
from driftloop.kit.rpc import answers
from services.serving import tensors
from services.serving.calls import Call, Journal
from services.serving.domain import Answering
from services.serving.meter import CALL, Meter
from services.serving.models import Models, Standing

ID_CHARACTERS_MAX = 1_000  # it is written down with every row of the call
SERVER, SERVER_VERSION = "driftloop", "1"
NOT_FOUND, FAILED_PRECONDITION = "NOT_FOUND", "FAILED_PRECONDITION"
UNAVAILABLE = "UNAVAILABLE"


class Doors(GRPCInferenceServiceServicer):
    """Every call of proto/inference.proto."""

    def __init__(
        self,
        models: Models,
        journal: Journal,
        now_ms: Callable[[], int],
        meter: Meter,
        *,
        call_rows_max: int,
    ) -> None:
        self._models = models
        self._journal = journal
        self._now_ms, self._meter = now_ms, meter
        self._call_rows_max = call_rows_max

    @answers
    def ServerLive(
        self, request: v2.ServerLiveRequest, context: grpc.ServicerContext
    ) -> v2.ServerLiveResponse:
        return v2.ServerLiveResponse(live=True)

    @answers
    def ServerReady(
        self, request: v2.ServerReadyRequest, context: grpc.ServicerContext
    ) -> v2.ServerReadyResponse:
        """Ready once it is known of each pipeline what is live, be it nothing yet."""
        return v2.ServerReadyResponse(ready=self._models.ready())

    @answers
    def ModelReady(
        self, request: v2.ModelReadyRequest, context: grpc.ServicerContext
    ) -> v2.ModelReadyResponse:
        standing = self._models.standing(request.name)
        return v2.ModelReadyResponse(ready=bool(standing and standing.version(request.version)))

    @answers
    def ServerMetadata(
        self, request: v2.ServerMetadataRequest, context: grpc.ServicerContext
    ) -> v2.ServerMetadataResponse:
        return v2.ServerMetadataResponse(name=SERVER, version=SERVER_VERSION)

    @answers
    def ModelMetadata(
        self, request: v2.ModelMetadataRequest, context: grpc.ServicerContext
    ) -> v2.ModelMetadataResponse:
        standing, answering = self._found(request.name, request.version)
        return tensors.metadata(request.name, standing.versions(), answering)

    @answers
    def ModelInfer(
        self, request: v2.ModelInferRequest, context: grpc.ServicerContext
    ) -> v2.ModelInferResponse:
        standing, answering = self._found(request.model_name, request.model_version)
        if len(request.id) > ID_CHARACTERS_MAX:
            raise Refused(
                f"id has {len(request.id)} characters, wanted at most {ID_CHARACTERS_MAX}"
            )
        vectors = tensors.vectors(
            request, width=len(answering.release.inputs), rows_max=self._call_rows_max
        )
        wanted = tensors.wanted_outputs(request, answering.release)
        answer = self._meter.answer(answering, vectors, standing.plan, CALL)
        base = request.id or str(uuid.uuid4())
        ids = (
            [base] if len(vectors) == 1 else [f"{base}-{number}" for number in range(len(vectors))]
        )
        self._journal.add(Call(standing, answering, answer, ids, vectors, self._now_ms()))
        return tensors.response(request, answering, answer, wanted)

    def _found(self, name: str, version: str) -> tuple[Standing, Answering]:
        """NOT_FOUND lists what there is; FAILED_PRECONDITION: none was ever released."""
        standing = self._models.standing(name)
        if standing is None:
            there = ", ".join(self._models.pipelines()) or "none"
            raise Refused(f"no model {name!r}; there is: {there}", status=NOT_FOUND)
        if standing.current is None:
            known = standing.settled.is_set()
            reason = standing.trouble or ("none was released" if known else "it is being loaded")
            status = FAILED_PRECONDITION if known else UNAVAILABLE
            raise Refused(f"{name} has no model yet: {reason}", status=status)
        answering = standing.version(version)
        if answering is None:
            there = ", ".join(standing.versions())
            raise Refused(f"{name}@{version} is not held; there is: {there}", status=NOT_FOUND)
        return standing, answering
