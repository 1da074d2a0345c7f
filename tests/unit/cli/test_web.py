"""The page's command."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest

from driftloop.cli.web import _shown


def test_a_made_token_is_shown_on_a_terminal_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert _shown("secret", tmp_path) == "secret"

    monkeypatch.setattr(sys.stdout, "isatty", lambda: False)
    says = _shown("secret", tmp_path)

    [file] = tmp_path.iterdir()
    assert says == f"in {file}"
    assert file.read_text() == "secret"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
