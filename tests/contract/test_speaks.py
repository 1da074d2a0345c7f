"""`producers` and `consumers` of each topic are what the services' sources really do.

A topic is written where `topics.X.topic(…)`, or a name that holds it, is an argument of a WRITER;
it is read where its
`.name` is used otherwise, or where it is followed. `driftloop.service` speaks for whoever calls it
(GLUE).
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

import pytest

from infra.tools.declarations import SERVICES, load
from infra.tools.generate import ROOT
from tests.contract.sources import Source, parsed, under

WRITERS = (
    "emit",
    "emit_raw",
    "event",
    "Emit",
    "said",
    "dead_letter",
    "written",
)  # written(topic): says so where a foreign client does the writing
READERS = ("follow", "Follower", "records", "events", "_hear")
GLUE: Mapping[str, tuple[str, str]] = {  # what driftloop.service does for its caller
    "main": ("writes", "PULSE"),
    "follow_pipelines": ("reads", "PIPELINES"),
}
ROADS: Mapping[str, tuple[str, str]] = {  # shared code that reads topics for who imports it
    "driftloop.dataset": ("reads", "EXAMPLES"),
    "driftloop.event_times": ("reads", "STATISTICS"),
}
DOORS: Mapping[str, Sequence[str]] = {  # Faust's topics go both ways: what such a file reads
    "services/monitor/live.py": ("PULSE",)
}
DECLARED = load(ROOT / "topics")


@dataclass(slots=True)
class Spoken:
    """Constants of `driftloop.contracts.topics` that some sources use."""

    reads: set[str] = field(default_factory=set)
    writes: set[str] = field(default_factory=set)
    unclear: set[str] = field(
        default_factory=set
    )  # handed to a helper: say emit(…) or .name where it is seen


def spoken(sources: Iterable[Source]) -> Spoken:
    """What one service says and hears."""
    found, read = Spoken(), list(sources)
    constants = {name: topic for source in read for name, topic in _held(source.tree, ast.Name)}
    for source in read:
        doors = DOORS.get(source.path)
        found.reads |= set(doors or ())
        for verb, constant in _uses(source.tree, constants):
            if doors is None or verb == "writes":
                getattr(found, verb).add(constant)
    found.unclear -= found.reads | found.writes
    return found


def _uses(tree: ast.Module, constants: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Verb and topic of each use. `constants`: module-level names that hold topics."""
    attributes = dict(_held(tree, ast.Attribute))
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    for scope in _scopes(tree):
        names = dict(_held(scope, ast.Name))
        for node in _own(scope):
            constant = _constant(node, {**constants, **attributes, **names})
            if constant:
                yield from ((verb, constant) for verb in _verbs(node, parents))
            yield from _by_way_of(node)


def _by_way_of(node: ast.AST) -> Iterator[tuple[str, str]]:
    """What shared code says or hears for whoever uses it."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in GLUE:
        yield GLUE[node.func.id]
    elif isinstance(node, ast.ImportFrom) and (node.module or "") in ROADS:
        yield ROADS[node.module or ""]


def _scopes(tree: ast.Module) -> list[ast.AST]:
    functions = [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.Lambda))]
    return [tree, *functions]


def _own(scope: ast.AST) -> Iterator[ast.AST]:
    """Nodes of a scope without those of the functions in it."""
    for child in ast.iter_child_nodes(scope):
        if not isinstance(child, (ast.FunctionDef, ast.Lambda)):
            yield child
            yield from _own(child)


def _held(scope: ast.AST, kind: type[ast.expr]) -> Iterator[tuple[str, str]]:
    """Names, or attributes, to which a topic is assigned in this scope."""
    for node in ast.walk(scope) if kind is ast.Attribute else _own(scope):
        for target, value in _assigned(node):
            if isinstance(target, kind) and _declared(value):
                yield ast.unparse(target), _declared(value)


def _assigned(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    """`a, b = x, y` is two."""
    if isinstance(node, ast.AnnAssign) and node.value is not None:
        yield node.target, node.value
    elif isinstance(node, ast.Assign):
        target, value = node.targets[0], node.value
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            yield from zip(target.elts, value.elts, strict=True)
        else:
            yield target, value


def _declared(node: ast.AST) -> str:
    """X of `topics.X.topic(…)`."""
    if not (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "topic"
    ):
        return ""
    inner = node.func.value
    known = (
        isinstance(inner, ast.Attribute)
        and isinstance(inner.value, ast.Name)
        and inner.value.id == "topics"
    )
    return inner.attr if known and isinstance(inner, ast.Attribute) else ""


def _constant(node: ast.AST, held: Mapping[str, str]) -> str:
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        return held.get(node.id, "")
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return (
            held.get(f"{node.value.id}.{node.attr}", "") if isinstance(node.ctx, ast.Load) else ""
        )
    return _declared(node)


def _verbs(node: ast.AST, parents: Mapping[ast.AST, ast.AST]) -> Iterator[str]:
    parent = parents.get(node)
    if isinstance(parent, ast.Attribute):
        above = parents.get(parent)
        writes = isinstance(above, ast.Call) and parent in above.args and _called(above) in WRITERS
        if parent.attr == "name":
            yield "writes" if writes else "reads"
    elif isinstance(parent, ast.Call) and _called(parent) in (*WRITERS, *READERS):
        yield "writes" if _called(parent) in WRITERS else "reads"
    elif not (
        isinstance(parent, (ast.Assign, ast.AnnAssign))
        or (isinstance(parent, ast.Tuple) and isinstance(parents.get(parent), ast.Assign))
    ):
        yield "unclear"


def _called(call: ast.Call) -> str:
    function = call.func
    return (
        function.attr
        if isinstance(function, ast.Attribute)
        else function.id
        if isinstance(function, ast.Name)
        else ""
    )


@cache
def of(service: str) -> Spoken:
    """What a service says and hears, read once."""
    return spoken(under(f"services/{service}"))


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_writes_what_topics_say_it_produces(service: str) -> None:
    found = of(service)
    declared = {topic.constant for topic in DECLARED if service in topic.producers}

    assert found.unclear == set(), (
        f"{service} hands these topics to helpers; use emit(topic, …), or .name to read"
    )
    assert found.writes == declared, f"topics/: producers differ from services/{service}"


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_reads_what_topics_say_it_consumes(service: str) -> None:
    found = of(service)
    declared = {topic.constant for topic in DECLARED if service in topic.consumers}

    assert found.reads == declared, f"topics/: consumers differ from services/{service}"


@pytest.mark.parametrize(
    ("text", "reads", "writes"),
    [
        ("emit(topics.SCORES.topic(p), m)", set(), {"SCORES"}),
        ("event(topics.LIVE.topic(), m, id=i)", set(), {"LIVE"}),
        ("t = topics.SCORES.topic(p)\nx = [emit(t, m) for m in ms]", set(), {"SCORES"}),
        ("def f():\n    return Emit(topics.SCORES.topic(p).name, b'')", set(), {"SCORES"}),
        (
            "class A:\n    def __init__(self):\n        self._t = topics.SCORES.topic(p)\n"
            "    def f(self):\n        return emit(self._t, m)",
            set(),
            {"SCORES"},
        ),
        ("inputs = [topics.FEATURES.topic(p, 1).name]", {"FEATURES"}, set()),
        (
            "A, B = topics.LIVE.topic(), topics.PULSE.topic()\nx = A.name\n"
            "def f():\n    return event(B, m)",
            {"LIVE"},
            {"PULSE"},
        ),
        ("from driftloop.dataset import read_rows", {"EXAMPLES"}, set()),
        ("from driftloop.event_times import narrowed", {"STATISTICS"}, set()),
        ("kit.follow(topics.PIPELINES.topic(), heard)", {"PIPELINES"}, set()),
        (
            "t = topics.REGISTRY_EVENTS.topic()\nread(t.name)\nemit(t, m)",
            {"REGISTRY_EVENTS"},
            {"REGISTRY_EVENTS"},
        ),
        ("follow_pipelines(kit, a, b)\nmain('x', C, build)", {"PIPELINES"}, {"PULSE"}),
        ("schema(topics.FEATURES.declaration.columns)", set(), set()),
    ],
)
def test_uses_are_found(text: str, reads: set[str], writes: set[str]) -> None:
    found = spoken([parsed("services/x/app.py", text)])

    assert (found.reads, found.writes, found.unclear) == (reads, writes, set())


def test_a_topic_that_is_handed_to_a_helper_is_unclear() -> None:
    assert spoken([parsed("services/x/app.py", "helper(topics.SCORES.topic(p))")]).unclear == {
        "SCORES"
    }


def test_the_glue_speaks_as_the_table_says() -> None:
    glue = next(source for source in under("driftloop") if source.path == "driftloop/service.py")

    found = spoken([glue])

    assert found.writes == {"PULSE"}
    assert found.reads - {"PULSE"} == {"PIPELINES"}
