"""The notebooks run from their first cell to their last, each in a kernel of its own, against a
real stack.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from infra.local import places
from tests.e2e.conftest import Looped
from tests.support.eventually import eventually

pytestmark = pytest.mark.timeout(240)
NOTEBOOKS = sorted((places.ROOT / "infra" / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_whole(looped: Looped, path: Path, tmp_path: Path) -> None:
    notebook = _read(path)
    environ = {**looped.world.stack.environ, "PIPELINE": looped.stream}
    environ["NOTEBOOK_OUT"] = str(tmp_path)
    requests = {each.id for each in looped.world.requests(looped.stream)}

    NotebookClient(notebook, timeout=120, kernel_name="python3").execute(
        env={**os.environ, **environ}, cwd=str(places.ROOT)
    )

    said = json.dumps([_outputs(cell) for cell in notebook.cells])
    if path.stem == "tour":
        assert "True" in said  # made again to the byte
        assert "asked for by" not in said
    else:
        files = {each.name for each in tmp_path.glob("*.onnx")}
        assert {"sklearn.onnx", "lightgbm.onnx", "river.onnx"} <= files
    assert f"rows of {looped.stream}" in said
    new = eventually(lambda: {e.id for e in looped.world.requests(looped.stream)} - requests)
    eventually(
        lambda: new <= {each.request_id for each in looped.world.resolved(looped.stream)},
        within_s=30,
    )


def test_there_are_the_two() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["own-models", "tour"]
    for path in NOTEBOOKS:
        cells = _read(path).cells
        assert all(not cell.outputs for cell in cells if cell.cell_type == "code")


def _read(path: Path) -> Any:
    return nbformat.reads(path.read_text("utf-8"), as_version=4)  # type: ignore[no-untyped-call]


def _outputs(cell: Any) -> list[str]:
    return [
        str(output.get("text") or output.get("data", {}).get("text/plain", ""))
        for output in cell.get("outputs", ())
    ]
