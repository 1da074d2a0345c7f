"""The whole product for end-to-end tests: one stack of real processes a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from infra.local.stack import Stack
from tests.support.loop import World


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Kafka, the seven services and the live view, with a client beside them."""
    with Stack(tmp_path_factory.mktemp("stack")) as stack, World.of(stack) as world:
        yield world
