"""Gathers what `driftloop doctor` checks: the cluster's own words, the declared topics beside the
real ones, where groups stand, pulses, disks, and whether services can be called. Decides nothing.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from driftloop import spec, topology
from driftloop.client import pulses, reading
from driftloop.client.addresses import Place
from driftloop.client.calls import Calls
from driftloop.client.ground import Beat, Disk, Ground, Needs, Standing, needs
from driftloop.contracts import topics
from driftloop.contracts.model_pb2 import PipelineDeclared
from driftloop.kit.admin import Admin, BrokerState, ClusterState, Ends
from driftloop.kit.broker import Broker, Partition, TopicSpec
from driftloop.kit.clock import Clock
from driftloop.kit.errors import Refused, Unavailable
from driftloop.kit.version import VERSION

CALL_S = 1.0
LOOKED_AT_MAX = 24  # records that are read for their time, each some 50 ms
CONTROL = ("registry", "training-control", "evaluation-control")  # groups of the control topics
LOOPS = (  # each with a group of a pipeline's generation
    "ingestion-order", "features-windows", "features-join", "serving-scores", "monitor-buckets",
    "monitor-decide",
)  # fmt: skip
LOOPBACK = ("127.", "localhost", "[::1]")


class Examining:
    """One look. Unavailable: the broker is away; what else can't be asked is in the facts."""

    def __init__(
        self, place: Place, broker: Broker, admin: Admin, calls: Calls, clock: Clock
    ) -> None:
        self._place, self._broker, self._admin = place, broker, admin
        self._calls, self._clock = calls, clock
        self._denied: list[str] = []
        self._unread: list[str] = []

    def ground(self) -> Ground:
        common = self._place.common
        cluster = self._cluster()
        pipelines, wanted = self._declared()
        sources = [topic for one in pipelines for topic in one.sources]
        names = [spec.name for spec in wanted] + sources
        asked = self._admin.topics(sorted(set(names)))
        found = {name: state for name, state in asked.items() if state is not None}
        parts = [(t.name, n) for t in found.values() for n in range(t.partitions)]
        ends = self._ends(parts)
        standings, opened = self._standings(ends, groups(pipelines)), self._open(ends)
        beats, skew_ms = self._beats()
        return Ground(
            self._clock.ms() - skew_ms,
            common.kafka_bootstrap,
            VERSION,
            cluster,
            wanted,
            found,
            pipelines,
            standings,
            ends,
            opened,
            beats,
            [*self._disks(cluster.brokers)],
            {name: self._calls.trouble(name, CALL_S) for name in self._calls.services},
            self._denied,
            self._unread,
            [name for name, state in asked.items() if state is None],
            skew_ms,
        )

    def _cluster(self) -> ClusterState:
        try:
            return self._admin.cluster()
        except Refused as error:
            self._denied.append(str(error))
            return ClusterState("", "", ())

    def _declared(self) -> tuple[list[Needs], list[TopicSpec]]:
        newest: dict[str, PipelineDeclared] = {
            event.message.name: event.message
            for event in reading.events(self._broker, topics.PIPELINES.topic())
        }
        pipelines = [one for name in sorted(newest) for one in self._needs(newest[name])]
        wanted = topology.control()
        for one in pipelines:
            wanted += topology.pipeline(one.name, one.generation, one.partitions)
        return pipelines, wanted

    def _needs(self, declared: PipelineDeclared) -> Iterator[Needs]:
        try:
            yield needs(spec.parse(declared.yaml, declared.name), declared.generation)
        except spec.Mistakes:
            self._unread.append(f"{declared.name} was declared by a newer build than this client")

    def _ends(self, parts: Sequence[Partition]) -> Mapping[Partition, Ends]:
        try:
            return self._admin.ends(parts)
        except Refused as error:
            self._denied.append(str(error))
        except Unavailable as error:
            self._unread.append(f"ends of topics: {error}")
        return {}

    def _standings(self, ends: Mapping[Partition, Ends], ours: Collection[str]) -> list[Standing]:
        """Every committed offset of `ours`; for those with most to read, how old the next record
        is."""
        found: list[Standing] = []
        try:
            for group in self._admin.groups():
                if group in ours:
                    committed = self._admin.committed(group)
                    found += [Standing(group, part, at) for part, at in committed.items()]
        except Refused as error:
            self._denied.append(str(error))
        except Unavailable as error:
            self._unread.append(f"offsets of groups: {error}")
        behind = [one for one in found if one.partition in ends]
        behind.sort(key=lambda one: one.offset - ends[one.partition].end)
        looked = behind[:LOOKED_AT_MAX]
        rest = [one for one in found if one not in looked]
        return [*(self._aged(one, ends[one.partition]) for one in looked), *rest]

    def _aged(self, one: Standing, ends: Ends) -> Standing:
        if not ends.first <= one.offset < ends.end:
            return one
        at_ms = self._appended_ms(one.partition, one.offset, committed=True)
        return Standing(one.group, one.partition, one.offset, at_ms)

    def _open(self, ends: Mapping[Partition, Ends]) -> Mapping[Partition, int]:
        """Where a transaction was open when we looked, and since when."""
        found: dict[Partition, int] = {}
        stuck = [part for part, at in ends.items() if at.stable < at.end]
        for part in stuck[:LOOKED_AT_MAX]:
            at_ms = self._appended_ms(part, ends[part].stable)
            if at_ms is not None:
                found[part] = at_ms
        return found

    def _appended_ms(self, part: Partition, offset: int, *, committed: bool = False) -> int | None:
        try:
            return self._admin.appended_ms(part, offset, committed=committed)
        except (Refused, Unavailable) as error:
            self._unread.append(f"{part[0]}[{part[1]}]: {error}")
            return None

    def _beats(self) -> tuple[list[Beat], int]:
        """Of each replica of the last minute the pulse that took the shortest way; and how far our
        clock is ahead of the broker's."""
        found = pulses.lately(self._broker)
        newest_ms = found[-1].time_ms if found else 0
        skew_ms = pulses.skew_ms(self._broker, self._clock, newest_ms)
        best: dict[str, Beat] = {}
        for event in found:
            pulse = event.message
            beat = Beat(pulse.service, pulse.replica, pulse.version, pulse.at_ms, event.time_ms)
            known = best.get(beat.replica)
            if known is None or _way(beat) <= _way(known):
                best[beat.replica] = beat
            if pulse.ended:
                del best[beat.replica]
        return [best[name] for name in sorted(best)], skew_ms

    def _disks(self, brokers: Sequence[BrokerState]) -> Iterator[Disk]:
        """Ours, and the broker's where it is on this machine."""
        folders = {str(self._place.common.driftloop_data): "caches of the services"}
        if self._place.folder is not None:
            folders[str(self._place.folder)] = "the stack's data and logs"
        for broker in brokers:
            if broker.address.startswith(LOOPBACK):
                logs = broker.config.get("log.dirs") or broker.config.get("log.dir", "")
                for path in filter(None, map(str.strip, logs.split(","))):
                    folders[path] = f"the log of broker {broker.number}"
        for path, of in folders.items():
            if Path(path).is_dir():
                used = shutil.disk_usage(path)
                yield Disk(path, of, used.free, used.total)


def groups(pipelines: Sequence[Needs]) -> frozenset[str]:
    """Of what is declared now. Those of removed pipelines and of earlier generations stand still,
    and nobody misses what they have not read."""
    owned = [f"{loop}-{one.name}.g{one.generation}" for one in pipelines for loop in LOOPS]
    return frozenset([*CONTROL, *owned])


def _way(beat: Beat) -> int:
    return beat.appended_ms - beat.at_ms
