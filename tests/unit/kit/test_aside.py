"""Calls that may never return, made beside who waits for them."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from driftloop.kit.errors import Fenced
from driftloop.kit.kafka.aside import Aside, Hung
from tests.support import eventually


@pytest.fixture
def aside() -> Iterator[Aside]:
    aside = Aside()
    yield aside
    aside.close()


def test_calls_are_made_in_one_other_thread_and_are_over_when_they_return(aside: Aside) -> None:
    done: list[threading.Thread] = []
    for number in range(3):
        aside.call(lambda: done.append(threading.current_thread()), 5.0, "append")
        assert len(done) == number + 1
    assert len(set(done)) == 1
    assert done[0] is not threading.current_thread()


def test_what_a_call_raises_is_raised_where_it_was_asked_for_and_the_next_is_made(
    aside: Aside,
) -> None:
    done: list[str] = []

    def refused() -> None:
        raise Fenced("a newer owner")

    with pytest.raises(Fenced, match="a newer owner"):
        aside.call(refused, 5.0, "commit")
    aside.call(lambda: done.append("next"), 5.0, "commit")
    assert done == ["next"]


def test_a_call_that_does_not_come_back_is_given_up_and_its_end_is_no_one_s(aside: Aside) -> None:
    free, done = threading.Event(), list[str]()

    def slow() -> None:
        free.wait(10.0)
        done.append("late")

    with pytest.raises(Hung, match=r"commit: the client does not come back from it in 0.01 s"):
        aside.call(slow, 0.01, "commit")
    assert done == []
    free.set()
    eventually(lambda: done == ["late"])


def test_the_thread_ends_with_the_call_that_it_is_in() -> None:
    aside, thread = Aside(), [threading.current_thread()]
    aside.call(lambda: thread.append(threading.current_thread()), 5.0, "look")
    aside.close()
    thread[-1].join(5.0)
    assert not thread[-1].is_alive()
    assert thread[-1].daemon  # one that never ends keeps no process alive
