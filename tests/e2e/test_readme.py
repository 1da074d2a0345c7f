"""The README keeps its word: its `sh` blocks, run in order by bash against a stack of their own, do
what stands beside them. What is true without a stack is asked in tests/contract/test_readme.py.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from infra.local.places import ROOT
from tests.support.eventually import eventually
from tests.support.loop import World

BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DECLARE, SEND, READ, EXPLAIN, ASK = BLOCK.findall((ROOT / "README.md").read_text("utf-8"))
PATH = "/usr/local/bin:/usr/bin:/bin"  # without .venv: the first block activates it
ROWS = 6_000


@dataclass(frozen=True, slots=True)
class Terminal:
    """One terminal in the README's folder: what a block exports, the next one has."""

    exports: Path
    environ: Mapping[str, str]

    def run(self, block: str, within_s: float = 60) -> str:
        """What the block prints; it fails where one of its commands does."""
        before = f". '{self.exports}'\n" if self.exports.exists() else ""
        script = f"{before}{block}\nexport -p > '{self.exports}'\n"
        done = subprocess.run(
            ["bash", "-e", "-c", script],
            cwd=ROOT,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=within_s,
            check=False,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.mark.timeout(240)
def test_the_readmes_blocks_do_what_it_says(world: World, tmp_path: Path) -> None:
    terminal = Terminal(tmp_path / "exports", {**os.environ, **world.stack.environ, "PATH": PATH})

    assert "sea: declared as version 1, generation 1" in terminal.run(DECLARE)
    terminal.run(SEND, within_s=120)
    assert world.released("sea")
    eventually(lambda: answered(world.predictions("sea")) > ROWS // 2, within_s=30, every_s=0.3)
    read = terminal.run(READ)
    assert "sea@1" in read
    assert len(re.findall(r'"event_id": "sea-\d+".*"model": "sea@\d', read)) == 3
    assert "shape: (5," in read
    eventually(lambda: world.finished("sea")[-1].version > 1, within_s=60, every_s=0.3)
    explained = terminal.run(EXPLAIN)
    assert "retrain asked for: drift" in explained
    assert "run ended: released as version 2" in explained
    said = terminal.run(ASK, within_s=120)
    answer = json.loads((ROOT / "var" / "sea" / "answer.json").read_text("utf-8"))
    assert answer["features"]["sum_ab"] == pytest.approx(10.5)
    [probability] = re.findall(r"^probability (\S+)$", said, re.MULTILINE)
    assert float(probability) == pytest.approx(answer["probability"], abs=1e-6)


def answered(predictions: pl.DataFrame) -> int:
    """Rows that a model answered."""
    return int((predictions["version"] > 0).sum())
