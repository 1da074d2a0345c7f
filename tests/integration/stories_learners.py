"""Learners at fault, and a fit of them in a child, over a log in memory."""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from driftloop.kit.clock import FakeClock
from driftloop.kit.events import to_json
from driftloop.plugins import Examples, Learnt
from services.training import fit as training
from services.training import kinds
from services.training.learners import SHIPPED
from tests.unit.training.examples import a_log

AT_FAULT = "tests.integration.stories_learners:AtFault"


class AtFault:
    """`params`: {"does": what}."""

    def fit(self, examples: Examples, params: Mapping[str, Any], seed: int) -> Learnt:
        does: Mapping[str, Callable[[], object]] = {
            "raise": lambda: dict[str, int]()["colour"],
            "hang": _for_ever,
            "eat": lambda: np.ones((60_000, 1_000)),  # 480 MB
            "exit": lambda: os._exit(3),
            "crash": lambda: os.kill(os.getpid(), signal.SIGSEGV),
        }
        does[params["does"]]()
        raise ValueError("nothing was at fault")


def fit(argument: dict[str, Any], report: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """As services.training.fit, but for where rows come from and models go."""
    vars(kinds)["SHIPPED"] = {**SHIPPED, "at-fault": AT_FAULT}
    upload = lambda model: hashlib.sha256(model).hexdigest()  # noqa: E731
    workshop = training.Workshop(argument["plan"], upload, report, FakeClock())
    return {"trained": to_json(workshop.run(a_log(500))), "spans": []}


def _for_ever() -> None:
    while True:
        sum(range(10_000))
