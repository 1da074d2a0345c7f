"""NOTICE names every package of the cpu lock with its licence, and nothing else."""

from __future__ import annotations

import pytest

from infra.tools import notice


def test_notice_is_fresh() -> None:
    there = notice.NOTICE.read_text()
    names = notice.locked(notice.LOCK.read_text())

    # A package that this platform does not install keeps the line that another one gave it.
    assert there == notice.text(names, notice.parsed(there)), "run `python -m infra.tools.notice`"


def test_every_package_has_a_licence() -> None:
    unsaid = [
        n for n, what in notice.parsed(notice.NOTICE.read_text()).items() if what == notice.UNSAID
    ]

    assert unsaid == []


def test_every_vendored_folder_is_named_and_has_its_licence() -> None:
    named = {where.split()[0] for _, _, where in notice.VENDORED}
    there = {
        str(folder.relative_to(notice.ROOT))
        for vendor in ("driftloop/web/static/vendor", "tests/support/vendor")
        for folder in (notice.ROOT / vendor).iterdir()
    }

    assert there == named
    assert all((notice.ROOT / folder / "LICENSE").is_file() for folder in there)


@pytest.mark.parametrize(
    "wrong",
    ["", "  numpy                        Proprietary\n", "  no-such-package              MIT\n"],
)
def test_a_wrong_notice_is_seen(wrong: str) -> None:
    names = notice.locked("numpy==1 \\\n    --hash=sha256:00\n")

    assert notice.HEAD + wrong != notice.text(names, notice.parsed(wrong))
