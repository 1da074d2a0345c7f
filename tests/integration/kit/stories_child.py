"""What children do in the tests of kit.child."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

Report = Callable[[dict[str, Any]], None]


def add(argument: dict[str, Any], report: Report) -> dict[str, Any]:
    report({"stage": "adding"})
    return {"sum": sum(argument["numbers"]), "bytes": b"\x00" * argument.get("bytes", 0)}


def fail(argument: dict[str, Any], report: Report) -> dict[str, Any]:
    raise ValueError("no rows")


def give_none(argument: dict[str, Any], report: Report) -> Any:
    return None


def work_for_ever(argument: dict[str, Any], report: Report) -> dict[str, Any]:
    report({"pid": os.getpid()})
    while True:
        sum(range(10_000))


def eat(argument: dict[str, Any], report: Report) -> dict[str, Any]:
    return {"bytes": len(bytearray(argument["mb"] * 1_000_000))}


def vanish(argument: dict[str, Any], report: Report) -> dict[str, Any]:
    os._exit(3)


def say_when(argument: dict[str, Any], report: Report) -> dict[str, Any]:
    return {"at": time.time()}
