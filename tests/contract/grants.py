"""What rows of the table of the house grant, by name, and what a row is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

SERVICE = "(ingestion|features|serving|monitor|training|evaluation|registry)"
DATA = ("numpy", "numpy.*", "pyarrow", "pyarrow.*", "polars", "msgspec", "msgspec.*")
DECISION = (
    "river",
    "river.*",
    "lightgbm",
    "lightgbm.*",
    "optuna",
    "optuna.*",
    "sqlalchemy.exc",
    "sklearn",
    "sklearn.*",
    "onnx",
    "onnx.*",
    "onnxruntime",
    "onnxruntime.*",
    "threadpoolctl",
    "torch",
    "torch.*",
    "xgboost",
    "xgboost.*",
    "numba",
    "numba.*",
)
PACKAGE = re.compile(rf"services(\.{SERVICE})?")
CLOCKS = (
    "time",
    "os",
    "logging",
    "random",
    "socket",
)  # a decision takes these as arguments, or not at all


@dataclass(frozen=True, slots=True)
class Room:
    """`where` is a regular expression over dotted module names; `may` are grants beside the
    standard library.
    """

    where: str
    may: Sequence[str]
    bars: Sequence[str] = ()  # of the standard library
    why: str = ""


PROTO = ("google.protobuf", "google.protobuf.*")
KIT = ("driftloop.kit", "driftloop.kit.*")
OWN = ("services.{0}", "services.{0}.*")
PLUGINS = ("driftloop.plugins", "driftloop.plugins.*")
SPEC = ("driftloop.spec", "driftloop.spec.*")
CONTRACTS = ("driftloop.contracts", "driftloop.contracts.*")
ERRORS = (
    "driftloop.kit.errors",
    "driftloop.kit.envelope",
    "driftloop.kit.topic",
    "driftloop.kit.events",
    "driftloop.kit.message",
    "driftloop.kit.broker",
    "driftloop.kit.task",
    "driftloop.kit.trace",
    "driftloop.kit.trace.*",
)

WEB = (
    "driftloop.web",
    "driftloop.web.*",
    "driftloop.client",
    "driftloop.client.*",
    "driftloop.statistics",
    "driftloop",
    *CONTRACTS,
    *KIT,
    *SPEC,
    *DATA,
)

RECORD = ("driftloop", "driftloop.dataset", "driftloop.archive", "driftloop.event_times")
