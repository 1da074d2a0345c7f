"""CPU seconds and peak memory by service, over all its starts and all its children, as psutil sees
them.

A process that is gone counts with its last sample, so what it used in its last second may be
missing.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import psutil


@dataclass(frozen=True, slots=True)
class Usage:
    """`rss_mb` is the largest sum over the service's processes that were alive together, in 10^6
    bytes.

    Pages that a forked child shares with its parent count once where the system tells (PSS).
    """

    cpu_s: float
    rss_mb: float


class Meter:
    """Follow a root process by name, `sample` now and then, read `usage` at any time."""

    def __init__(self) -> None:
        self._roots: dict[str, psutil.Process] = {}
        self._cpu_s: dict[str, dict[tuple[int, float], float]] = defaultdict(dict)
        self._rss_peak: dict[str, int] = defaultdict(int)

    def follow(self, name: str, pid: int) -> None:
        """From now on `name` is this process and its family; what went before stays counted."""
        try:
            self._roots[name] = psutil.Process(pid)
        except psutil.NoSuchProcess:  # it ended at once; its log says why
            return

    def sample(self) -> None:
        """Read every process that is alive."""
        for name, root in self._roots.items():
            family = _family(root)
            shared = len(family) > 1
            resident = sum(self._read(name, process, shared=shared) for process in family)
            self._rss_peak[name] = max(self._rss_peak[name], resident)

    def usage(self) -> dict[str, Usage]:
        """Name → what it used so far."""
        return {
            name: Usage(round(sum(times.values()), 2), round(self._rss_peak[name] / 1e6, 1))
            for name, times in self._cpu_s.items()
        }

    def _read(self, name: str, process: psutil.Process, *, shared: bool) -> int:
        """Resident bytes now; its CPU time is kept under (pid, start), which no other process ever
        has.
        """
        try:
            with process.oneshot():
                times = process.cpu_times()
                key = (process.pid, process.create_time())
                self._cpu_s[name][key] = times.user + times.system
                return _resident(process, shared=shared)
        except (psutil.NoSuchProcess, psutil.ZombieProcess, psutil.AccessDenied):
            return 0


def _resident(process: psutil.Process, *, shared: bool) -> int:
    """PSS costs a millisecond or two, so only those who share pages are asked for it."""
    if shared:
        full = process.memory_full_info()
        return int(getattr(full, "pss", full.rss))
    return int(process.memory_info().rss)


def _family(root: psutil.Process) -> list[psutil.Process]:
    try:
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
