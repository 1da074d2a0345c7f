"""Inbox: commands in order, each once, bounded, and never left without an answer."""

from __future__ import annotations

import pytest

from driftloop.kit.errors import Unavailable
from driftloop.kit.inbox import Inbox


def test_commands_are_taken_once_in_order_and_wake_the_loop() -> None:
    inbox: Inbox[str] = Inbox()
    first, second = inbox.submit("promote"), inbox.submit("rollback")
    assert inbox.wake.is_set()
    taken = inbox.take()
    assert [(command, future) for command, future in taken] == [
        ("promote", first),
        ("rollback", second),
    ]
    assert inbox.take() == []


def test_a_cancelled_command_is_left_out() -> None:
    inbox: Inbox[str] = Inbox()
    inbox.submit("gone").cancel()
    inbox.submit("here")
    assert [command for command, _ in inbox.take()] == ["here"]


def test_more_than_the_most_is_unavailable() -> None:
    inbox: Inbox[int] = Inbox(waiting_max=1)
    inbox.submit(1)
    with pytest.raises(Unavailable):
        inbox.submit(2)


def test_giving_up_answers_what_was_taken_and_keeps_what_waits() -> None:
    inbox: Inbox[int] = Inbox()
    answered, taken = inbox.submit(1), inbox.submit(2)
    inbox.take()
    answered.set_result("done")
    waiting = inbox.submit(3)
    inbox.give_up("rebalanced")
    assert answered.result(0) == "done"
    with pytest.raises(Unavailable, match="rebalanced"):
        taken.result(0)
    assert not waiting.done()
    assert [command for command, _ in inbox.take()] == [3]
