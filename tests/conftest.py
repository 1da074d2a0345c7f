"""Fixtures that every kind of test may ask for. Nothing is started before a test asks."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator

import pytest

from tests.support.kafka import SharedKafka, shared_kafka

STACK = {"world", "looped", "pair"}  # fixtures that are the whole product


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """For `-n 2 --dist loadgroup`: a file stays together, and so does all that shares one stack.

    xdist 3.8 does not see groups under pytest 9.2 (it changes a name that pytest no longer reads):
    until it does, each of the two workers may start a stack of its own.
    """
    for item in items:
        shared = STACK & set(getattr(item, "fixturenames", ()))
        item.add_marker(pytest.mark.xdist_group("stack" if shared else item.path.name))


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
