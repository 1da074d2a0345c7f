"""Who may import whom: the table of `rooms`, one test a row, read with ast."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

import pytest

from tests.contract.grants import PACKAGE, Room
from tests.contract.rooms import NEVER, ROOMS
from tests.contract.sources import Source, parsed, written


def trespasses(source: Source) -> list[str]:
    """A sentence for each import that the table does not grant."""
    room, found = _room(source.module)
    granted = [grant.format(*found.groups()[:1] or ("",)) for grant in room.may]
    return [
        f"{source.path}:{line}: imports {name}; {room.where} may "
        f"not{f' ({room.why})' if room.why else ''}"
        for line, name in _imports(source)
        if not _granted(name, granted, room.bars) or _never(source.module, name)
    ]


def _room(module: str) -> tuple[Room, re.Match[str]]:
    for room in ROOMS:
        found = re.fullmatch(room.where, module)
        if found:
            return room, found
    raise AssertionError(f"{module} is in no room: add a row to ROOMS")


def _granted(name: str, granted: Sequence[str], bars: Sequence[str]) -> bool:
    top = name.partition(".")[0]
    if top in sys.stdlib_module_names:
        return top not in bars
    return any(fnmatchcase(name, grant) for grant in granted)


def _never(module: str, name: str) -> bool:
    return any(re.fullmatch(who, module) and re.fullmatch(whom, name) for who, whom in NEVER)


def _imports(source: Source) -> Iterator[tuple[int, str]]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, (
                f"{source.path}:{node.lineno}: a relative import; write the whole name"
            )
            yield from ((node.lineno, name) for name in _from(node))


def _from(node: ast.ImportFrom) -> list[str]:
    """`from services import monitor` imports services.monitor; a class's home is its module."""
    module = node.module or ""
    if module in (
        "driftloop",
        "infra",
        "tests",
        "driftloop.contracts",
        "driftloop.kit",
    ) or PACKAGE.fullmatch(module):
        return [f"{module}.{alias.name}" for alias in node.names]
    return [module]


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.where)
def test_a_room_imports_what_it_may(room: Room) -> None:
    sources = [source for source in written() if _room(source.module)[0] is room]

    assert [sentence for source in sources for sentence in trespasses(source)] == []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("services/monitor/domain.py", "import time"),
        ("services/monitor/domain/drift.py", "import os.path"),
        ("services/monitor/domain.py", "from driftloop.contracts import topics"),
        ("services/monitor/domain.py", "from driftloop.kit.errors import Malformed"),
        ("services/monitor/codec.py", "from driftloop.kit.kafka import KafkaBroker"),
        ("services/monitor/handlers.py", "import os"),
        ("services/monitor/app.py", "from services.training import domain"),
        ("services/monitor/app.py", "import services.training.app"),
        ("services/monitor/app.py", "from services import training"),
        ("services/monitor/app.py", "import confluent_kafka"),
        ("services/monitor/app.py", "import faust"),
        ("services/monitor/app.py", "from driftloop.client import connect"),
        ("services/monitor/app.py", "from infra.local import stack"),
        ("driftloop/kit/loop.py", "from driftloop.contracts import topics"),
        ("driftloop/kit/loop.py", "import confluent_kafka"),
        ("driftloop/kit/loop.py", "from driftloop import spec"),
        ("driftloop/spec/model.py", "import os"),
        ("driftloop/spec/model.py", "from driftloop.kit import errors"),
        ("driftloop/spec/model.py", "import numba"),
        ("driftloop/cli/app.py", "import grpc"),
        ("driftloop/cli/app.py", "from driftloop.kit.kafka import KafkaBroker"),
        ("driftloop/client/frames.py", "from driftloop.cli import app"),
        ("driftloop/client/frames.py", "import services.monitor.app"),
        ("driftloop/plugins/__init__.py", "from driftloop import spec"),
        ("driftloop/web/state.py", "import starlette.requests"),
        ("driftloop/web/app.py", "import uvicorn"),
        ("driftloop/web/feed.py", "from services.monitor import codec"),
        ("driftloop/web/buckets.py", "import time"),
        ("driftloop/statistics.py", "from driftloop.contracts import topics"),
        ("tests/unit/monitor/test_x.py", "import confluent_kafka"),
    ],
)
def test_a_trespass_is_seen(path: str, text: str) -> None:
    assert len(trespasses(parsed(path, text))) == 1


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (
            "services/monitor/domain.py",
            "import numpy as np\nfrom services.monitor.domain.drift import Drift\nfrom driftloop "
            "import spec",
        ),
        (
            "services/monitor/app.py",
            "from services.monitor import domain\nfrom driftloop.kit.run import App",
        ),
        ("driftloop/kit/kafka.py", "from confluent_kafka.admin import AdminClient"),
        ("driftloop/cli/app.py", "import typer\nfrom driftloop.client import connect"),
    ],
)
def test_what_is_granted_is_let_through(path: str, text: str) -> None:
    assert trespasses(parsed(path, text)) == []


def test_a_module_without_a_room_is_refused() -> None:
    with pytest.raises(AssertionError, match="in no room"):
        _room("elsewhere.module")
