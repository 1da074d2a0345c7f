"""The README's figures: copied from the report into their block, or refused."""

from __future__ import annotations

from typing import Any

import pytest

from driftloop.kit.errors import Refused
from infra.tools.figures import block, filled

REPORT: dict[str, Any] = {
    "days": 365,
    "wall_s": 281.4,
    "records": {"distinct": 336_776, "scored": 300_000, "missing": 0, "doubled": 0, "dead": 81},
    "scores": {
        "loop": {"auc": 0.7212, "log_loss": 0.45},
        "frozen": {"auc": 0.7, "log_loss": 0.467},
        "calendar": None,
        "weekly": [
            {"loop_log_loss": 0.4, "frozen_log_loss": 0.5},
            {"loop_log_loss": 0.5, "frozen_log_loss": 0.4},
        ],
    },
    "runs": [
        {"outcome": "released", "trigger": "first"},
        {"outcome": "released", "trigger": "drift"},
        {"outcome": "rejected", "trigger": "drift"},
    ],
    "drift_to_redeployed_s": {"p50": 9.6, "p95": None},
    "latency_ms": {"p50": 61.0, "p99": 204.0},
    "rss_mb": {"kafka": 400.0, "serving": 350.0},
}


def test_the_block_says_what_the_report_says() -> None:
    said = block(REPORT, 2)

    assert "| the loop | 0.7212 | 0.4500 |" in said
    assert "refit" not in said
    assert "336,776 flights, 0 missing" in said
    assert "2 models released, 1 of them because of a drift" in said
    assert "lower one in 1 of 2 weeks" in said
    assert "10 and – s" in said
    assert "365 days in 281 s on 2 cores, 0.8 GB" in said


def test_only_what_stands_in_the_block_is_replaced() -> None:
    readme = "a\n<!-- figures -->\nold\n<!-- /figures -->\nb\n"

    assert filled(readme, "new\n") == readme.replace("old", "new")
    assert filled(filled(readme, "new\n"), "old\n") == readme


@pytest.mark.parametrize("readme", ["", "<!-- figures -->\n", "<!-- /figures -->\n"])
def test_a_readme_without_the_block_is_refused(readme: str) -> None:
    with pytest.raises(Refused, match="no block"):
        filled(readme, "new\n")


def test_a_report_that_scored_nothing_is_refused() -> None:
    with pytest.raises(Refused, match="scored nothing"):
        block({**REPORT, "records": {**REPORT["records"], "scored": 0}}, 2)
