"""Sends artifacts to the registry and fetches them: in chunks, by digest, again after a failure."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator

import grpc

from driftloop.contracts.registry_pb2 import ArtifactChunk, ArtifactRequest
from driftloop.contracts.registry_pb2_grpc import RegistryStub
from driftloop.kit.clock import Clock
from driftloop.kit.errors import Refused, Unavailable

CHUNK_BYTES = 1 << 20
CALL_SECONDS_MAX = 60.0  # 1 MB takes milliseconds; a registry that restarts takes seconds
TRIES_MAX = 12
WAIT_S = (0.2, 5.0)  # first and longest; twelve tries take at most 45 s
AGAIN = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.INTERNAL,
)


class Store:
    """The registry's shelf of artifacts."""

    def __init__(self, channel: grpc.Channel, clock: Clock) -> None:
        self._stub, self._clock = RegistryStub(channel), clock

    def upload(self, model: bytes, pipeline: str, run_id: str) -> str:
        """Keep `model` there; gives back its sha256 in hex. The same bytes twice are kept once.

        Unavailable: no answer in all tries. Refused: the registry won't have it.
        """
        digest = hashlib.sha256(model).hexdigest()
        for left in reversed(range(TRIES_MAX)):
            try:
                stored = self._stub.Upload(
                    _chunks(model, digest, pipeline, run_id), timeout=CALL_SECONDS_MAX
                )
                assert stored.digest == digest, (stored.digest, digest)
                return digest
            except grpc.RpcError as error:
                self._wait(error, TRIES_MAX - 1 - left, left)
        raise AssertionError("the last try gives back or raises")

    def fetch(self, digest: str) -> bytes:
        """The artifact. Unavailable: no answer in all tries. Refused: it is lost or damaged."""
        for left in reversed(range(TRIES_MAX)):
            try:
                asked = ArtifactRequest(digest=digest)
                chunks = self._stub.Download(asked, timeout=CALL_SECONDS_MAX)
                data = b"".join(chunk.data for chunk in chunks)
            except grpc.RpcError as error:
                self._wait(error, TRIES_MAX - 1 - left, left, f"artifact {digest[:12]} of")
                continue
            found = hashlib.sha256(data).hexdigest()
            if found != digest:
                raise Refused(f"artifact {digest[:12]} hashes to {found[:12]}")
            return data
        raise AssertionError("the last try gives back or raises")

    def _wait(self, error: grpc.RpcError, tries: int, left: int, what: str = "upload to") -> None:
        text = f"{what} the registry: {error.code().name} {error.details()}"
        if error.code() not in AGAIN:
            raise Refused(text) from error
        if not left:
            raise Unavailable(text) from error
        first_s, longest_s = WAIT_S
        self._clock.sleep(min(longest_s, first_s * 2**tries) * random.uniform(0.5, 1.0))


def _chunks(model: bytes, digest: str, pipeline: str, run_id: str) -> Iterator[ArtifactChunk]:
    """The first chunk carries the head."""
    head = ArtifactChunk(digest=digest, pipeline=pipeline, run_id=run_id, bytes=len(model))
    for start in range(0, max(1, len(model)), CHUNK_BYTES):
        head.data = model[start : start + CHUNK_BYTES]
        yield head
        head = ArtifactChunk()
