"""What a stack says before it starts anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from driftloop.kit.errors import Unavailable
from infra.local.stack import Stack, running


def test_a_stack_that_is_still_starting_is_known_to_stop_and_to_a_second_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known: list[Path] = []
    monkeypatch.setattr(Stack, "_start", lambda _: known.extend(running(tmp_path)))

    stack = Stack(tmp_path / "demo").up()

    assert known == [tmp_path / "demo" / "stack.json"]
    stack.down()
    assert running(tmp_path) == {}


def test_a_broker_that_is_named_and_away_is_told_at_once_in_one_line(tmp_path: Path) -> None:
    stack = Stack(tmp_path, environ={"KAFKA_BOOTSTRAP": "127.0.0.1:1"})

    with pytest.raises(Unavailable) as told:
        stack.up()

    assert str(told.value) == (
        "no broker answers at 127.0.0.1:1: mend KAFKA_BOOTSTRAP, or unset it to have one here"
    )
    assert stack.pids() == {}
