"""What the READMEs name is there: files, make's words, ports, and blocks that a test runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from infra.local import ports
from infra.tools.figures import filled
from infra.tools.words import MAKEFILE, WORD

ROOT = MAKEFILE.parent
README = (ROOT / "README.md").read_text("utf-8")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#]+)\)")
READMES = [
    ROOT / "README.md",
    *sorted(
        path
        for folder in ("driftloop", "services", "infra", "topics", "requirements")
        for path in (ROOT / folder).rglob("*.md")
    ),
]


@pytest.mark.parametrize("path", READMES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_of_a_readme_leads_somewhere(path: Path) -> None:
    assert dead_links(path.read_text("utf-8"), path.parent) == []


def test_a_link_that_leads_nowhere_is_seen(tmp_path: Path) -> None:
    assert dead_links("[a](b.md) [c](https://d.example)", tmp_path) == ["b.md"]


def test_every_word_that_the_readme_gives_to_make_is_one() -> None:
    words = {word for word, _ in WORD.findall(MAKEFILE.read_text())}
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", README, re.MULTILINE))

    assert {"demo", "test", "run"} <= named <= words


def test_the_readmes_ports_are_those_of_make_run() -> None:
    [heads, line] = re.findall(r"^\| (?:Kafka|\d+ ).*$", README, re.MULTILINE)
    shown = dict(zip(cells(heads), cells(line), strict=True))

    assert shown.pop("metrics") == f"the service's + {ports.METRICS_ABOVE}"
    wanted = {"Kafka": ports.KAFKA, **ports.GRPC, "page": ports.WEB, "live view": ports.LIVE}
    assert shown == {name: str(port) for name, port in wanted.items()}


def test_a_block_is_either_run_by_a_test_or_holds_words_of_make_alone() -> None:
    for language, text in FENCE.findall(README):
        assert language in ("", "sh", "mermaid")
        assert language or all(line.startswith("make ") for line in text.splitlines())


def test_the_readme_has_a_block_for_the_figures() -> None:
    assert "here they are\n" in filled(README, "here they are\n")


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def dead_links(text: str, folder: Path) -> list[str]:
    """Relative links to no file."""
    own = [link for link in LINK.findall(text) if "://" not in link]
    return [link for link in own if not (folder / link).exists()]
