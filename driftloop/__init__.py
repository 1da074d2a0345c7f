"""Driftloop: pipelines on Kafka whose models are trained, judged, served, watched and replaced by
themselves.

    import driftloop
    frame = driftloop.connect().read("flights", "scores", start="2013-07-01")

The names below are imported when they are first asked for, so that `import driftloop` costs a
program nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from driftloop.client import Client, connect, read
    from driftloop.spec import Pipeline

__all__ = ["Client", "Pipeline", "connect", "read"]

_HOMES = {
    "Client": "driftloop.client",
    "connect": "driftloop.client",
    "read": "driftloop.client",
    "Pipeline": "driftloop.spec",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'driftloop' has no {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(_HOMES[name]), name)
