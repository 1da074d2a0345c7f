"""A thread for calls that may never return, so that whoever waits for them can go on without them.

librdkafka's send_offsets_to_transaction has no timeout of its own, and was seen to wait for ever
where the broker was killed, came back and stood still (2.16: it waits for a coordinator's answer
that was lost with the connection). A loop that waits with it stands for good, unseen.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

from driftloop.kit.errors import Unavailable


class Hung(Unavailable):
    """The call never came back: nothing more can be asked of that client."""


class Aside:
    """Runs one call after the other. Once a call was given up, it is of no use any more."""

    def __init__(self) -> None:
        self._asked: SimpleQueue[Call | None] = SimpleQueue()
        # a daemon: what never returns must not keep the process from ending
        threading.Thread(target=self._run, name="kafka-aside", daemon=True).start()

    def call(self, work: Callable[[], None], within_s: float, what: str) -> None:
        """`work()`, and what it raises. Hung: it has not returned in `within_s`; it may yet."""
        call = Call(work)
        self._asked.put(call)
        if not call.done.wait(within_s):
            raise Hung(f"{what}: the client does not come back from it in {within_s:g} s")
        if call.error is not None:
            raise call.error

    def close(self) -> None:
        """The thread ends after the call that it is in, if it ever does."""
        self._asked.put(None)

    def _run(self) -> None:
        while (call := self._asked.get()) is not None:
            call.run()


class Call:
    """One call and how it ended."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work, self.done = work, threading.Event()
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001  # raised again where it was called
            self.error = error
        self.done.set()
