"""NOTICE: what the product stands on and under which licences, from the cpu lock and the installed
packages' metadata.

    python -m infra.tools.notice             write NOTICE
    python -m infra.tools.notice --check     write nothing; exit 1 where it is stale

Versions are left out: the lock has them, and they differ between Pythons. A package that this
platform does not
install keeps the line that it has.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NOTICE = ROOT / "NOTICE"
LOCK = ROOT / "requirements" / "cpu.lock"
HEAD = """Driftloop
Copyright the Driftloop authors. Licensed under the Apache License, Version 2.0 (see LICENSE).

It stands on these packages, which are installed from their own publishers and not distributed
with it (made from requirements/cpu.lock by `make lock`):

"""
TAIL = """
These files of others lie in it as they were published, each folder with its licence:

"""
UNSAID = "see the package"
LICENCE_CHARS_MAX = 60  # longer: the package put the whole text into the field that is for a name
VENDORED = (  # name, licence, where
    ("uPlot 1.6.32", "MIT", "driftloop/web/static/vendor/uplot"),
    ("axe-core 4.14.1", "MPL-2.0", "tests/support/vendor/axe-core (tests only)"),
)
LINE = re.compile(r"^  (\S+) +(.+)$", re.MULTILINE)


def main(arguments: Sequence[str]) -> int:
    """Exit status: 0, or 1 where --check finds a difference."""
    there = NOTICE.read_text() if NOTICE.exists() else ""
    wanted = text(locked(LOCK.read_text()), parsed(there))
    if "--check" in arguments:
        if wanted != there:
            sys.stderr.write("NOTICE: stale, run `make lock`\n")
        return int(wanted != there)
    NOTICE.write_text(wanted)
    return 0


def locked(lock: str) -> list[str]:
    """Names in a lock, each once, in order; without those for Windows alone, where nothing of ours
    runs.
    """
    lines = [line for line in lock.splitlines() if "sys_platform == 'win32'" not in line]
    return sorted({found[1] for line in lines if (found := re.match(r"([A-Za-z0-9._-]+)==", line))})


def parsed(notice: str) -> dict[str, str]:
    """Name → licence, as a NOTICE says."""
    return dict(LINE.findall(notice))


def text(names: Sequence[str], before: Mapping[str, str]) -> str:
    """The file; `before` answers for packages that are not installed here."""
    lines = [f"  {name:<28} {_licence(name) or before.get(name, UNSAID)}" for name in names]
    others = [f"  {name}: {licence}, {where}" for name, licence, where in VENDORED]
    return HEAD + "\n".join(lines) + "\n" + TAIL + "\n".join(others) + "\n"


def _licence(name: str) -> str | None:
    """The expression, else the classifiers, else the short text of the old field; None: not
    installed.
    """
    try:
        about = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return None
    if about["License-Expression"]:
        return str(about["License-Expression"])
    classified = [
        line.split(" :: ")[-1]
        for line in about.get_all("Classifier") or []
        if line.startswith("License :: ")
    ]
    said = str(about["License"] or "").strip()
    if said and len(said) <= LICENCE_CHARS_MAX and "\n" not in said:
        return said
    return ", ".join(sorted(classified)) or UNSAID


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
