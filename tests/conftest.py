"""Fixtures that every kind of test may ask for. Nothing is started before a test asks."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from tests.support.kafka import SharedKafka, shared_kafka

ROOT = Path(__file__).parents[1]
STACK = re.compile(r"\b(world|looped|pair): ")  # fixtures that are the whole product


class ByStack(LoadScopeScheduling):  # type: ignore[misc]
    """A file stays on one worker, and so do all files that share the one stack: a stack takes ten
    seconds and a gigabyte to start.

    xdist's own `loadgroup` would do; its 3.8 doesn't see groups under pytest 9.2 (it changes a name
    that pytest no longer reads).
    """

    def _split_scope(self, nodeid: str) -> str:
        return scope(nodeid.split("::", 1)[0])


@cache
def scope(path: str) -> str:
    """Of a file, which each of its tests asks for."""
    return "stack" if STACK.search((ROOT / path).read_text()) else path


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByStack | None:
    """For `--dist loadgroup`."""
    return ByStack(config, log) if config.getvalue("dist") == "loadgroup" else None


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedKafka]:
    """A real Apache Kafka for the whole run. Its topics are shared: name yours by `prefix`."""
    with shared_kafka(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture
def prefix(request: pytest.FixtureRequest) -> str:
    """A name that no other test has, fit for topics, groups and pipelines:
    `a-label-comes-late-3f2a91`.
    """
    story = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower().removeprefix("test_")).strip("-")
    return f"t-{story[:24].strip('-')}-{uuid.uuid4().hex[:8]}"
