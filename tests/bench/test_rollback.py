"""How soon serving answers with the version that was gone back to, while training, evaluation and
the monitor stand still.

python -m pytest -m bench tests/bench/test_rollback.py    → var/bench/rollback.json
"""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from driftloop.client import connect
from infra.local.stack import Stack
from infra.tools import sea
from tests.support.eventually import eventually
from tests.support.loop import World, last_us

OUT = Path(__file__).parents[2] / "var" / "bench" / "rollback.json"
TRIES = 20
DARK = ("training", "evaluation", "monitor")


@pytest.mark.bench
@pytest.mark.timeout(300)
def test_a_rollback_is_answered_in_seconds_with_the_control_plane_dark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Stack(tmp_path, environ=dict(os.environ)) as stack, World.of(stack) as world:
        world.declare("sea")
        events = list(sea.events(6_000, 3_000))
        world.produce("sea", events[:4_000])
        eventually(lambda: world.released("sea"), within_s=60, every_s=0.3)
        world.produce("sea", events[4_000:])
        world.end("sea", last_us(events))
        eventually(lambda: len(world.released("sea")) >= 2, within_s=60, every_s=0.3)
        for name, value in stack.environ.items():
            monkeypatch.setenv(name, value)
        client, took = connect(), []
        with ExitStack() as paused:
            for name in DARK:
                paused.enter_context(stack.paused(name))
            for _ in range(TRIES):  # there and back again
                seconds = client.answering(client.rollback("sea"))
                assert seconds is not None
                took.append(seconds)
        client.close()
    figures = {
        "rollbacks": TRIES,
        "paused": DARK,
        "median_s": round(float(np.median(took)), 3),
        "max_s": round(max(took), 3),
    }
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(figures, indent=1) + "\n")
