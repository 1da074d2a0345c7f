"""Looks a plugin up by its name: first among the shipped ones, then among the installed packages'
entry points.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any


class Unknown(LookupError):
    """No plugin of that name; the text lists those that there are."""


def find(group: str, name: str, shipped: Mapping[str, str]) -> Any:
    """The object that `name` stands for. `shipped`: name → "module:attribute", as an entry point
    writes it.

    A shipped name can't be taken over by a package: what a pipeline file means must not depend on
    what is installed.
    """
    found = _points(group, shipped).get(name)
    if found is None:
        raise Unknown(f"{group}: no {name!r}, there is {', '.join(names(group, shipped))}")
    return found.load()


def names(group: str, shipped: Mapping[str, str]) -> list[str]:
    """All that `find` would give, sorted."""
    return sorted(_points(group, shipped))


def _points(group: str, shipped: Mapping[str, str]) -> dict[str, EntryPoint]:
    own = {point.name: point for point in entry_points(group=group)}
    return own | {name: EntryPoint(name, value, group) for name, value in shipped.items()}
