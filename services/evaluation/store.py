"""Fetches models from the registry by digest, checks that they are what was asked for."""

from __future__ import annotations

import hashlib
import random

import grpc

from driftloop.contracts.registry_pb2 import ArtifactRequest
from driftloop.contracts.registry_pb2_grpc import RegistryStub
from driftloop.kit.clock import Clock
from driftloop.kit.errors import Malformed, Unavailable

CALL_SECONDS_MAX = 60.0
TRIES_MAX = 12
WAIT_S = (0.2, 5.0)  # first and longest; twelve tries take at most 45 s, a restart of the registry
FINAL = (
    grpc.StatusCode.DATA_LOSS,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
)


class Store:
    """The registry's shelf of artifacts."""

    def __init__(self, channel: grpc.Channel, clock: Clock) -> None:
        self._stub, self._clock = RegistryStub(channel), clock

    def fetch(self, digest: str) -> bytes:
        """The artifact. Malformed: lost or damaged there; Unavailable: no answer in all tries."""
        for tries in range(TRIES_MAX):
            try:
                return self._fetch(digest)
            except Unavailable:
                if tries == TRIES_MAX - 1:
                    raise
            first_s, longest_s = WAIT_S
            wait_s = min(longest_s, first_s * 2**tries)
            self._clock.sleep(wait_s * random.uniform(0.5, 1.0))
        raise AssertionError("the last try gives back or raises")

    def _fetch(self, digest: str) -> bytes:
        try:
            chunks = self._stub.Download(ArtifactRequest(digest=digest), timeout=CALL_SECONDS_MAX)
            data = b"".join(chunk.data for chunk in chunks)
        except grpc.RpcError as error:
            text = f"artifact {digest[:12]} from the registry: {error.details()}"
            if error.code() in FINAL:
                raise Malformed(text, rule="lost_artifact") from error
            raise Unavailable(text) from error
        found = hashlib.sha256(data).hexdigest()
        if found != digest:
            text = f"artifact {digest[:12]} hashes to {found[:12]}"
            raise Malformed(text, rule="wrong_digest")
        return data
