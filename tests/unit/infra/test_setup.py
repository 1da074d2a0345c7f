"""Set-up, as far as it goes without fetching anything: what it refuses, and how it says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.tools import setup


def test_an_old_python_is_refused_in_one_line_with_the_mend(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(setup, "PYTHON_MIN", (99, 0))

    status = setup.main()

    said = capsys.readouterr().err
    assert status == 1
    assert said.count("\n") == 1
    assert "make PYTHON=" in said


def test_a_second_start_does_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done = []
    monkeypatch.setattr(setup, "STAMP", tmp_path / "stamp")
    monkeypatch.setattr(setup, "_set_up", lambda: done.append("set up"))

    assert [setup.main(), setup.main()] == [0, 0]

    assert done == ["set up"]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("ERROR: [Errno 28] No space left on device\n", "no space left"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES\n", "differs from its locked digest"),
        ("ERROR: Could not find a version\n", "PIP_INDEX_URL"),
    ],
)
def test_why_pip_failed_is_told_with_the_mend(said: str, told: str) -> None:
    assert told in setup._why([said])
