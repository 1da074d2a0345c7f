"""`driftloop try`: a table of somebody's goes round the loop of a running stack in one command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from driftloop.cli.app import app
from tests.support.loop import World

pytestmark = pytest.mark.timeout(240)
ROWS = 2_000


def a_table(path: Path) -> None:
    """Parcels: late where heavy and far, of three carriers; a remark that says nothing."""
    rng = np.random.default_rng(3)
    heavy, far = rng.uniform(0, 10, ROWS), rng.uniform(0, 10, ROWS)
    sent = pl.datetime_range(
        pl.datetime(2024, 1, 1), pl.datetime(2024, 1, 1) + pl.duration(minutes=10 * (ROWS - 1)),
        "10m", eager=True,
    )  # fmt: skip
    late = np.where(heavy + far > 10, "yes", "no")
    pl.DataFrame(
        {
            "sent at": sent.dt.strftime("%d/%m/%Y %H:%M"),
            "weight (kg)": np.where(rng.uniform(size=ROWS) < 0.05, np.nan, heavy),
            "distance": far,
            "carrier": rng.choice(["north", "south", "west"], ROWS),
            "remark": [f"parcel {n}" for n in range(ROWS)],
            "late": late,
        }
    ).fill_nan(None).write_csv(path)


def test_a_table_becomes_a_pipeline_a_model_and_a_report(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in world.stack.environ.items():
        monkeypatch.setenv(name, value)
    a_table(tmp_path / "parcels.csv")
    words = [
        "try",
        "parcels.csv",
        "--time",
        "sent at",
        "--target",
        "late",
        "--no-open",
        "--speed",
        "40000",  # 30 s: some 10 of them until there is a model
    ]

    result = CliRunner().invoke(app, words)

    assert result.exit_code == 0, result.output
    assert "remark is left out: text that is new in most rows" in result.output
    told = json.loads((tmp_path / "var" / "try-parcels" / "report.json").read_text())
    assert told["totals"]["predicted"] == ROWS
    assert told["totals"]["releases"] >= 1
    assert told["totals"]["loop"]["auc"] > 0.95
    assert "GUESS" in (tmp_path / "parcels.yaml").read_text()
    again = CliRunner().invoke(app, words)
    assert again.exit_code == 2
    assert "what comes twice does nothing" in again.output
