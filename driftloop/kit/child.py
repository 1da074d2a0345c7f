"""Long work in a child process: it can be limited, watched, cancelled and killed, and it never
outlives us.

Children are forked from one small server that has already imported what they need, so a start costs
milliseconds. What a child does is a plain function, `def fit(argument: dict, report:
Callable[[dict], None]) -> dict`; what goes in and out is picklable. Nothing of a child stays but
what it gave back.
"""

from __future__ import annotations

import ctypes
import importlib
import math
import multiprocessing
import os
import resource
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from driftloop.kit import log

Report = Callable[[dict[str, Any]], None]
DETAIL_CHARACTERS_MAX = 4_000  # the end of a traceback
END_SECONDS_MAX = 2.0  # a killed process that isn't gone by then hangs in the kernel; we go on
OUT_OF_MEMORY = "out of memory: it may take {:,} MB beyond what it starts with"
KILLED = (
    "killed by SIGKILL, as Linux does where memory runs out: give the machine or the container "
    "more than the {:,} MB that it may take beyond what it starts with"
)
# Of 1,000: where memory runs out, a child goes before whoever started it and answers others
OOM_SCORE = 800
OWN_SCORE = Path("/proc/self/oom_score_adj")
_MB = 1_000_000
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Finished:
    """What came of a child: a result, or in one line why there is none. `detail` is its
    traceback."""

    result: dict[str, Any] | None
    error: str = ""
    killed: bool = False  # cancelled, or over a limit
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """`seconds_max` of wall time; `memory_mb_max` of data beyond what is there at the start; nice
    from 0 to 19."""

    seconds_max: float
    memory_mb_max: int
    nice: int = 0


def told(work: Callable[[], object], plain: tuple[type[Exception], ...] = ()) -> str:
    """In one line what `work` raised, empty if nothing. For a part of a child's work that others
    wrote and that must be able to fail alone. `plain`: whose texts are meant for people, and come
    without the name of what was raised; the traceback of others goes to the log.
    """
    try:
        work()
    except plain as error:
        return str(error) or type(error).__name__
    except MemoryError:
        return "out of memory: it took more than it may, beyond what is there at the start"
    except Exception as error:  # noqa: BLE001  # whatever it is, the rest of the work goes on
        log.logger("child").exception("%s failed alone", getattr(work, "__name__", "a part"))
        return log.redacted(f"{type(error).__name__}: {error}")
    return ""


class Children:
    """Starts children. `preload`: modules that the server imports once; one server a process, the
    first preload counts."""

    def __init__(self, preload: Sequence[str] = ()) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(list(preload))
        # it imports while we go on, so that the first child needn't wait
        forkserver.ensure_running()
        self._children: list[Child] = []

    def start(
        self,
        name: str,
        target: str,
        argument: dict[str, Any],
        *,
        seconds_max: float,
        memory_mb_max: int,
        nice: int = 0,
    ) -> Child:
        """Run `target`, "module:function", on `argument`. Returns once the child exists; its work
        goes on beside us."""
        limits = Limits(seconds_max, memory_mb_max, nice)
        results, results_there = self._context.Pipe(duplex=False)
        lifeline_there, lifeline = self._context.Pipe(duplex=False)
        process = self._context.Process(
            target=_work,
            name=name,
            daemon=True,
            args=(target, argument, limits, results_there, lifeline_there, log.inherited()),
        )
        process.start()
        results_there.close()
        lifeline_there.close()
        child = Child(name, process, results, lifeline, limits)
        self._children = [one for one in self._children if not one.ended] + [child]
        return child

    @property
    def at_work(self) -> int:
        """How many have not ended, as far as they were asked."""
        return sum(not child.ended for child in self._children)

    def close(self) -> None:
        """Kill all that still work."""
        for child in self._children:
            child.cancel()


class Child:
    """One running piece of work. For one thread."""

    def __init__(
        self,
        name: str,
        process: ForkServerProcess,
        results: Connection,
        lifeline: Connection,
        limits: Limits,
    ) -> None:
        self.name, self.limits = name, limits
        self._process, self._results, self._lifeline = process, results, lifeline
        self._progress: list[dict[str, Any]] = []
        self._finished: Finished | None = None

    @property
    def ended(self) -> bool:
        return self._finished is not None

    @property
    def pid(self) -> int:
        return self._process.pid or 0

    def poll(self) -> Finished | None:
        """None while it works; then always the same."""
        if self._finished is None:
            gone = (
                self._process.exitcode is not None
            )  # asked first: what it sent before is then in the pipe
            self._receive()
            if self._finished is None and gone:
                self._end(self._without_result())
        return self._finished

    def progress(self) -> list[dict[str, Any]]:
        """What the child has reported since the last call, in order."""
        self.poll()
        reported, self._progress = self._progress, []
        return reported

    def cancel(self) -> None:
        """Kill it; what it has not yet given back is lost."""
        if self.poll() is None:
            self._end(Finished(None, "cancelled", killed=True))

    def _receive(self) -> None:
        try:
            while self._finished is None and self._results.poll():
                self._take(self._results.recv())
        except (EOFError, OSError):  # it died, perhaps in the middle of sending: poll() sees how
            return

    def _take(self, message: Any) -> None:
        if isinstance(message, Finished):
            self._end(message)
        else:
            self._progress.append(message)

    def _without_result(self) -> Finished:
        code = self._process.exitcode or 0
        if code in (-signal.SIGALRM, -signal.SIGXCPU):
            return Finished(None, f"took longer than {self.limits.seconds_max:g} s", killed=True)
        if code == -signal.SIGKILL:  # we would have said why: see `_end`
            return Finished(None, KILLED.format(self.limits.memory_mb_max), killed=True)
        if code < 0:
            return Finished(None, f"killed by {signal.Signals(-code).name}", killed=True)
        return Finished(None, f"ended with status {code} and no result")

    def _end(self, finished: Finished) -> None:
        self._finished = finished
        self._process.kill()  # also after a result: a thread of its own must not keep it
        self._process.join(END_SECONDS_MAX)
        self._results.close()
        self._lifeline.close()


def _work(
    target: str,
    argument: dict[str, Any],
    limits: Limits,
    results: Connection,
    lifeline: Connection,
    logs: log.Inherited,
) -> None:
    """The child's whole life."""
    _die_with_parent(lifeline)
    log.adopt(logs)
    _limit(limits)
    try:
        module, _, function = target.partition(":")
        result = getattr(importlib.import_module(module), function)(argument, results.send)
        if not isinstance(result, dict):
            raise TypeError(f"{target} gave back {type(result).__name__}, wanted dict")
        results.send(Finished(result))
    except MemoryError:
        results.send(Finished(None, OUT_OF_MEMORY.format(limits.memory_mb_max), killed=True))
    except Exception as error:  # noqa: BLE001  # whatever it is, the parent must hear of it
        text = log.redacted(f"{type(error).__name__}: {error}")
        detail = log.redacted(traceback.format_exc())[-DETAIL_CHARACTERS_MAX:]
        results.send(Finished(None, text, detail=detail))


def _die_with_parent(lifeline: Connection) -> None:
    """The parent holds the other end of `lifeline` and sends nothing: its end is the parent's.
    Linux's signal for the death of the fork server comes beside it, for a child that never lets
    another thread run."""
    multiprocessing.current_process().daemon = False  # its own children end with it as it with us
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all; the parent decides
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    end_with(lifeline)


def end_with(lifeline: Connection, last: Callable[[], None] | None = None) -> None:
    """From now on this process is killed when the other end of `lifeline` is closed, as a death
    closes it; `last` is done first. For processes that a child starts of its own: they hang on it
    as it hangs on us.
    """
    of = (lifeline, last)
    threading.Thread(target=_watch, args=of, name="lifeline", daemon=True).start()


def _watch(lifeline: Connection, last: Callable[[], None] | None) -> None:
    try:
        lifeline.recv_bytes()
    except (EOFError, OSError):
        if last is not None:
            last()
        os.kill(os.getpid(), signal.SIGKILL)


def _limit(limits: Limits) -> None:
    signal.signal(
        signal.SIGALRM, signal.SIG_DFL
    )  # the kernel's own end: works while C code holds the interpreter
    signal.setitimer(signal.ITIMER_REAL, limits.seconds_max)
    cpu_s = math.ceil(limits.seconds_max * (os.cpu_count() or 1)) + 1
    _lower(resource.RLIMIT_CPU, cpu_s)
    limit_memory(limits.memory_mb_max * _MB)
    if limits.nice:
        os.nice(limits.nice)
    go_first()


def go_first(score: Path = OWN_SCORE) -> None:
    """When memory runs out. Raising one's own score is allowed by Linux, not by every sandbox, and
    macOS has none: the work is done all the same."""
    with suppress(OSError):
        score.write_text(str(max(OOM_SCORE, int(score.read_text()))))


def memory_left() -> int | None:
    """Bytes of data that this process may still take; None where it has no limit."""
    soft, _ = resource.getrlimit(resource.RLIMIT_DATA)
    if soft == resource.RLIM_INFINITY or sys.platform != "linux":
        return None
    return max(0, soft - _data_bytes())


def limit_memory(bytes_max: int) -> None:
    """What this process may take from now on, beyond what it has."""
    if sys.platform == "linux":  # macOS enforces neither RLIMIT_DATA nor RLIMIT_AS
        _lower(resource.RLIMIT_DATA, _data_bytes() + bytes_max)


def _lower(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    soft = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (soft, hard))


def _data_bytes() -> int:
    """Private writable memory now. RLIMIT_DATA counts it, and not the address space that allocators
    merely reserve."""
    return int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
