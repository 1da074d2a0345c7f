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


def test_an_extra_that_there_is_not_is_named_with_those_that_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EXTRAS", "torch tensorflow")
    monkeypatch.setattr(setup, "CHOSEN", tmp_path / "extras")

    assert setup.main() == 1
    assert "EXTRAS=torch tensorflow: there is torch" in capsys.readouterr().err


def test_an_extra_is_installed_by_digest_where_it_is_locked_and_stays_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed: list[tuple[str, ...]] = []
    monkeypatch.setattr(setup, "_install", lambda *arguments: installed.append(arguments))
    monkeypatch.setattr(setup, "EXTRAS", tmp_path)
    monkeypatch.setattr(setup, "CHOSEN", tmp_path / "extras")
    (tmp_path / "torch.in").write_text("torch==1\n")
    (tmp_path / "torch.lock").write_text("torch==1 --hash=sha256:0\n")
    (tmp_path / "extras").write_text("torch")

    assert setup._extras() == ["torch"]
    setup._install_extra("torch")

    assert "--require-hashes" in installed[0]
    assert installed[0][-1] == str(tmp_path / "torch.lock")


def test_an_extra_without_a_lock_keeps_what_is_installed_and_says_where_its_build_may_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, ...]] = []

    def install(*arguments: str) -> None:
        asked.append(arguments)
        raise setup.Cannot("no matching distribution")

    monkeypatch.setattr(setup, "_install", install)
    monkeypatch.setattr(setup, "ROOT", tmp_path)
    monkeypatch.setattr(setup, "EXTRAS", tmp_path)
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "dev.lock").write_text("numpy==2.4.6 \\\n    --hash=sha256:0\n")
    (tmp_path / "torch.in").write_text("torch==1\n")

    with pytest.raises(setup.Cannot, match="PIP_FIND_LINKS"):
        setup._install_extra("torch")

    constraint = Path(asked[0][asked[0].index("-c") + 1])
    assert constraint.read_text() == "numpy==2.4.6\n"
