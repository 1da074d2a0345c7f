"""Where the browser of the tests comes from, and what is said where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from driftloop.kit.errors import Refused
from infra.tools import browser


def test_chromium_is_taken_from_path_before_chrome(tmp_path: Path) -> None:
    for name in ("google-chrome", "chromium"):
        (tmp_path / name).touch(0o755)
    assert browser.found(str(tmp_path)) == tmp_path / "chromium"


def test_chrome_will_do(tmp_path: Path) -> None:
    (tmp_path / "google-chrome").touch(0o755)
    assert browser.found(str(tmp_path)) == tmp_path / "google-chrome"


def test_an_empty_path_holds_none(tmp_path: Path) -> None:
    assert browser.found(str(tmp_path)) is None


@pytest.mark.parametrize(
    ("apt", "user", "why"),
    [(None, 0, "no apt-get"), ("/usr/bin/apt-get", 1000, "only root may")],
)
def test_what_can_not_be_brought_is_said_with_what_would_do(
    apt: str | None, user: int, why: str
) -> None:
    with pytest.raises(Refused, match=f"{why}.*install Chromium"):
        browser.refuse_others(apt, user)


def test_only_root_goes_without_a_sandbox() -> None:
    assert "--no-sandbox" in browser.arguments(0)
    assert "--no-sandbox" not in browser.arguments(1000)
