"""Keeps a list of services running as separate processes: start in order, restart with back-off,
stop in reverse.

A service that ends unasked is started again after .2 s, .4 s, … 10 s; the end of its log is told
once each time. What
the services are, and when one is ready, is the stack's business. Children are bound to us by
leash.py, so that they
end whatever happens to this process; they are all started by the one thread of `Supervisor`, which
lives as long.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from driftloop.kit.errors import Unavailable
from infra.local.process import Process
from infra.local.usage import Meter, Usage

LOOK_S = 0.1  # how often ends are looked for
# how often CPU and memory are read; a process that lives shorter is counted by its last sample
SAMPLE_S = 1.0
BACKOFF_S = 0.2
BACKOFF_S_MAX = 10.0
CALM_S = 30.0  # a service that ran this long starts again at the first back-off
# for all in order, SIGTERM to SIGKILL: services drain for at most 5 s, the broker in about 1 s
STOP_S = 20.0
ENDS_BEFORE_READY_MAX = 3  # a service that ends this often before it was ever ready will not be


@dataclass(frozen=True, slots=True)
class Service:
    """What to run. `ready` is asked (in the thread of `start`) until it is true; the next service
    waits for it.
    """

    name: str
    command: Sequence[str]
    env: Mapping[str, str]
    folder: Path
    ready: Callable[[], bool] = lambda: True
    ready_s: float = 60.0


@dataclass(slots=True)
class State:
    """How a service is doing, as `states` tells."""

    service: Service
    process: Process
    started_s: float
    restarts: int = 0
    backoff_s: float = BACKOFF_S
    due_s: float | None = None  # when it is started again; None: it runs
    exits: list[int] = field(default_factory=list)
    asked: bool = False  # its next end was asked for: not told, and followed by a start at once
    told: str = ""  # the last line of its log when it ended last


class Supervisor:
    """`start` each service in order, `stop` them all. Safe to call from any thread."""

    def __init__(self, logs: Path, say: Callable[[str], None], restarts_max: int = 100) -> None:
        self._logs = logs
        self._say = say
        # in a row without a calm run; then the service stays down and is told
        self._restarts_max = restarts_max
        self._states: dict[str, State] = {}
        self._groups: list[list[str]] = []  # in order of start; a group is stopped together
        self._meter = Meter()
        self._asks: queue.Queue[tuple[Callable[[], object], Future[object]]] = queue.Queue()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._thread.start()

    def start(self, services: Sequence[Service], *, ready: bool = True) -> None:
        """Start a group together and wait until each is ready. Unavailable: one is not, and the end
        of its log.
        """
        for service in services:
            self._ask(partial(self._launch, service))
        self._groups.append([service.name for service in services])
        if ready:
            for service in services:
                self._await_ready(service)

    def adopt(self, service: Service, process: Process) -> None:
        """Look after a process that runs already (the broker) as a group of its own."""
        self._ask(partial(self._take, service, process))
        self._groups.append([service.name])

    def restart(self, name: str, within_s: float = STOP_S) -> None:
        """Ask a service to stop, start it again, wait until it is ready. Unavailable: as `start`.

        One that has not stopped in `within_s` is killed.
        """
        old = self._states[name].process
        self._ask(partial(self._end_to_begin, name))
        deadline = time.monotonic() + within_s
        while self._states[name].process is old:
            if time.monotonic() > deadline:
                self._ask(old.kill)
            time.sleep(0.05)
        self._await_ready(self._states[name].service)

    def stop(self, stop_s: float = STOP_S) -> None:
        """The group started last stops first; all in `stop_s`, then by force. Twice is once."""
        if not self._thread.is_alive():
            return
        self._ask(lambda: self._stop_all(stop_s))
        self._stopping.set()
        self._thread.join()

    def states(self) -> Mapping[str, State]:
        """Name → state, as of now."""
        return dict(self._states)

    def usage(self) -> Mapping[str, Usage]:
        """Name → CPU seconds and peak memory over all starts and children so far."""
        if self._thread.is_alive():
            self._ask(self._meter.sample)
        return self._meter.usage()

    # ---- from here on: the supervisor's own thread ----

    def _watch(self) -> None:
        next_sample_s = 0.0
        while not self._stopping.is_set():
            self._answer_asks(LOOK_S)
            now_s = time.monotonic()
            for name in list(self._states):
                self._look_after(self._states[name], now_s)
            if now_s >= next_sample_s:
                self._meter.sample()
                next_sample_s = now_s + SAMPLE_S

    def _answer_asks(self, within_s: float) -> None:
        try:
            action, answer = self._asks.get(timeout=within_s)
        except queue.Empty:
            return
        try:
            answer.set_result(action())
        except OSError as error:
            answer.set_exception(error)

    def _look_after(self, state: State, now_s: float) -> None:
        if state.due_s is not None:
            if now_s >= state.due_s:
                self._relaunch(state, now_s)
            return
        code = state.process.ended()
        if code is not None:
            self._schedule(state, code, now_s)

    def _end_to_begin(self, name: str) -> None:
        state = self._states[name]
        state.asked = True
        state.process.terminate()

    def _schedule(self, state: State, code: int, now_s: float) -> None:
        """Say what ended and why, and set the time of its next start."""
        state.process.wait(0.0)
        name = state.service.name
        if state.asked:
            state.due_s = now_s
            return
        state.exits.append(code)
        if now_s - state.started_s > CALM_S:
            state.backoff_s = BACKOFF_S
        if state.restarts >= self._restarts_max:
            self._say(
                f"{name} ended with {code} for the {state.restarts + 1}th time: it stays down"
            )
            state.due_s = float("inf")
            return
        self._say(_obituary(state, code))
        state.due_s = now_s + state.backoff_s
        state.backoff_s = min(2 * state.backoff_s, BACKOFF_S_MAX)

    def _relaunch(self, state: State, now_s: float) -> None:
        try:
            state.process = self._process(state.service)
        except OSError as error:  # no space for its log, no memory for a process: both may pass
            self._say(f"{state.service.name} can't be started: {error}; again in {BACKOFF_S_MAX} s")
            state.due_s = now_s + BACKOFF_S_MAX
            return
        state.started_s, state.due_s = now_s, None
        state.restarts += not state.asked
        state.asked = False

    def _launch(self, service: Service) -> None:
        self._take(service, self._process(service))

    def _take(self, service: Service, process: Process) -> None:
        self._meter.follow(service.name, process.pid)
        self._states[service.name] = State(service, process, time.monotonic())

    def _process(self, service: Service) -> Process:
        log = self._logs / f"{service.name}.log"
        process = Process(service.command, log, service.env, service.folder)
        self._meter.follow(service.name, process.pid)
        return process

    def _stop_all(self, stop_s: float) -> None:
        self._meter.sample()
        deadline = time.monotonic() + stop_s
        for group in reversed(self._groups):
            states = [self._states.pop(name) for name in group if name in self._states]
            for state in states:
                state.process.terminate()
            for state in states:
                self._await_end(state, max(0.1, deadline - time.monotonic()))

    def _await_end(self, state: State, within_s: float) -> None:
        if not state.process.wait(within_s):
            self._say(f"{state.service.name} did not stop in time and was killed")

    # ---- the caller's thread ----

    def _ask(self, action: Callable[[], object]) -> object:
        assert self._thread.is_alive(), "the supervisor has stopped"
        answer: Future[object] = Future()
        self._asks.put((action, answer))
        while True:
            try:
                return answer.result(1.0)
            except TimeoutError:
                assert self._thread.is_alive(), (
                    "the supervisor's thread has ended; see its traceback"
                )

    def _await_ready(self, service: Service) -> None:
        deadline = time.monotonic() + service.ready_s
        while not service.ready():
            ended = len(self._states[service.name].exits) >= ENDS_BEFORE_READY_MAX
            if ended or time.monotonic() > deadline:
                raise Unavailable(self._not_ready(service))
            time.sleep(0.05)

    def _not_ready(self, service: Service) -> str:
        process = self._states[service.name].process
        return f"{service.name} does not get ready; the end of {process.log}:\n{process.tail()}"


def _obituary(state: State, code: int) -> str:
    """With the end of its log, but where that ended in the same line before, as where a port stays
    taken."""
    how = f"signal {-code}" if code < 0 else f"code {code}"
    head = f"{state.service.name} ended ({how}); again in {state.backoff_s:.1f} s"
    lines = state.process.tail().splitlines()
    before, state.told = state.told, lines[-1] if lines else ""
    if before and state.told == before:
        return f"{head}, as before"
    return "\n".join([f"{head}. The end of {state.process.log}:", *(f"    {x}" for x in lines)])
