"""`driftloop plugin new`: an installable folder that works as it is begun."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from driftloop.cli.app import app
from driftloop.plugins import Examples
from infra.tools import setup
from services.training.learners.parity import largest_difference


def new(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["plugin", "new", *words, "--folder", str(folder)])


def loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_is_begun_learns_and_exports_in_under_thirty_lines_of_its_own(tmp_path: Path) -> None:
    assert new(tmp_path, "learner", "my-shares").exit_code == 0
    [path] = (tmp_path / "my-shares").glob("driftloop_*.py")
    assert len([line for line in path.read_text().splitlines() if line.strip()]) < 30
    rng = np.random.default_rng(2)
    vectors = rng.normal(size=(300, 3)).astype(np.float32)
    vectors[0, 0] = np.nan
    target = (rng.random(300) < 0.3).astype(np.float64)
    examples = Examples(np.arange(300), vectors, target, ("a", "b", "c"))

    learnt = loaded(path).MyShares().fit(examples, {}, 1)

    model = learnt.onnx({"a": "b"})
    assert largest_difference(learnt, model, vectors) <= 1e-5
    assert model == learnt.onnx({"a": "b"})


@pytest.mark.slow
def test_it_is_installed_found_and_its_own_test_passes(tmp_path: Path) -> None:
    assert new(tmp_path, "learner", "shares").exit_code == 0
    folder, site = tmp_path / "shares", tmp_path / "site"
    install = ["--no-deps", "--no-build-isolation", "--quiet", "--target", str(site), str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "install", *install], check=True)

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder)],
        env={"PYTHONPATH": f"{site}:{setup.ROOT}", "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["detector", "mine"], "wanted one of learner"),
        (["learner", "1st"], "wanted a letter"),
        (["learner", "twice"], "is there already"),
    ],
)
def test_what_can_not_be_begun_is_said(tmp_path: Path, words: list[str], says: str) -> None:
    (tmp_path / "twice").mkdir()
    refused = new(tmp_path, *words)
    assert refused.exit_code == 2
    assert says in refused.output


def test_a_clone_installs_what_is_in_its_plugins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setup, "ROOT", tmp_path)
    assert setup._plugins() == []
    assert new(tmp_path / "plugins", "learner", "mine").exit_code == 0
    assert setup._plugins() == [tmp_path / "plugins" / "mine"]
