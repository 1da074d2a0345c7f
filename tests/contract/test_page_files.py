"""The page's own files: shipped with the wheel, whole, small, and asking no other host."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from infra.tools.generate import ROOT

PACKAGE = ROOT / "driftloop" / "web"
STATIC = PACKAGE / "static"
LINES_MAX = 400  # of a module, as for Python
COLUMNS_MAX = 100
NAMES_A_FILE = re.compile(r"(?:src|href)=\"(static/[^\"]+)\"|from \"(\./[^\"]+|\.\./[^\"]+)\"")
# What the policy `default-src 'self'` would refuse at run time, where a test might not look.
FORBIDDEN = {
    "another host": re.compile(r"(?:https?:)?//[a-z0-9-]+\.[a-z]"),
    "an inline style": re.compile(r"<[a-z][^>]*\sstyle=|<style"),
    "an inline script": re.compile(r"<script(?![^>]*\bsrc=)|<[a-z][^>]*\son[a-z]+="),
    "code from text": re.compile(r"\beval\(|new Function\(|\.innerHTML\b|\.outerHTML\b"),
}
TOKEN = re.compile(r"^ *(--[a-z0-9-]+): ([^;]+);", re.MULTILINE)
KNOWN = 'xmlns="http://www.w3.org/2000/svg"', '"http://www.w3.org/2000/svg"'


def ours() -> list[Path]:
    """Files written by hand; those of others stand in vendor/."""
    return [p for p in sorted(STATIC.rglob("*.*")) if p.is_file() and "vendor" not in p.parts]


def wrong(text: str) -> list[str]:
    """What no file of the page may hold."""
    for known in KNOWN:
        text = text.replace(known, "")
    return [name for name, pattern in FORBIDDEN.items() if pattern.search(text)]


def missing(path: Path, text: str) -> list[str]:
    """Files that are named and are not there."""
    named = (
        PACKAGE / found[1] if found[1] else path.parent / found[2]
        for found in NAMES_A_FILE.finditer(text)
    )
    return [str(each) for each in named if not each.is_file()]


def test_every_file_is_shipped_with_the_wheel() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    patterns = settings["tool"]["setuptools"]["package-data"]["driftloop.web"]
    shipped = {path for pattern in patterns for path in PACKAGE.glob(pattern + "/*")}
    assert {path for path in STATIC.rglob("*") if path.is_file()} <= shipped


@pytest.mark.parametrize("path", ours(), ids=lambda path: path.name)
def test_a_file_asks_no_other_host_and_names_only_files_that_are_there(path: Path) -> None:
    text = path.read_text("utf-8")
    assert wrong(text) == []
    assert missing(path, text) == []


@pytest.mark.parametrize("path", [p for p in ours() if p.suffix == ".js"], ids=lambda p: p.name)
def test_a_module_says_what_it_is_for_and_fits_a_head(path: Path) -> None:
    lines = path.read_text("utf-8").splitlines()
    assert lines[0].startswith("// ")
    assert len(lines) <= LINES_MAX
    assert [n for n, line in enumerate(lines, 1) if len(line) > COLUMNS_MAX] == []


def test_every_module_is_asked_for_at_once_and_imported_somewhere() -> None:
    page = (STATIC / "index.html").read_text("utf-8")
    modules = [path for path in ours() if path.suffix == ".js"]
    imports = "".join(path.read_text("utf-8") for path in modules)
    loaded = {"main.js", "early.js"}  # by a script element
    for name in {path.name for path in modules}:
        assert f'"static/js/{name}"' in page, f"{name}: no modulepreload, so it waits for others"
        assert name in loaded or f'from "./{name}"' in imports, f"{name} is imported by nobody"


def test_dark_by_choice_is_dark_as_the_system_has_it() -> None:
    text = (STATIC / "css" / "tokens.css").read_text("utf-8")
    light, system, chosen = (dict(TOKEN.findall(block)) for block in text.split(":root")[1:])
    assert system == chosen
    assert set(system) <= set(light)
    assert len(system) > 40


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('<script src="https://cdn.example.com/x.js"></script>', "another host"),
        ('import x from "//cdn.example.com/x.js"', "another host"),
        ('<p style="color: red">', "an inline style"),
        ("<script>go()</script>", "an inline script"),
        ('<button onclick="go()">', "an inline script"),
        ("box.innerHTML = text", "code from text"),
    ],
)
def test_what_the_policy_would_refuse_is_seen(text: str, what: str) -> None:
    assert what in wrong(text)


def test_a_file_that_is_not_there_is_seen() -> None:
    assert missing(STATIC / "js" / "x.js", 'import { x } from "./nowhere.js";')
    assert missing(STATIC / "index.html", '<link href="static/css/nowhere.css">')
