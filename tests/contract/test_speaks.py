"""`producers` and `consumers` of each topic are what the services' sources really do.

A topic is written where `topics.X.topic(…)`, or a name that holds it, is an argument of a WRITER;
it is read where its
`.name` is used otherwise, or where it is followed. `driftloop.service` speaks for whoever calls it
(GLUE).
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import pytest

from infra.tools.declarations import SERVICES, load
from infra.tools.generate import ROOT
from tests.contract.sources import Source, parsed, under

WRITERS = (
    "emit",
    "emit_raw",
    "event",
    "Emit",
    "written",
)  # written(topic): says so where a foreign client does the writing
READERS = ("follow", "Follower", "records", "events")
GLUE: Mapping[str, tuple[str, str]] = {  # what driftloop.service does for its caller
    "main": ("writes", "PULSE"),
    "follow_pipelines": ("reads", "PIPELINES"),
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
    found = Spoken()
    for source in sources:
        for verb, constant in _uses(source.tree):
            getattr(found, verb).add(constant)
    found.unclear -= found.reads | found.writes
    return found


def _uses(tree: ast.Module) -> Iterator[tuple[str, str]]:
    attributes = dict(_held(tree, ast.Attribute))
    for scope in _scopes(tree):
        names = dict(_held(scope, ast.Name))
        parents = {child: node for node in ast.walk(scope) for child in ast.iter_child_nodes(node)}
        for node in _own(scope):
            constant = _constant(node, {**attributes, **names})
            if constant:
                yield from ((verb, constant) for verb in _verbs(node, parents))
            if (
                isinstance(node, ast.Call)
                and _called(node) in GLUE
                and isinstance(node.func, ast.Name)
            ):
                yield GLUE[_called(node)]


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
    nodes = ast.walk(scope) if kind is ast.Attribute else _own(scope)
    for node in nodes:
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.targets[0], kind)
            and _declared(node.value)
        ):
            yield ast.unparse(node.targets[0]), _declared(node.value)


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
    if isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Load):
        return held.get(ast.unparse(node), "")
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
    elif not isinstance(parent, (ast.Assign, ast.AnnAssign)):
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


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_writes_what_topics_say_it_produces(service: str) -> None:
    found = spoken(under(f"services/{service}"))
    declared = {topic.constant for topic in DECLARED if service in topic.producers}

    assert found.unclear == set(), (
        f"{service} hands these topics to helpers; use emit(topic, …), or .name to read"
    )
    assert found.writes == declared, f"topics/: producers differ from services/{service}"


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_reads_what_topics_say_it_consumes(service: str) -> None:
    found = spoken(under(f"services/{service}"))
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
