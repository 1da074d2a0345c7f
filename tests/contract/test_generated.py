"""What is derived is as `make generate` would make it, and staleness is noticed."""

from __future__ import annotations

from pathlib import Path

import pytest

from driftloop.kit.metrics.cells import Figure, Label
from infra.tools import declarations, documents, generate
from infra.tools.generate import ROOT


def test_derived_files_are_fresh() -> None:
    assert generate.differing(ROOT, generate.derived(ROOT)) == [], "run `make generate`"


def test_a_changed_file_is_stale(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    (tmp_path / "orphan").write_text("left over")

    assert generate.differing(
        tmp_path, {"a": "new", "b": "missing", "orphan": None, "gone": None}
    ) == ["a", "b", "orphan"]


def test_a_block_is_filled_and_the_rest_left_alone() -> None:
    text = "# A\n<!-- speaks -->\nold\n<!-- /speaks -->\nend\n"

    assert (
        documents.filled(text, "speaks", "new")
        == "# A\n<!-- speaks -->\nnew\n<!-- /speaks -->\nend\n"
    )


def test_a_readme_without_its_block_is_refused() -> None:
    with pytest.raises(documents.NoBlock, match="speaks"):
        documents.filled("# A\n", "speaks", "new")


def test_the_table_of_metrics_tells_of_each_its_owner_and_of_each_label_its_bounds() -> None:
    version = Label("version", most=10, newest=True)
    seconds = Figure("x_seconds", "histogram", "A run.", "seconds", [version], ["serving"], [1.0])
    info = Figure("y_info", "gauge", "One.", "1", [], list(declarations.SERVICES))
    table = documents.metrics([seconds, info])

    assert "| `driftloop_x_seconds` | histogram | `version` | seconds | serving | A run. |" in table
    assert "| `driftloop_y_info` | gauge | – | 1 | all | One. |" in table
    assert "| `version` | the newest 10 of a pipeline |" in table
