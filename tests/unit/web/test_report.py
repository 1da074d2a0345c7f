"""The page's figures as a file: the same figures, whole without any host."""

from __future__ import annotations

import json
import re

import pytest

from driftloop.kit.errors import Refused
from driftloop.kit.memory import MemoryBroker
from driftloop.web import report
from driftloop.web.feed import Feed
from driftloop.web.state import State
from tests.support.eventually import eventually
from tests.support.year import fill

DAYS = 8


@pytest.fixture(scope="module")
def broker() -> MemoryBroker:
    broker = MemoryBroker()
    fill(broker, days=DAYS)
    return broker


def test_its_figures_are_the_pages(broker: MemoryBroker) -> None:
    told = report.document(broker, "flights")
    state = State()
    with Feed(broker, state, "memory"):

        def page() -> object:
            found = json.loads(state.document("flights")[1])
            return {name: found[name] for name in ("totals", "buckets", "models", "bands")}

        mine = {name: told[name] for name in ("totals", "buckets", "models", "bands")}
        assert eventually(lambda: page() == mine, within_s=20)


def test_the_file_holds_all_that_it_needs(broker: MemoryBroker) -> None:
    told = report.document(broker, "flights")
    html = report.page(told, "late <flights>")

    assert "<title>late &lt;flights&gt;</title>" in html
    assert not re.search(r"""(src|href)=["']?http|@import|import\s+\w+\s+from""", html)
    figures = re.search(r'id="figures">(.*?)</script>', html)
    assert figures is not None
    columns = json.loads(figures[1])["columns"]
    assert [len(each) for each in columns] == [4 * DAYS] * 3
    for line in report.summary(told):
        assert line.replace("'", "&#x27;") in html
    for model in told["models"]:
        assert f">@{model['version']}<" in html


def test_what_is_not_declared_is_refused(broker: MemoryBroker) -> None:
    with pytest.raises(Refused, match="no pipeline nobody"):
        report.document(broker, "nobody")
