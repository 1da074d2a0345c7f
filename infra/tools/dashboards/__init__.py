"""Grafana's two dashboards, declared in Python and written as JSON by `make generate`.

`panel` is the shape of a panel and of a board, `loop` and `services` say what is on them. What an
expression may name is checked by tests/contract/test_prometheus.py.
"""

from __future__ import annotations

from infra.tools.dashboards import loop, services
from infra.tools.dashboards.panel import text

FOLDER = "infra/grafana/dashboards"


def files() -> dict[str, str]:
    """Path from the root → text, of both."""
    boards = {"loop": loop.board(), "services": services.board()}
    return {f"{FOLDER}/{name}.json": text(board) for name, board in boards.items()}
