"""The page in a real browser: opened at a size and in a colour scheme, everything that goes wrong
in it written down, judged by axe-core.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Error,
    Page,
    Request,
    ViewportSize,
    sync_playwright,
)

from driftloop.kit.errors import DriftloopError
from infra.tools import browser
from tests.support.prometheus import excused

AXE = Path(__file__).parent / "vendor" / "axe-core" / "axe.min.js"
WAIT_MS = 30_000  # on a machine that does other things too
Scheme = Literal["light", "dark"]


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """This machine's, headless; where there is none the test is skipped, not where CI=true."""
    try:
        path = browser.chromium()
    except DriftloopError as error:
        excused(str(error), os.environ)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=str(path), args=browser.arguments(os.geteuid())
        )
        try:
            yield launched
        finally:
            launched.close()


@dataclass
class Opened:
    """`wrong`: console errors, exceptions, requests that failed or went to another host."""

    page: Page
    address: str
    wrong: list[str] = field(default_factory=list)

    def listen(self) -> None:
        page = self.page
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("request", self._on_request)
        page.on("requestfailed", lambda r: self.wrong.append(f"failed: {r.url} ({r.failure})"))

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.wrong.append(message.text)

    def _on_request(self, request: Request) -> None:
        if not request.url.startswith((self.address, "data:")):
            self.wrong.append(f"another host: {request.url}")

    def total(self, name: str) -> str:
        """A figure of the page's head, as it is written there."""
        return self.page.locator(f'[data-total="{name}"]').inner_text()

    def state(self) -> str:
        """What the page says of itself, for a test that failed."""
        says = [self.page.locator(f"#{name}").text_content() for name in ("live", "trouble")]
        return f"{says}, wrong {self.wrong}"

    def drawn_s(self) -> float:
        """From the navigation's start until the axis was drawn."""
        return int(self.page.evaluate("document.documentElement.dataset.drawn")) / 1_000

    def scrolls_sideways(self) -> bool:
        wide = self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        return int(wide) > 0

    def violations(self) -> list[str]:
        """What axe-core finds, contrast included: rule, and where."""
        # Not as a script of the page, whose policy forbids it: as the debugger's own.
        self.page.evaluate(AXE.read_text("utf-8"))
        said = self.page.evaluate("axe.run({resultTypes: ['violations']})")
        return [_told(each) for each in said["violations"]]


@contextlib.contextmanager
def opened(
    launched: Browser, address: str, *, width: int = 1280, scheme: Scheme = "light", view: str = ""
) -> Iterator[Opened]:
    """The page, drawn. `view`: what stands behind the # of the address."""
    size: ViewportSize = {"width": width, "height": 900 if width > 640 else 844}
    with contextlib.closing(
        launched.new_context(viewport=size, color_scheme=scheme, reduced_motion="reduce")
    ) as context:
        context.set_default_timeout(WAIT_MS)
        there = Opened(context.new_page(), address)
        there.listen()
        there.page.goto(f"{address}/#{view}")
        try:
            there.page.locator("html[data-drawn]").wait_for(state="attached")
        except Error as error:
            raise AssertionError(f"not drawn: {there.state()}") from error
        yield there


def _told(violation: Mapping[str, Any]) -> str:
    where = "; ".join(f"{node['target']} {node['failureSummary']}" for node in violation["nodes"])
    return f"{violation['id']}: {where}"


@contextlib.contextmanager
def served(environ: Mapping[str, str], port: int = 0) -> Iterator[str]:
    """`driftloop web` as its own process; its address. Port 0: a free one."""
    command = [sys.executable, "-m", "driftloop.cli", "web", "--port", str(port)]
    process = subprocess.Popen(
        command, env={**os.environ, **environ}, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert "http://" in line, f"driftloop web said {line!r}"
        yield line.split()[-1]
    finally:
        process.terminate()
        process.communicate(timeout=20)
