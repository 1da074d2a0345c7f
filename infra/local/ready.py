"""Is a service ready? By gRPC's standard health service, as every service of ours answers it."""

from __future__ import annotations

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

ANSWER_S = 1.0


def serving(address: str, part: str = "") -> bool:
    """True if the process at `address` says SERVING for `part`, a loop's name, or for the whole."""
    with grpc.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        try:
            answer = stub.Check(health_pb2.HealthCheckRequest(service=part), timeout=ANSWER_S)
        except grpc.RpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
