"""The SDK: pipelines, models and runs of a running Driftloop; its topics read as DataFrames by
event time or offset.

It reads the log and asks the services by gRPC; it decides nothing and keeps nothing.
"""

from __future__ import annotations

from driftloop.client.client import Client, connect, read
from driftloop.kit.errors import DriftloopError, Malformed, Refused, Unavailable

__all__ = ["Client", "DriftloopError", "Malformed", "Refused", "Unavailable", "connect", "read"]
