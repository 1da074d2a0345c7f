"""How a client spreads its calls over the replicas of a service; by gRPC's own means alone.

An address is `host:port`, or several of them with commas between. Calls go round those replicas
that say by the health service that they serve, so a replica that starts or drains gets none. A
question that meets UNAVAILABLE all the same, because its replica died or went, is asked elsewhere.
"""

from __future__ import annotations

import ipaddress
import json
import socket
from collections.abc import Sequence

TRIES_MAX = 5  # gRPC allows no more


def service_config(questions: Sequence[str]) -> str:
    """As gRPC wants it, in JSON. `questions`: full names of services whose calls change nothing, so
    that one that may have been answered can be asked once more.
    """
    retry = {
        "maxAttempts": TRIES_MAX,
        "initialBackoff": "0.05s",
        "maxBackoff": "1s",
        "backoffMultiplier": 3,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    method = {"name": [{"service": name} for name in questions], "retryPolicy": retry}
    config = {
        "loadBalancingConfig": [{"round_robin": {}}],
        "healthCheckConfig": {"serviceName": ""},
        "methodConfig": [method],
    }
    return json.dumps(config)


def target(address: str) -> str:
    """What gRPC connects to. One name is looked up by gRPC, again and again, with all that it
    stands for; of several, each is looked up here, once. Where none is known, as before there is a
    name server, it is the first that gRPC looks up until it is.
    """
    several = [each.strip() for each in address.split(",") if each.strip()]
    if len(several) <= 1:
        return address.strip()
    found = [at for each in several for at in _looked_up(each)]
    if not found:
        return first(address)
    kind = "ipv6" if ":" in found[0].rpartition(":")[0] else "ipv4"
    return f"{kind}:{','.join(found)}"


def first(address: str) -> str:
    """The host and port that stand for all, as the other side's certificate names them."""
    return address.split(",")[0].strip()


def _looked_up(address: str) -> list[str]:
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    try:
        found = socket.getaddrinfo(host, int(port), socket.AF_INET, socket.SOCK_STREAM)
    except (OSError, ValueError):
        return [address] if _is_ipv6(host) else []
    return list(dict.fromkeys(f"{at[4][0]}:{port}" for at in found))


def _is_ipv6(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).version == 6
    except ValueError:
        return False
