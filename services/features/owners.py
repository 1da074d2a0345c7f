"""Which replica holds the windows of a pipeline, as the replicas' pulses say; for questions that
another one can answer.

Nothing that must be exact rests on it: who is asked and doesn't hold them any more says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from driftloop.contracts.pulse_pb2 import LoopPulse, Pulse

LOOP = "windows-"  # the loop that holds them, by pipeline
SILENT_SECONDS_MAX = 5.0  # a replica pulses once a second; one that is silent for longer is gone
GONE_SECONDS = 60.0  # by then the last question that was passed on to it has ended


@dataclass(frozen=True, slots=True)
class Owner:
    """Where it answers, and when it was last heard, in monotonic seconds."""

    address: str
    at_s: float


class Owners:
    """Written by the one thread that hears pulses, read by those that answer calls."""

    def __init__(self) -> None:
        self._owners: dict[str, Owner] = {}  # by pipeline
        self._heard_s: dict[str, float] = {}  # by address

    def heard(self, pulse: Pulse, now_s: float) -> None:
        """A pulse of any service."""
        if pulse.service != "features" or not pulse.address:
            return
        self._heard_s[pulse.address] = now_s
        for loop in pulse.loops:
            if loop.loop.startswith(LOOP):
                self._tell(loop, Owner(pulse.address, now_s), ended=pulse.ended)

    def of(self, pipeline: str, now_s: float) -> str | None:
        """Its address; None where nobody is known to hold them."""
        owner = self._owners.get(pipeline)
        silent = owner is None or now_s - owner.at_s > SILENT_SECONDS_MAX
        return None if owner is None or silent else owner.address

    def gone(self, now_s: float) -> Sequence[str]:
        """Addresses that have been silent for so long that no call to them is under way; each is
        told once."""
        gone = [a for a, at_s in self._heard_s.items() if now_s - at_s > GONE_SECONDS]
        for address in gone:
            del self._heard_s[address]
        return gone

    def _tell(self, loop: LoopPulse, owner: Owner, *, ended: bool) -> None:
        if loop.state == "running" and not ended:
            self._owners[loop.pipeline] = owner
            return
        known = self._owners.get(loop.pipeline)
        if known is not None and known.address == owner.address:
            del self._owners[loop.pipeline]
