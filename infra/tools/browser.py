"""Finds a Chromium, or brings Debian's: what the tests of the page and its picture are made with.

    python -m infra.tools.browser     say which one would be used

`chromium`, `chromium-browser` or `google-chrome` is taken from PATH. Where there is none, the
system is a Debian and this is its root, the package `chromium` is installed.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from driftloop.kit.errors import DriftloopError, Refused, Unavailable
from infra.local.say import say as say_aloud
from infra.tools.apt import Apt

NAMES = ("chromium", "chromium-browser", "google-chrome")
INSTALL = ("apt-get", "install", "-y", "--no-install-recommends", "chromium")
WANTED = "install Chromium, so that `chromium` is in PATH"


def chromium(say: Callable[[str], None] = lambda _: None) -> Path:
    """The browser of this machine, brought if it must be.

    Unavailable: it can't be brought now. Refused: nothing here knows how to bring it.
    """
    there = found()
    if there is None:
        refuse_others(shutil.which("apt-get"), os.geteuid())
        say("installing Debian's chromium: 120 MB, about a minute")
        Apt(WANTED).bring(INSTALL)
        there = found()
    if there is None:
        raise Unavailable(f"Debian's package was installed and holds no chromium: {WANTED}")
    return there


def found(path: str | None = None) -> Path | None:
    """The first of the names in PATH (or `path`)."""
    places = (shutil.which(name, path=path) for name in NAMES)
    return next((Path(place) for place in places if place), None)


def arguments(user: int) -> list[str]:
    """For a headless run, where there is no GPU to wait for. Root goes without a sandbox: Chromium
    refuses to make one for it.
    """
    quiet = ["--disable-background-networking", "--disable-component-update", "--disable-gpu"]
    return ["--no-sandbox", *quiet] if user == 0 else quiet


def refuse_others(apt: str | None, user: int) -> None:
    """Refused: on this system, or by this user, nothing can be installed."""
    if apt is None:
        raise Refused(f"no Chromium here, and no apt-get to bring one: {WANTED}")
    if user != 0:
        raise Refused(f"no Chromium here, and only root may install one: {WANTED}")


def main() -> int:
    """Exit status: 0, or 1 after one line on stderr."""
    try:
        say_aloud(str(chromium(say_aloud)))
    except DriftloopError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
