"""One artifact from the registry, whole, with our errors for what can go wrong on the way."""

from __future__ import annotations

import grpc

from driftloop.contracts.registry_pb2 import ArtifactRequest
from driftloop.contracts.registry_pb2_grpc import RegistryStub
from driftloop.kit.errors import Malformed, Unavailable

# What the registry says when the artifact itself is at fault: asking again gives the same.
_FINAL = (grpc.StatusCode.DATA_LOSS, grpc.StatusCode.INVALID_ARGUMENT)


def fetch(stub: RegistryStub, digest: str, *, seconds_max: float) -> bytes:
    """The bytes of `digest`, unchecked. Unavailable: try again; Malformed: the registry's own copy
    is damaged.
    """
    try:
        return b"".join(
            chunk.data
            for chunk in stub.Download(ArtifactRequest(digest=digest), timeout=seconds_max)
        )
    except grpc.RpcError as error:
        code, text = error.code(), f"artifact {digest[:12]} from the registry: {error.details()}"
        if code in _FINAL:
            raise Malformed(text, rule="corrupt_artifact") from error
        raise Unavailable(text) from error
