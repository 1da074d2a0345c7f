"""Who may import whom: the table of the house as data, one test a row, read with ast.

A room is a module or a folder of them; the first row that matches a module is its row. Standard
library modules are free
but for those that a row bars. `*` in a grant stands for any end of the name.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import pytest

from tests.contract.sources import Source, parsed, written

SERVICE = "(ingestion|features|serving|monitor|training|evaluation|registry)"
DATA = ("numpy", "numpy.*", "pyarrow", "pyarrow.*", "polars", "msgspec", "msgspec.*")
DECISION = (
    "river",
    "river.*",
    "lightgbm",
    "lightgbm.*",
    "sklearn",
    "sklearn.*",
    "onnx",
    "onnx.*",
    "onnxruntime",
    "onnxruntime.*",
    "onnxmltools",
    "onnxmltools.*",
    "skl2onnx",
    "skl2onnx.*",
    "numba",
    "numba.*",
)
PACKAGE = re.compile(rf"services(\.{SERVICE})?")
CLOCKS = (
    "time",
    "os",
    "logging",
    "random",
    "socket",
)  # a decision takes these as arguments, or not at all


@dataclass(frozen=True, slots=True)
class Room:
    """`where` is a regular expression over dotted module names; `may` are grants beside the
    standard library.
    """

    where: str
    may: Sequence[str]
    bars: Sequence[str] = ()  # of the standard library
    why: str = ""


PROTO = ("google.protobuf", "google.protobuf.*")
KIT = ("driftloop.kit", "driftloop.kit.*")
OWN = ("services.{0}", "services.{0}.*")
PLUGINS = ("driftloop.plugins", "driftloop.plugins.*")
SPEC = ("driftloop.spec", "driftloop.spec.*")
CONTRACTS = ("driftloop.contracts", "driftloop.contracts.*")
ERRORS = (
    "driftloop.kit.errors",
    "driftloop.kit.envelope",
    "driftloop.kit.topic",
    "driftloop.kit.events",
    "driftloop.kit.message",
    "driftloop.kit.broker",
    "driftloop.kit.task",
    "driftloop.kit.trace",
)

ROOMS: Sequence[Room] = (
    Room(r"driftloop\.contracts(\..*)?", (*PROTO, "grpc", "driftloop.kit.topic", *CONTRACTS)),
    Room(
        r"driftloop\.kit\.kafka(\..*)?",
        (*KIT, "confluent_kafka", "confluent_kafka.*"),
        why="the only door to Kafka",
    ),
    Room(
        r"driftloop\.kit\.(rpc|health)",
        (*KIT, "grpc", "grpc_health.*"),
        why="the only door to gRPC in the kit",
    ),
    Room(r"driftloop\.kit\.metrics", (*KIT, "prometheus_client", "prometheus_client.*")),
    Room(
        r"driftloop\.kit\.run",
        (*KIT, "grpc"),
        why="a process's life takes servicers, which speak of grpc.Server",
    ),
    Room(
        r"driftloop\.kit\.envelope",
        (*KIT, "numpy", "numpy.*", "pyarrow"),
        why="the only door to Arrow on the data plane",
    ),
    Room(
        r"driftloop\.kit(\..*)?", (*KIT, *PROTO, "numpy", "numpy.*", "numba", "numba.*", "psutil")
    ),
    Room(
        r"driftloop\.spec\.(windows|kernel.*)",
        (*SPEC, "numpy", "numpy.*", "numba", "numba.*"),
        CLOCKS,
        "the kernel of the windows",
    ),
    Room(
        r"driftloop\.spec(\..*)?",
        (*SPEC, "numpy", "numpy.*", "pydantic", "pydantic.*", "pydantic_core", "yaml", "yaml.*"),
        CLOCKS,
    ),
    Room(
        r"driftloop\.service",
        (*CONTRACTS, *KIT, *SPEC, *PROTO, "grpc"),
        why="the glue: kit and contracts meet here",
    ),
    Room(
        r"driftloop\.dataset",
        (*CONTRACTS, *KIT, *SPEC, *DATA),
        CLOCKS,
        "examples as arrays, for training and evaluation",
    ),
    Room(
        r"driftloop\.river_onnx(\..*)?",
        (
            *("driftloop.river_onnx", "driftloop.river_onnx.*", "numpy", "numpy.*"),
            *("onnx", "onnx.*", "river", "river.*"),
        ),
        CLOCKS,
        "River's learners as ONNX: a library of its own, which others may import",
    ),
    Room(
        r"driftloop\.plugins(\..*)?",
        ("driftloop.plugins", "driftloop.plugins.*", "numpy", "numpy.*"),
    ),
    Room(
        r"driftloop\.client\.calls",
        ("driftloop.client.*", *CONTRACTS, *KIT, "grpc"),
        why="names the statuses of a refusal",
    ),
    Room(
        r"driftloop\.client(\..*)?",
        (
            "driftloop.client",
            "driftloop.client.*",
            *CONTRACTS,
            *KIT,
            *SPEC,
            *PROTO,
            *DATA,
            "driftloop",
        ),
    ),
    Room(
        r"driftloop\.cli(\..*)?",
        (
            "driftloop.cli",
            "driftloop.cli.*",
            "driftloop.client",
            "driftloop.client.*",
            "driftloop",
            *SPEC,
            "typer",
            "typer.*",
            "rich.*",
        ),
    ),
    Room(r"driftloop", ("driftloop.client", "driftloop.spec")),
    Room(
        r"services\.monitor\.live(_.*)?",
        (
            *CONTRACTS,
            *KIT,
            *PROTO,
            "driftloop.service",
            "faust",
            "faust.*",
            "mode",
            "mode.*",
            "services.monitor.*",
        ),
        why="the Faust app: pulses only",
    ),
    Room(
        rf"services\.{SERVICE}\.domain(\..*)?",
        (
            "services.{0}.domain",
            "services.{0}.domain.*",
            "driftloop.statistics",
            *SPEC,
            *DATA,
            *DECISION,
        ),
        CLOCKS,
        "decisions are pure: plain values, arrays, and the library that the decision needs",
    ),
    Room(
        rf"services\.{SERVICE}\.codec(\..*)?",
        (*OWN, *CONTRACTS, *PROTO, *SPEC, *DATA, *ERRORS, "driftloop.dataset"),
        CLOCKS,
    ),
    Room(
        rf"services\.{SERVICE}\.handlers(\..*)?",
        (*OWN, *CONTRACTS, *PROTO, *SPEC, *DATA, *KIT, "driftloop.dataset"),
        ("os", "socket", "random"),
    ),
    Room(
        rf"services\.{SERVICE}\.(rpc|calls)", (*OWN, *CONTRACTS, *PROTO, *SPEC, *DATA, *KIT, "grpc")
    ),
    Room(
        rf"services\.{SERVICE}\.(onnx|learners.*|fit.*|export.*)",
        (*OWN, *CONTRACTS, *PROTO, *SPEC, *DATA, *KIT, *DECISION, *PLUGINS, "driftloop.dataset"),
    ),
    Room(
        rf"services\.{SERVICE}(\..*)?",
        (
            *OWN,
            *CONTRACTS,
            *PROTO,
            *SPEC,
            *DATA,
            *KIT,
            "driftloop.service",
            "driftloop.dataset",
            *PLUGINS,
            "grpc",
        ),
        why="a service: itself, and driftloop",
    ),
    Room(r"services", ()),
    Room(
        r"infra(\..*)?",
        ("*",),
        why="what surrounds it is free; nothing of ours imports it but tests",
    ),
    Room(r"tests\.unit(\..*)?", ("*",), ()),
    Room(r"tests(\..*)?", ("*",)),
)
NEVER: Sequence[tuple[str, str]] = (  # (who, whom), whatever a row grants
    (r"driftloop(\..*)?", r"services(\..*)?"),
    (r"(driftloop|services)(\..*)?", r"(infra|tests)(\..*)?"),
    (r"services(\..*)?", r"driftloop\.(cli|client)(\..*)?"),
    (r"infra\.tools(\..*)?", r"tests(\..*)?"),
    (r"tests\.unit(\..*)?", r"(confluent_kafka|faust)(\..*)?"),
)


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
