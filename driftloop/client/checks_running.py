"""The doctor's checks of what runs: services, versions, clocks, disks, groups and transactions.
Pure, as `driftloop.client.checks`, whose table takes them in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from driftloop.client.ground import Beat, Finding, Ground, Severity
from driftloop.client.pulses import SKEW_MS

SKEW_FAIL_MS = 60_000
BEAT_OLD_MS = 10_000  # of a process that no longer pulses: says nothing of clocks
FREE_FAIL_BYTES, FREE_WARN_BYTES = 1_000_000_000, 5_000_000_000
OPEN_MS_MAX = 60_000  # our transactions are ended by the broker after 5 s
MARKER = 1  # message: what ended the last transaction stands behind what a group has read
SPENT_SHARE_MAX = 0.8  # of the retention, by the record that a group reads next
SHARED = ("features", "serving", "monitor")  # their replicas share the N partitions


def _services(ground: Ground) -> Iterator[Finding]:
    """Each that clients ask answers gRPC, and it is ours."""
    pulsing = {beat.service for beat in ground.beats if _fresh(ground, beat)}
    for service, trouble in ground.calls.items():
        setting = f"DRIFTLOOP_{service.upper()}"
        if not trouble:
            yield Finding("ok", service, "it answers gRPC and says that it serves")
        elif "none of ours" in trouble:
            yield Finding(
                "fail",
                service,
                trouble,
                f"end what has that port, or name the service's own by {setting} and GRPC_PORT",
            )
        elif service in pulsing:
            yield Finding(
                "fail", service, f"it runs, but {trouble}", f"set {setting} to its host:port"
            )
        else:
            yield Finding(
                "fail",
                service,
                f"it is down: {trouble}",
                f"start it (`make run`, or `docker compose up -d {service}`)",
            )


def _versions(ground: Ground) -> Iterator[Finding]:
    for beat in ground.beats:
        if beat.version != ground.version:
            yield Finding(
                "warn",
                beat.replica,
                f"it is Driftloop {beat.version or 'of before 0.1.0'}, this client is "
                f"{ground.version}",
                "install the same: `pip install driftloop==VERSION`, or restart the service from "
                "this folder",
            )


def _clocks(ground: Ground) -> Iterator[Finding]:
    """By the pulses: written by the sender's clock, stamped by the broker's."""
    good = 0
    for beat in ground.beats:
        skew_ms = beat.at_ms - beat.appended_ms
        if abs(skew_ms) <= SKEW_MS:
            good += 1
            continue
        severity: Severity = "fail" if abs(skew_ms) > SKEW_FAIL_MS else "warn"
        yield _wrong_clock(severity, beat.replica, skew_ms)
    if ground.skew_ms:
        yield _wrong_clock("warn", "this machine", ground.skew_ms)
    if good:
        yield Finding("ok", "clocks", f"{good} processes agree with the broker within 2 s")


def _wrong_clock(severity: Severity, whose: str, skew_ms: int) -> Finding:
    return Finding(
        severity,
        whose,
        f"its clock is {abs(skew_ms) / 1_000:.1f} s {'ahead of' if skew_ms > 0 else 'behind'} the "
        "broker's",
        "run NTP on both machines (`timedatectl set-ntp true`)",
    )


def _disks(ground: Ground) -> Iterator[Finding]:
    for disk in ground.disks:
        free = f"{disk.free_bytes / 1e9:.1f} of {disk.total_bytes / 1e9:.0f} GB are free"
        if disk.free_bytes >= FREE_WARN_BYTES:
            yield Finding("ok", disk.path, f"{free} for {disk.of}")
            continue
        yield Finding(
            "fail" if disk.free_bytes < FREE_FAIL_BYTES else "warn",
            disk.path,
            f"only {free} for {disk.of}: a full disk stops the broker and all with it",
            "make room, or give it a larger volume; shorter retention frees the broker's within "
            "minutes",
        )


def _standings(ground: Ground) -> Iterator[Finding]:
    """No group has lost what it had not read, nor is about to."""
    good = 0
    for one in ground.standings:
        topic, number = one.partition
        ends, state = ground.ends.get(one.partition), ground.topics.get(topic)
        if ends is None or state is None:
            continue
        where = f"{one.group} in {topic}[{number}]"
        kept_ms = int(state.config.get("retention.ms", "-1"))
        lost = ends.first - one.offset
        if lost > MARKER:
            yield Finding(
                "fail",
                where,
                f"retention took {lost:,} messages before they were read",
                f"they are gone; keep more from now on: retention.ms of {topic}, and let the "
                "service run",
            )
        elif (
            one.appended_ms is not None and kept_ms > 0 and _spent(ground, one.appended_ms, kept_ms)
        ):
            yield Finding(
                "warn",
                where,
                "retention takes what it has not read soon: its next record is "
                f"{(ground.now_ms - one.appended_ms) / 3_600_000:.1f} h old, kept are "
                f"{kept_ms / 3_600_000:.1f} h",
                f"start the service that reads it, or raise retention.ms of {topic}",
            )
        else:
            good += 1
    if good:
        yield Finding("ok", "groups", f"{good} committed offsets are within what is kept")


def _transactions(ground: Ground) -> Iterator[Finding]:
    for (topic, number), at_ms in ground.open_ms.items():
        if ground.now_ms - at_ms > OPEN_MS_MAX:
            yield Finding(
                "fail",
                f"{topic}[{number}]",
                f"a transaction has been open for {(ground.now_ms - at_ms) / 1_000:.0f} s: no "
                "reader gets past it",
                f"kafka-transactions.sh --bootstrap-server {ground.bootstrap} find-hanging "
                f"--topic {topic} --partition {number}, then `abort` it",
            )


def _idle(ground: Ground) -> Iterator[Finding]:
    """More replicas than partitions: some have nothing to do."""
    most = max((one.partitions for one in ground.pipelines), default=0)
    for service in SHARED:
        beats = [b for b in ground.beats if b.service == service and _fresh(ground, b)]
        if most and len(beats) > most:
            yield Finding(
                "warn",
                service,
                f"{len(beats)} replicas share {most} partitions: {len(beats) - most} stand by",
                "run fewer, or declare more `partitions` in a new generation",
            )


def _unread(ground: Ground) -> Iterator[Finding]:
    for what in ground.unread:
        yield Finding("warn", "doctor", what, "ask again when the broker is less busy")


def _fresh(ground: Ground, beat: Beat) -> bool:
    return ground.now_ms - beat.appended_ms <= BEAT_OLD_MS


def _spent(ground: Ground, appended_ms: int, kept_ms: int) -> bool:
    return ground.now_ms - appended_ms > SPENT_SHARE_MAX * kept_ms


RUNNING: Sequence[Callable[[Ground], Iterator[Finding]]] = (
    _services, _versions, _clocks, _disks, _standings, _transactions, _idle, _unread,
)  # fmt: skip
