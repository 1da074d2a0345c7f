"""Is a process of ours well? For containers' health checks: exit status 0 or 1, and one line if
not.

python -m driftloop.kit.probe grpc 127.0.0.1:17101
python -m driftloop.kit.probe http http://127.0.0.1:17300/
"""

from __future__ import annotations

import os
import sys
import urllib.request
from collections.abc import Mapping, Sequence

from driftloop.kit.errors import Refused, Unavailable

ANSWER_S = 3.0


def main(arguments: Sequence[str]) -> int:
    """`grpc HOST:PORT` asks the standard health service, `http URL` wants a status below 400."""
    asked = {"grpc": lambda address: by_grpc(address, os.environ), "http": by_http}
    if len(arguments) != 2 or arguments[0] not in asked:
        sys.stderr.write("wanted: grpc HOST:PORT, or http URL\n")
        return 2
    trouble = asked[arguments[0]](arguments[1])
    sys.stderr.write(trouble and f"{arguments[1]}: {trouble}\n")
    return 1 if trouble else 0


def by_grpc(address: str, environ: Mapping[str, str]) -> str:
    """What is wrong, in words; empty: nothing. By TLS where the settings say so; the certificate
    may be for the name that the process advertises instead of for `address`."""
    import grpc  # .1 s of CPU, for those alone who ask by gRPC
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    from driftloop.kit.config import read_common
    from driftloop.kit.rpc import channel

    try:
        common = read_common(environ)
        with channel(address, common.tls, name=common.driftloop_advertise) as opened:
            stub = health_pb2_grpc.HealthStub(opened)
            answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=ANSWER_S)
    except grpc.RpcError as error:
        return str(error.code().name)
    except (Refused, Unavailable) as error:
        return str(error)
    name = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
    return "" if name == "SERVING" else str(name)


def by_http(url: str) -> str:
    """What is wrong, in words; empty: nothing."""
    try:
        with urllib.request.urlopen(url, timeout=ANSWER_S):
            return ""
    except (OSError, ValueError) as error:
        return str(error)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
