"""The README's picture of the page, taken from one that runs.

    python -m infra.tools.screenshot ADDRESS [FILE] [--view HASH] [--dark] [--width PX]

ADDRESS is the page's (`driftloop env --json`: `web`); FILE is infra/demo/page.png by default.
--view is what the page's own address has behind its #, as `trigger=…` for the drawer with a run.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import Error, Page, sync_playwright

from driftloop.kit.errors import DriftloopError, Unavailable
from infra.local.say import say as say_aloud
from infra.tools import browser

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "infra" / "demo" / "page.png"
WAIT_MS = 20_000
DENSITY = 1.5  # sharp where the README is read on a dense screen, and still some 300 kB
BELOW = "#triggers-part"  # the picture ends where this begins: head and axis say it all


def main(arguments: Sequence[str]) -> int:
    """Exit status: 0, or 1 after one line on stderr."""
    parser = argparse.ArgumentParser(prog="python -m infra.tools.screenshot")
    parser.add_argument("address")
    parser.add_argument("file", nargs="?", type=Path, default=FILE)
    parser.add_argument("--view", default="")
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--width", type=int, default=1280)
    asked = parser.parse_args(arguments)
    try:
        take(asked.address, asked.file, asked.view, dark=asked.dark, width=asked.width)
    except DriftloopError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    say_aloud(f"{asked.file}: {asked.file.stat().st_size // 1000} kB")
    return 0


def take(address: str, file: Path, view: str = "", *, dark: bool, width: int) -> None:
    """The picture, written. Unavailable: no browser, or no page at that address."""
    path = browser.chromium(say_aloud)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=str(path), args=browser.arguments(os.geteuid())
        )
        page = launched.new_page(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
            device_scale_factor=DENSITY,
            reduced_motion="reduce",
        )
        try:
            _draw(page, f"{address.rstrip('/')}/#{view}")
            if "trigger=" not in view:
                _cut(page, width)
            page.screenshot(path=file)
        except Error as error:
            raise Unavailable(f"no page at {address}: {error.message.splitlines()[0]}") from error
        finally:
            launched.close()


def _draw(page: Page, address: str) -> None:
    page.goto(address, timeout=WAIT_MS)
    page.locator("html[data-drawn]").wait_for(state="attached", timeout=WAIT_MS)
    page.locator("#live[data-state=live]").wait_for(timeout=WAIT_MS)
    if "trigger=" in address:
        page.locator("#run-body .steps").wait_for(timeout=WAIT_MS)


def _cut(page: Page, width: int) -> None:
    """The window made as high as all that stands above the lists."""
    box = page.locator(BELOW).bounding_box()
    assert box is not None
    page.set_viewport_size({"width": width, "height": int(box["y"])})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
