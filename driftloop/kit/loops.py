"""The loops of a process, each in a thread of its own: started and stopped by name while the
process lives."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from driftloop.kit.broker import Broker
from driftloop.kit.clock import Clock
from driftloop.kit.log import bound, logger
from driftloop.kit.loop import Loop, LoopSpec, LoopState
from driftloop.kit.metrics import LoopMeter, Metrics, show
from driftloop.kit.trace import NoTracer, Tracer

log = logger("kit.loops")
STOP_SECONDS_MAX = 3.0  # within the 5 s in which a process drains


@dataclass(frozen=True, slots=True)
class Running:
    """A loop, the thread that carries it, and what stops it."""

    loop: Loop
    thread: threading.Thread
    stop: threading.Event


class Loops:
    """What a loop lets out leaves its thread, and with it ends the process (kit.run)."""

    def __init__(
        self,
        broker: Broker,
        clock: Clock,
        metrics: Metrics,
        tracer: Tracer | None = None,
    ) -> None:
        self._broker, self._clock, self._metrics = broker, clock, metrics
        self._tracer = tracer or NoTracer()
        self._running: dict[str, Running] = {}
        self._lock = threading.Lock()
        metrics.before_scrape(self._show)

    def start(self, spec: LoopSpec) -> None:
        """Run `spec` in a thread; a loop of the same name is stopped first."""
        self.stop(spec.name)
        meter = LoopMeter(self._metrics, spec.name, spec.pipeline)
        loop = Loop(spec, self._broker, self._clock, meter, self._tracer)
        stop = threading.Event()
        thread = threading.Thread(
            target=_run, args=(loop, stop), name=f"loop-{spec.name}", daemon=True
        )
        with self._lock:
            self._running[spec.name] = Running(loop, thread, stop)
        thread.start()
        log.info("loop started", extra={"fields": {"loop": spec.name, "pipeline": spec.pipeline}})

    def stop(self, name: str) -> None:
        """End the loop `name`, if there is one, and forget it. Waits 3 s at most for its commit."""
        with self._lock:
            running = self._running.pop(name, None)
        if running is None:
            return
        running.stop.set()
        _join([running])

    def stop_all(self) -> None:
        """The same for all, together. Their states stay to be read."""
        with self._lock:
            every = list(self._running.values())
        for running in every:
            running.stop.set()
        _join(every)

    def states(self) -> Sequence[LoopState]:
        """How each loop is, failed ones included, in the order of their start."""
        with self._lock:
            return [running.loop.state for running in self._running.values()]

    def _show(self) -> None:
        for state in self.states():
            show(self._metrics, state)


def _run(loop: Loop, stop: threading.Event) -> None:
    """What the loop and its task log says whose it is."""
    with bound(loop=loop.spec.name, pipeline=loop.spec.pipeline):
        loop.run(stop)


def _join(every: Sequence[Running]) -> None:
    for running in every:
        if running.thread is not threading.current_thread():
            running.thread.join(STOP_SECONDS_MAX / max(1, len(every)))
        if running.thread.is_alive():
            log.warning(
                "loop didn't end in time", extra={"fields": {"loop": running.loop.spec.name}}
            )
