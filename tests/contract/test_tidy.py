"""The countable habits of the house. Each message names the replacement; raising a limit needs a
reason beside it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pytest

from tests.contract.sources import Source, parsed, written

FUNCTION_LINES_MAX = 50  # a screen; half of them should be under 8
FILE_LINES_MAX = 400  # what one head holds
LINE_COLUMNS_MAX = 100  # ruff's too; two files side by side


@dataclass(frozen=True, slots=True)
class Call:
    """A call that has a room of its own."""

    pattern: str  # of the dotted name
    rooms: str  # modules that may, as a regular expression
    instead: str


CALLS: Sequence[Call] = (
    Call(
        r"time\.(time|time_ns|monotonic|monotonic_ns|perf_counter\w*)",
        r"driftloop\.kit\.clock|infra\..*|tests\..*",
        "take a Clock (driftloop.kit.clock)",
    ),
    Call(
        r"(time\.)?sleep",
        r"driftloop\.kit\.clock|infra\..*|tests\.support\.eventually",
        "wait on a fact: tests.support.eventually, clock.sleep or Event.wait",
    ),
    Call(
        r"(datetime\.)?datetime\.(now|utcnow|today)|date\.today",
        r"driftloop\.kit\.clock|infra\..*",
        "take the instant as an argument",
    ),
    Call(r"print", r"driftloop\.cli\..*", "log, say or typer.echo"),
    Call(r"(eval|exec)", r"", "parse it; nothing that people write is executed"),
)
ENVIRON_ROOMS = (
    r"driftloop\.kit(\.(config|run|log|probe))?|driftloop\.client\.addresses|infra\..*|tests\..*"
    r"|services\.monitor\.live.*"
    r"|services\.training\.learners\.ddp_(start|rank)"  # torchrun speaks by it alone
)
BROAD_ROOMS = r"driftloop\.kit\.(run|loop|loops|child|rpc|trace\.otel)|infra\..*"
MODULE_STATE = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
WORDS = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")


def untidy(source: Source) -> list[str]:
    """`path:line: what; instead`, for each habit that is broken."""
    checks: Sequence[Callable[[Source], Iterator[tuple[int, str]]]] = (
        _opening,
        _lengths,
        _functions,
        _calls,
        _environ,
        _excepts,
        _state,
        _words,
        _bodies,
    )
    return [
        f"{source.path}:{line}: {sentence}" for check in checks for line, sentence in check(source)
    ]


def _opening(source: Source) -> Iterator[tuple[int, str]]:
    if source.text.strip() and not ast.get_docstring(source.tree):
        yield 1, "no module docstring; say what it is for and what it keeps out"


def _lengths(source: Source) -> Iterator[tuple[int, str]]:
    lines = source.text.splitlines()
    if len(lines) > FILE_LINES_MAX:
        yield len(lines), f"{len(lines)} lines, at most {FILE_LINES_MAX}; split it by subject"
    for number, line in enumerate(lines, 1):
        if len(line) > LINE_COLUMNS_MAX:
            yield number, f"{len(line)} columns, at most {LINE_COLUMNS_MAX}; name a part of it"


def _functions(source: Source) -> Iterator[tuple[int, str]]:
    for node in ast.walk(source.tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES_MAX:
                yield (
                    node.lineno,
                    f"{node.name} has {lines} lines, at most {FUNCTION_LINES_MAX}; ifs above, fors "
                    "below",
                )


def _calls(source: Source) -> Iterator[tuple[int, str]]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            for call in CALLS:
                if re.fullmatch(call.pattern, name) and not re.fullmatch(call.rooms, source.module):
                    yield node.lineno, f"{name}(); {call.instead}"


def _environ(source: Source) -> Iterator[tuple[int, str]]:
    if re.fullmatch(ENVIRON_ROOMS, source.module):
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ("os.environ", "os.getenv"):
            yield node.lineno, f"{ast.unparse(node)}; take a Config (driftloop.kit.config)"


def _excepts(source: Source) -> Iterator[tuple[int, str]]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ExceptHandler):
            if node.type is None:
                yield node.lineno, "bare except; name what can be raised and what is to be done"
            elif "Exception" in _names(node.type) and not re.fullmatch(BROAD_ROOMS, source.module):
                yield (
                    node.lineno,
                    "except Exception; name what can be raised, let our own bugs end the process",
                )


def _names(kind: ast.expr) -> list[str]:
    return [ast.unparse(part) for part in (kind.elts if isinstance(kind, ast.Tuple) else [kind])]


def _state(source: Source) -> Iterator[tuple[int, str]]:
    if source.module.startswith("tests."):
        return
    for node in source.tree.body:
        value = node.value if isinstance(node, (ast.Assign, ast.AnnAssign)) else None
        name = (
            ast.unparse(
                node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", node)
            )
            if value
            else ""
        )
        constant = re.fullmatch(r"_?_?[A-Z][A-Z0-9_]*|__all__", name) is not None
        if isinstance(value, MODULE_STATE) and not constant:
            yield (
                node.lineno,
                f"{name} is state at module level; make it a field, or a CONSTANT that nobody "
                "changes",
            )
    for inner in ast.walk(source.tree):
        if isinstance(inner, ast.Global):
            yield inner.lineno, f"global {', '.join(inner.names)}; hand it over as an argument"


def _words(source: Source) -> Iterator[tuple[int, str]]:
    if source.module == "tests.contract.test_tidy":
        return
    for number, line in enumerate(source.text.splitlines(), 1):
        if WORDS.search(line):
            yield number, "a note to self; do it, or write down where it is planned"


def _bodies(source: Source) -> Iterator[tuple[int, str]]:
    """`pass` bodies and NotImplementedError are stubs."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Pass):
            yield node.lineno, "pass; say what it does, or leave it out"
        elif (
            isinstance(node, ast.Raise)
            and node.exc is not None
            and "NotImplementedError" in ast.unparse(node.exc)
        ):
            yield node.lineno, "NotImplementedError; a Protocol says what is to be implemented"


def test_the_house_is_tidy() -> None:
    assert [sentence for source in written() for sentence in untidy(source)] == []


HEAD = '"""What for."""\n'


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("x = 1\n", "docstring"),
        (HEAD + "x = '" + "a" * LINE_COLUMNS_MAX + "'\n", "columns"),
        (HEAD + "x = 1\n" * FILE_LINES_MAX, "split it"),
        (HEAD + "def f():\n" + "    x = 1\n" * FUNCTION_LINES_MAX, "f has"),
        (HEAD + "import time\nx = time.time()\n", "Clock"),
        (HEAD + "import time\ntime.sleep(1)\n", "fact"),
        (HEAD + "from datetime import datetime\nx = datetime.now()\n", "instant"),
        (HEAD + "print(1)\n", "log"),
        (HEAD + "eval('1')\n", "parse"),
        (HEAD + "import os\nx = os.environ['A']\n", "Config"),
        (HEAD + "import os\nx = os.getenv('A')\n", "Config"),
        (HEAD + "try:\n    f()\nexcept:\n    g()\n", "bare except"),
        (HEAD + "try:\n    f()\nexcept Exception:\n    g()\n", "except Exception"),
        (HEAD + "try:\n    f()\nexcept (OSError, Exception):\n    g()\n", "except Exception"),
        (HEAD + "cache = {}\n", "module level"),
        (HEAD + "seen: list[int] = []\n", "module level"),
        (HEAD + "def f():\n    global x\n    x = 1\n", "global x"),
        (HEAD + "# TODO: later\n", "note to self"),
        (HEAD + "def f():\n    pass\n", "pass"),
        (HEAD + "def f():\n    raise NotImplementedError\n", "Protocol"),
    ],
)
def test_a_broken_habit_is_named(text: str, named: str) -> None:
    found = untidy(parsed("services/monitor/domain.py", text))

    assert len(found) == 1, found
    assert named in found[0]


def test_rooms_of_their_own_may() -> None:
    assert (
        untidy(parsed("driftloop/kit/clock.py", HEAD + "import time\ntime.sleep(time.time())\n"))
        == []
    )
    assert (
        untidy(parsed("driftloop/kit/run.py", HEAD + "try:\n    f()\nexcept Exception:\n    g()\n"))
        == []
    )
    assert (
        untidy(parsed("services/monitor/domain.py", HEAD + "LIMITS = {'a': 1}\n__all__ = ['a']\n"))
        == []
    )
