"""Each declared figure is counted, by its owners and by no one else; the source is read with
ast."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import fields

import pytest

from driftloop.kit.metrics.cells import Figure
from driftloop.kit.metrics.figures import EVERY, declared
from driftloop.kit.task import Decision
from tests.contract.sources import Source, parsed, under

WATERMARK = "watermark_timestamp_seconds"
SIZES = {"queues": "queue_rows", "rows": "state_rows", "bytes": "state_bytes"}  # of kit.task.Sizes
TABLE = "driftloop/kit/metrics/figures.py"


def counted(sources: Iterable[Source]) -> Mapping[str, set[str]]:
    """Figure -> the folders whose source counts it: a service, or `driftloop` for all of them."""
    found: dict[str, set[str]] = defaultdict(set)
    for source in sources:
        folder, within, *_ = source.path.split("/")
        for node in ast.walk(source.tree) if source.path != TABLE else ():
            for name in _asked(node) if folder == "driftloop" else _asked(node) + _told(node):
                found[name].add(within if folder == "services" else folder)
    for name in (
        *SIZES.values(),
        WATERMARK,
    ):  # by whose task tells them, not by the loop that passes them on
        found[name].discard("driftloop")
    return found


def _asked(node: ast.AST) -> list[str]:
    """`x` of `metrics.x.labels` and `self.x.shared`; what is no figure's name does no harm."""
    if isinstance(node, ast.Attribute) and node.attr in ("labels", "shared"):
        return [node.value.attr] if isinstance(node.value, ast.Attribute) else []
    return []


def _told(node: ast.AST) -> list[str]:
    """The figures of a `Sizes({...}, rows, bytes=...)`, and of a `Decision` with a watermark."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
        return []
    if node.func.id == "Decision":
        named = any(each.arg == "watermark_us" for each in node.keywords)
        return [WATERMARK] if named or len(node.args) == len(fields(Decision)) else []
    if node.func.id != "Sizes":
        return []
    names = [*list(SIZES)[: len(node.args)], *(each.arg or "" for each in node.keywords)]
    return [SIZES[name] for name in names]


def mistakes(table: Iterable[Figure], found: Mapping[str, set[str]]) -> list[str]:
    """A sentence for each figure that is not counted where the table says."""
    said = []
    for figure in table:
        wanted = {"driftloop"} if tuple(figure.owners) == EVERY else set(figure.owners)
        where = found.get(figure.name, set())
        said += [f"{figure.name}: {each} owns it and never counts it" for each in wanted - where]
        said += [f"{figure.name}: {each} counts it and is no owner" for each in where - wanted]
    return said


def test_every_figure_that_is_declared_is_counted_by_its_owners_alone() -> None:
    found = counted([*under("driftloop"), *under("services")])
    assert mistakes(declared(), found) == []


A_FIGURE = Figure("rows_total", "counter", "Rows.", "rows", (), ("serving",))
COUNTS = "def f(metrics):\n    metrics.rows_total.labels().inc()\n"


@pytest.mark.parametrize(
    ("path", "text", "said"),
    [
        ("services/serving/app.py", COUNTS, []),
        ("services/serving/app.py", COUNTS.replace("labels", "shared"), []),
        (
            "services/serving/app.py",
            "def f(metrics):\n    metrics.rows_total\n",
            ["rows_total: serving owns it and never counts it"],
        ),
        (
            "services/serving/app.py",
            COUNTS.replace("rows_total", "rows_tota"),
            ["rows_total: serving owns it and never counts it"],
        ),
        (
            "services/monitor/app.py",
            COUNTS,
            [
                "rows_total: serving owns it and never counts it",
                "rows_total: monitor counts it and is no owner",
            ],
        ),
    ],
)
def test_what_is_not_counted_or_by_the_wrong_one_is_seen(
    path: str, text: str, said: list[str]
) -> None:
    assert mistakes([A_FIGURE], counted([parsed(path, text)])) == said


def test_a_task_counts_what_it_tells_of_its_sizes() -> None:
    text = "def sizes(self):\n    return Sizes({}, bytes=1)\n"
    found = counted([parsed("services/features/handlers.py", text)])
    assert {name: where for name, where in found.items() if where} == {
        "queue_rows": {"features"},
        "state_bytes": {"features"},
    }
