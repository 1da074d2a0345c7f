"""The services as their pulses tell: newest of each replica, rows a second between two of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from driftloop.contracts.pulse_pb2 import LoopPulse, Pulse

SILENT_MS = 10_000  # a process pulses every second; ten missed are no hiccup
REPLICAS_MAX = 500  # anyone may write pulses


@dataclass(frozen=True, slots=True)
class _Seen:
    pulse: Pulse
    rows_per_s: float


class Processes:
    """All replicas of all services."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], _Seen] = {}

    def add(self, pulse: Pulse) -> None:
        key = (pulse.service, pulse.replica)
        before = self._seen.get(key)
        if before is not None and pulse.at_ms <= before.pulse.at_ms:
            return
        if before is None and len(self._seen) >= REPLICAS_MAX:
            del self._seen[min(self._seen, key=lambda each: self._seen[each].pulse.at_ms)]
        self._seen[key] = _Seen(pulse, _rate(before, pulse))

    def told(self, now_ms: int) -> list[dict[str, Any]]:
        """Running, silent and ended ones. Left out is what another has followed, and what ended by
        itself while others of its service run."""
        return [
            _told(seen, now_ms)
            for _, seen in sorted(self._seen.items())
            if not self._replaced(seen.pulse, now_ms)
        ]

    def silent(self, now_ms: int) -> list[str]:
        """Services that have not pulsed lately and did not say that they end."""
        newest: dict[str, Pulse] = {}
        for seen in self._seen.values():
            last = newest.setdefault(seen.pulse.service, seen.pulse)
            if seen.pulse.at_ms > last.at_ms:
                newest[seen.pulse.service] = seen.pulse
        return sorted(
            name
            for name, last in newest.items()
            if not last.ended and now_ms - last.at_ms > SILENT_MS
        )

    def _replaced(self, pulse: Pulse, now_ms: int) -> bool:
        if not (pulse.ended or now_ms - pulse.at_ms > SILENT_MS):
            return False
        others = [one.pulse for one in self._seen.values() if one.pulse.service == pulse.service]
        return any(
            other.started_ms > pulse.at_ms
            or (pulse.ended and not other.ended and now_ms - other.at_ms <= SILENT_MS)
            for other in others
        )


def _rate(before: _Seen | None, pulse: Pulse) -> float:
    if before is None or before.pulse.started_ms != pulse.started_ms:
        return 0.0
    rows = _rows_in(pulse) - _rows_in(before.pulse)
    return max(0.0, rows / ((pulse.at_ms - before.pulse.at_ms) / 1_000))


def _rows_in(pulse: Pulse) -> int:
    return sum(loop.rows_in for loop in pulse.loops)


def _told(seen: _Seen, now_ms: int) -> dict[str, Any]:
    pulse = seen.pulse
    silent = now_ms - pulse.at_ms > SILENT_MS
    return {
        "service": pulse.service,
        "replica": pulse.replica,
        "state": _state(pulse, silent),
        "lag_records": sum(loop.lag_records for loop in pulse.loops),
        "rows_per_s": 0.0 if silent or pulse.ended else round(seen.rows_per_s, 1),
        "error": next((loop.error for loop in pulse.loops if loop.error), ""),
        "cpu_s": round(pulse.cpu_s, 1),
        "rss_mb": round(pulse.rss_mb, 1),
        "started_ms": pulse.started_ms,
        "at_ms": pulse.at_ms,
        "loops": [_loop(loop) for loop in pulse.loops],
    }


def _state(pulse: Pulse, silent: bool) -> str:
    if pulse.ended:
        return "ended"
    if silent:
        return "silent"
    return "failed" if any(loop.state == "failed" for loop in pulse.loops) else "running"


def _loop(loop: LoopPulse) -> dict[str, Any]:
    return {
        "loop": loop.loop,
        "pipeline": loop.pipeline,
        "state": loop.state,
        "error": loop.error,
        "lag_records": loop.lag_records,
    }
