"""The house's own sources as syntax trees, for the tests that read them."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from infra.tools.generate import ROOT

GENERATED = "driftloop/contracts/"
FOLDERS = ("driftloop", "services", "infra", "tests")


@dataclass(frozen=True, slots=True)
class Source:
    """One file. `path` from the root, `module` dotted."""

    path: str
    text: str
    tree: ast.Module

    @property
    def module(self) -> str:
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def parsed(path: str, text: str) -> Source:
    """A source from its text, for the tests of the tests."""
    return Source(path, text, ast.parse(text))


@cache
def written() -> Sequence[Source]:
    """Every file that is written by hand."""
    return tuple(
        _read(path)
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        if _ours(path)
    )


def under(folder: str) -> Iterator[Source]:
    """Those of one folder."""
    return (source for source in written() if source.path.startswith(folder + "/"))


def _read(path: Path) -> Source:
    return parsed(str(path.relative_to(ROOT)), path.read_text("utf-8"))


def _ours(path: Path) -> bool:
    return not str(path.relative_to(ROOT)).startswith(
        GENERATED + "topics"
    ) and not path.stem.endswith(("_pb2", "_pb2_grpc"))
