"""A child's work: one window out of the log into the archive.

Nothing here decides whether it is worth it (domain/retention.py), and nothing is deleted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from driftloop.archive import Archive, recall
from driftloop.contracts.model_pb2 import Window
from driftloop.kit.kafka import KafkaBroker
from driftloop.kit.objects import Objects


def archive(argument: dict[str, Any], report: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """`argument`: {"window": bytes, "places": Places, "archive": where}; gives back {"bytes",
    "place"}. What is archived is checked against the window's digest before it is written, and read
    back afterwards.
    """
    window, places = Window.FromString(argument["window"]), argument["places"]
    shelf = Archive(Objects(argument["archive"]))
    found = recall(KafkaBroker(places.kafka, places.namespace), window)
    size = shelf.keep(window, found.rows)
    back = shelf.rows(window)
    assert back is not None, shelf.place(window)
    return {"bytes": size, "place": shelf.place(window)}
