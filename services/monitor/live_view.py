"""What the live view makes of pulses: a compact snapshot of each, and from snapshots the newest
seconds of a pipeline.

Plain values; Faust, the table and the clock are live.py's. Nothing exact rests on it: rates are
differences of two pulses of one process, so a lost pulse costs nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from driftloop.contracts.pulse_pb2 import Live, LoopPulse, Pulse

SILENT_MS = 5_000  # five missed pulses: no longer counted as a replica
FORGOTTEN_MS = 60_000  # silent for so long: no longer trouble, it is gone
DEAF_S = 30.0  # each process pulses once a second: nobody's is heard, so it is us or the broker
BUCKETS = 17  # of the pulse's latency histogram: < 1, 2, 4, ... 32768 ms, more
ASKED = "serving"  # whose latency, version and watermark are the pipeline's

Snapshot = dict[str, Any]  # JSON, since the table's changelog holds it


@dataclass(frozen=True, slots=True)
class Seen:
    """A process's newest snapshot, and one some seconds older of the same start, if there is
    one.
    """

    newest: Snapshot
    older: Snapshot | None


@dataclass(frozen=True, slots=True)
class Flow:
    """One loop over the seconds between two snapshots."""

    service: str
    loop: str
    rows_per_s: float
    lag: int
    watermark_us: int
    version: int
    trouble: str
    latency: Sequence[int]


def snapshot(pulse: Pulse) -> Snapshot:
    """What the table keeps of a pulse."""
    return {
        "service": pulse.service,
        "replica": pulse.replica,
        "at": pulse.at_ms,
        "started": pulse.started_ms,
        "loops": [_loop(loop) for loop in pulse.loops],
    }


def lives(seen: Iterable[Seen], now_ms: int) -> Sequence[Live]:
    """One message for each pipeline that a loop speaks of. Loops without a pipeline count for
    all.
    """
    present = [one for one in seen if now_ms - one.newest["at"] < FORGOTTEN_MS]
    flows: dict[str, list[Flow]] = defaultdict(list)
    replicas: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for one in present:
        for pipeline, flow in _flows(one, now_ms):
            flows[pipeline].append(flow)
            if now_ms - one.newest["at"] < SILENT_MS:
                replicas[pipeline].add((one.newest["service"], one.newest["replica"]))
    for_all, common = flows.pop("", []), replicas.pop("", set())
    return [
        _live(pipeline, flows[pipeline] + for_all, replicas[pipeline] | common, now_ms)
        for pipeline in sorted(flows)
    ]


def deafness(heard_s: float | None, now_s: float) -> str:
    """What is wrong with our own hearing, in words; empty: nothing. `heard_s`: the last pulse."""
    if heard_s is None:
        return "no pulse yet"
    return f"no pulse for {now_s - heard_s:.0f} s" if now_s - heard_s > DEAF_S else ""


def quantile(histogram: Sequence[int], share: float) -> float:
    """Of a pulse's latency histogram, in ms: linear within its bucket; 0 where it is empty."""
    total, below = sum(histogram), 0
    for bucket, count in enumerate(histogram):
        if count and below + count >= share * total:
            low, high = (0.0, 1.0) if bucket == 0 else (2.0 ** (bucket - 1), 2.0**bucket)
            return low + (high - low) * (share * total - below) / count
        below += count
    return 0.0


def _loop(loop: LoopPulse) -> Mapping[str, Any]:
    return {
        "loop": loop.loop,
        "pipeline": loop.pipeline.partition(".")[0],
        "in": loop.rows_in,
        "lag": loop.lag_records,
        "watermark": loop.watermark_us,
        "version": loop.model_version,
        "state": loop.state,
        "error": loop.error,
        "latency": list(loop.latency_ms),
    }


def _flows(seen: Seen, now_ms: int) -> Iterable[tuple[str, Flow]]:
    newest, older = seen.newest, seen.older
    before = {} if older is None or older["started"] != newest["started"] else _by_name(older)
    seconds = (newest["at"] - older["at"]) / 1000 if older and before else 0.0
    silent_ms = now_ms - newest["at"]
    for loop in newest["loops"]:
        yield (
            loop["pipeline"],
            _flow(newest["service"], loop, before.get(_name(loop)), seconds, silent_ms),
        )


def _flow(
    service: str,
    loop: Mapping[str, Any],
    before: Mapping[str, Any] | None,
    seconds: float,
    silent_ms: int,
) -> Flow:
    rows, latency = 0, [0] * BUCKETS
    if before is not None:
        rows = max(0, loop["in"] - before["in"])
        latency = [
            max(0, now - then)
            for now, then in zip(loop["latency"], before["latency"], strict=False)
        ]
    trouble = f"{loop['loop']} {loop['state']}: {loop['error']}" if loop["error"] else ""
    if silent_ms >= SILENT_MS:
        rows, trouble = 0, f"no pulse for {silent_ms // 1000} s"
    rate = rows / seconds if seconds > 0 else 0.0
    return Flow(
        service,
        loop["loop"],
        rate,
        loop["lag"],
        loop["watermark"],
        loop["version"],
        trouble,
        latency,
    )


def _live(
    pipeline: str, flows: Sequence[Flow], replicas: set[tuple[str, str]], now_ms: int
) -> Live:
    asked = [flow for flow in flows if flow.service == ASKED]
    histogram = [
        sum(counts)
        for counts in zip(*(flow.latency for flow in asked if flow.latency), strict=False)
    ]
    return Live(
        pipeline=pipeline,
        at_ms=now_ms,
        watermark_us=max((flow.watermark_us for flow in asked), default=0)
        or max(f.watermark_us for f in flows),
        model_version=max((flow.version for flow in asked), default=0),
        rows_per_s=_rates(flows),
        lag_records=_lags(flows),
        trouble={flow.service: flow.trouble for flow in flows if flow.trouble},
        replicas=_counts(replicas),
        latency_p50_ms=quantile(histogram, 0.5),
        latency_p99_ms=quantile(histogram, 0.99),
    )


def _rates(flows: Sequence[Flow]) -> Mapping[str, float]:
    """A loop's replicas add up; a service's rate is that of its fastest loop, since its loops
    see the same rows.
    """
    by_loop: dict[tuple[str, str], float] = defaultdict(float)
    for flow in flows:
        by_loop[flow.service, flow.loop] += flow.rows_per_s
    rates: dict[str, float] = {}
    for (service, _), rate in by_loop.items():
        rates[service] = max(rates.get(service, 0.0), rate)
    return rates


def _lags(flows: Sequence[Flow]) -> Mapping[str, int]:
    lags: dict[str, int] = defaultdict(int)
    for flow in flows:
        lags[flow.service] += flow.lag
    return lags


def _counts(replicas: set[tuple[str, str]]) -> Mapping[str, int]:
    counts: dict[str, int] = defaultdict(int)
    for service, _ in replicas:
        counts[service] += 1
    return counts


def _by_name(one: Snapshot) -> Mapping[tuple[str, str], Mapping[str, Any]]:
    return {_name(loop): loop for loop in one["loops"]}


def _name(loop: Mapping[str, Any]) -> tuple[str, str]:
    return loop["loop"], loop["pipeline"]
