"""The services as their pulses tell: newest of each replica, rows a second between two of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from driftloop.contracts.pulse_pb2 import LoopPulse, Pulse

SILENT_MS = 10_000  # a process pulses every second; ten missed are no hiccup
FORGOTTEN_MS = 600_000  # a replica that was silent so long is gone for good
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
        """Running and silent ones; a silent one that another has followed is left out."""
        return [
            _told(seen, now_ms)
            for _, seen in sorted(self._seen.items())
            if not self._replaced(seen.pulse, now_ms)
        ]

    def silent(self, now_ms: int) -> list[str]:
        """Services of which no replica has pulsed lately."""
        newest: dict[str, int] = {}
        for seen in self._seen.values():
            service = seen.pulse.service
            newest[service] = max(newest.get(service, 0), seen.pulse.at_ms)
        return sorted(name for name, at_ms in newest.items() if now_ms - at_ms > SILENT_MS)

    def _replaced(self, pulse: Pulse, now_ms: int) -> bool:
        silent_ms = now_ms - pulse.at_ms
        return silent_ms > FORGOTTEN_MS or (
            silent_ms > SILENT_MS
            and any(
                other.pulse.service == pulse.service and other.pulse.started_ms > pulse.at_ms
                for other in self._seen.values()
            )
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
    failed = any(loop.state == "failed" for loop in pulse.loops)
    return {
        "service": pulse.service,
        "replica": pulse.replica,
        "state": "silent" if silent else "failed" if failed else "running",
        "lag_records": sum(loop.lag_records for loop in pulse.loops),
        "rows_per_s": 0.0 if silent else round(seen.rows_per_s, 1),
        "error": next((loop.error for loop in pulse.loops if loop.error), ""),
        "cpu_s": round(pulse.cpu_s, 1),
        "rss_mb": round(pulse.rss_mb, 1),
        "started_ms": pulse.started_ms,
        "at_ms": pulse.at_ms,
        "loops": [_loop(loop) for loop in pulse.loops],
    }


def _loop(loop: LoopPulse) -> dict[str, Any]:
    return {
        "loop": loop.loop,
        "pipeline": loop.pipeline,
        "state": loop.state,
        "error": loop.error,
        "lag_records": loop.lag_records,
    }
