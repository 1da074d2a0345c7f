"""Commands from RPC threads to a loop's task, which decides them in its own order and transactions.

`submit` sets `wake`, which is the loop's (LoopSpec.wake), so a command is looked at within 20 ms.
The task takes the commands in `tick` and resolves their futures in `committed`, when they are
facts.
"""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

from driftloop.kit.errors import Unavailable

C = TypeVar("C")
WAITING_MAX = (
    1000  # commands; a person or a script, never a stream: more means that the loop stands
)


class Inbox(Generic[C]):
    """In order of submission; bounded."""

    def __init__(self, waiting_max: int = WAITING_MAX) -> None:
        self.wake = threading.Event()
        self._max = waiting_max
        self._lock = threading.Lock()
        self._waiting: deque[tuple[C, Future[Any]]] = deque()
        self._taken: list[Future[Any]] = []

    def submit(self, command: C) -> Future[Any]:
        """Its answer, to be waited for with a deadline. Unavailable when too many wait."""
        future: Future[Any] = Future()
        with self._lock:
            if len(self._waiting) >= self._max:
                raise Unavailable(f"{self._max} commands wait already")
            self._waiting.append((command, future))
        self.wake.set()
        return future

    def take(self) -> list[tuple[C, Future[Any]]]:
        """All that wait, each once. A command whose asker has gone is left out."""
        with self._lock:
            waiting, self._waiting = list(self._waiting), deque()
            taken = [(command, future) for command, future in waiting if not future.cancelled()]
            self._taken = [f for f in self._taken if not f.done()] + [future for _, future in taken]
        return taken

    def give_up(self, reason: str) -> None:
        """What was taken and not answered gets Unavailable: for a task's `close`. What waits stays
        for the next."""
        with self._lock:
            taken, self._taken = self._taken, []
        for future in taken:
            if not future.done():
                future.set_exception(Unavailable(reason))
