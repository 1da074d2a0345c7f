"""The broker that a test run shares: one given by KAFKA_BOOTSTRAP, or a real one from wheels,
started at first use.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class SharedKafka:
    """Where it answers, and what else librdkafka must know (TLS, SASL) of a broker of one's own."""

    bootstrap: str
    properties: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def shared_kafka(folder: Path) -> Iterator[SharedKafka]:
    """Data of our own broker goes to `folder` and is the caller's to remove."""
    given = given_kafka(os.environ)
    if given is not None:
        yield given
        return
    from infra.local.kafka import Kafka  # only here: a run of unit tests alone loads no broker

    with Kafka(folder, brief=True) as own:
        yield SharedKafka(own.bootstrap, {"bootstrap.servers": own.bootstrap})


def given_kafka(environ: Mapping[str, str]) -> SharedKafka | None:
    """KAFKA_SECURITY_PROTOCOL → security.protocol, and so on; None without KAFKA_BOOTSTRAP."""
    bootstrap = environ.get("KAFKA_BOOTSTRAP")
    if not bootstrap:
        return None
    others = {
        name.removeprefix("KAFKA_").lower().replace("_", "."): value
        for name, value in environ.items()
        if name.startswith("KAFKA_") and name != "KAFKA_BOOTSTRAP"
    }
    return SharedKafka(bootstrap, {**others, "bootstrap.servers": bootstrap})
