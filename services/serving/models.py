"""Which model each pipeline answers with: releases are loaded by one thread and swapped in by
reference.

Readers take `current` once a batch or call, without a lock. A release that can't be used changes
nothing. Nothing here decides what is live: that is the registry's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from threading import Condition, Event, Lock, Thread
from typing import Protocol

from driftloop.kit.clock import Clock
from driftloop.kit.errors import Malformed, Unavailable
from driftloop.kit.log import bound as saying
from driftloop.kit.log import logger
from driftloop.kit.trace import bound
from services.serving.domain import Answering, Network, Plan, Release, Snapshot, why_refused
from services.serving.store import Cache

RETRY_SECONDS = 1.0  # a registry that restarts is back in 2 s
log = logger(__name__)

Fetch = Callable[[str], bytes]  # digest -> the artifact; Unavailable, Malformed


class Load(Protocol):
    def __call__(self, data: bytes, *, width: int, classes: int) -> Network:
        """A network that is checked and warmed up. Malformed: it can't be used."""


class Counts:
    """What several threads count and the loop takes along with its next decision."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts: dict[str, int] = {}

    def add(self, name: str, count: int = 1) -> None:
        with self._lock:
            self._counts[name] = self._counts.get(name, 0) + count

    def take(self) -> dict[str, int]:
        with self._lock:
            counts, self._counts = self._counts, {}
        return counts


class Standing:
    """One pipeline's models. All but `current` and `previous` belongs to the loader."""

    def __init__(self, plan: Plan, wake: Event) -> None:
        self.plan = plan
        self.wake = wake  # set at a swap, so that an idle loop acknowledges at once
        self.current: Answering | None = None
        self.previous: Answering | None = None
        self.held = False  # this replica's loop holds partitions
        self.settled = Event()  # the newest release is loaded, or there is none
        self.trouble = ""
        self.counts = Counts()
        self._lines: dict[str, Snapshot] = {}
        self._changing = Lock()

    def answer_with(self, answering: Answering) -> None:
        """From now on, with the lines as they are."""
        with self._changing:
            self.current = replace(answering, lines=self._lines)

    def snapshot(self, line: str, snapshot: Snapshot) -> None:
        """The newest of a line."""
        with self._changing:
            self._lines = {**self._lines, line: snapshot}
            if self.current is not None:
                self.current = replace(self.current, lines=self._lines)

    def keep_lines(self, names: Sequence[str]) -> None:
        """Those of the newest declaration; the others answer no more."""
        with self._changing:
            self._lines = {name: one for name, one in self._lines.items() if name in names}
            if self.current is not None:
                self.current = replace(self.current, lines=self._lines)

    def version(self, number: str) -> Answering | None:
        """What answers as a version: '' the live one; else live, previous or baseline."""
        current = self.current
        if number == "" or current is None:
            return current
        known = {
            str(a.release.version): a for a in (self.previous, _as_baseline(current), current) if a
        }
        return known.get(number)

    def versions(self) -> list[str]:
        """The numbers that can be asked for, the live one first."""
        current = self.current
        if current is None:
            return []
        found = [a.release.version for a in (current, self.previous, _as_baseline(current)) if a]
        return [str(number) for number in dict.fromkeys(found)]


class Models:
    """All pipelines' standings and the thread that loads."""

    def __init__(
        self,
        cache: Cache,
        fetch: Fetch,
        load: Load,
        clock: Clock,
        on_swap: Callable[[Standing, Answering], None],
        *,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self._cache, self._fetch, self._load, self._clock, self._on_swap = (
            cache,
            fetch,
            load,
            clock,
            on_swap,
        )
        self._retry_seconds = retry_seconds
        self._changed = Condition()
        self._released: dict[
            tuple[str, int], Release
        ] = {}  # the newest of each pipeline's generation
        self._read_to_end = False
        self._due: set[str] = set()
        self._standings: dict[str, Standing] = {}
        self._stop = Event()
        self._thread = Thread(target=self._run, name="models", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        with self._changed:
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(timeout=5.0)

    def open(self, plan: Plan, wake: Event) -> Standing:
        """The standing of a pipeline; a new declaration of an open one only changes its plan."""
        with self._changed:
            standing = self._standings.get(plan.pipeline)
            if standing is None:
                standing = self._standings[plan.pipeline] = Standing(plan, wake)
            standing.plan = plan
            self._want(plan.pipeline)
        return standing

    def close(self, pipeline: str) -> None:
        with self._changed:
            self._standings.pop(pipeline, None)

    def released(self, release: Release) -> None:
        """A message of model.released; the newest of a pipeline's generation counts."""
        with self._changed:
            self._released[release.pipeline, release.generation] = release
            self._want(release.pipeline)

    def read_to_end(self) -> None:
        """model.released was read to its end: whatever is not known by now was never released."""
        with self._changed:
            self._read_to_end = True
            for pipeline in self._standings:
                self._want(pipeline)

    def standing(self, pipeline: str) -> Standing | None:
        return self._standings.get(pipeline)

    def ready(self) -> bool:
        """It is known of each pipeline what is live, be it nothing yet."""
        return all(s.settled.is_set() or s.current for s in list(self._standings.values()))

    def pipelines(self) -> list[str]:
        return sorted(self._standings)

    def _want(self, pipeline: str) -> None:
        if pipeline in self._standings:
            self._standings[pipeline].settled.clear()
            self._due.add(pipeline)
            self._changed.notify()

    def _run(self) -> None:
        while not self._stop.is_set():
            with self._changed:
                self._changed.wait_for(lambda: self._due or self._stop.is_set())
                due, self._due = self._due, set()
            failed = [pipeline for pipeline in sorted(due) if not self._settle(pipeline)]
            if failed:
                self._clock.sleep(self._retry_seconds, self._stop)
                with self._changed:
                    self._due.update(failed)

    def _settle(self, pipeline: str) -> bool:
        """Brings a standing to the newest release that is known; False: to be tried again."""
        with self._changed:
            standing = self._standings.get(pipeline)
            if standing is None:
                return True
            release = self._released.get((pipeline, standing.plan.generation))
            whole = self._read_to_end
        if release is None:
            return self._start_without(standing, whole)
        about = {"pipeline": pipeline, "run_id": release.run_id}
        with saying(**about, traceparent=release.traceparent):
            return self._taken(standing, release, whole)

    def _taken(self, standing: Standing, release: Release, whole: bool) -> bool:
        pipeline = release.pipeline
        try:
            self._swap(standing, release)
        except Malformed as error:
            self._refuse(standing, release, error)
        except Unavailable as error:
            standing.trouble = f"{pipeline}@{release.version}: {error}"
            log.warning("release waits: %s", standing.trouble)
            self._fall_back(standing)
            self._mark_settled(standing, whole)
            return False
        self._mark_settled(standing, whole)
        return True

    def _start_without(self, standing: Standing, whole: bool) -> bool:
        """No release is known yet: calls may be answered from the cache, the stream waits for the
        topic's end.
        """
        if whole:
            standing.settled.set()
        else:
            self._fall_back(standing)
        return True

    def _mark_settled(self, standing: Standing, whole: bool) -> None:
        """Only an answering model settles a pipeline that has a release: NO_MODEL means that there
        is none.
        """
        if whole and standing.current is not None:
            standing.settled.set()

    def _refuse(self, standing: Standing, release: Release, error: Malformed) -> None:
        standing.trouble = f"{release.pipeline}@{release.version} refused: {error}"
        standing.counts.add(error.rule)
        log.error(
            "release refused, the old model stays: %s",
            standing.trouble,
            extra={
                "fields": {
                    "pipeline": release.pipeline,
                    "version": release.version,
                    "rule": error.rule,
                }
            },
        )
        self._fall_back(standing)

    def _fall_back(self, standing: Standing) -> None:
        """A standing without a model takes the last one that answered on this machine."""
        if standing.current is not None:
            return
        release = self._cache.last_good(standing.plan.pipeline, standing.plan.generation)
        if release is None:
            return
        try:
            self._swap(standing, release)
        except (Malformed, Unavailable) as error:
            log.warning(
                "last good release %s@%d is of no use: %s", release.pipeline, release.version, error
            )

    def _swap(self, standing: Standing, release: Release) -> None:
        old, plan = standing.current, standing.plan
        if old is not None and old.release == release and _same_baseline(old, plan):
            return
        reason = why_refused(release, plan)
        if reason:
            raise Malformed(reason, rule="wrong_shape")
        network = self._network(standing, release.digest, release)
        new = self._with_baseline(standing, release, network)
        self._keep(partial(self._cache.remember, release), release)
        if old is not None and old.release.version != release.version:
            standing.previous = old
        standing.answer_with(new)
        standing.trouble = ""
        standing.wake.set()
        log.info(
            "model swapped",
            extra={
                "fields": {
                    "pipeline": release.pipeline,
                    "version": release.version,
                    "digest": release.digest[:12],
                    "provider": network.provider,
                }
            },
        )
        self._on_swap(standing, new)

    def _with_baseline(self, standing: Standing, release: Release, network: Network) -> Answering:
        if not standing.plan.baseline:
            return Answering(release, network, 0, None)
        if release.baseline_version == 0 or release.baseline_digest == release.digest:
            return Answering(release, network, release.baseline_version or release.version, network)
        try:
            baseline = self._network(standing, release.baseline_digest, release)
        except Malformed as error:  # the live model must not wait for a damaged old one
            standing.counts.add(f"baseline_{error.rule}")
            log.error(
                "baseline %s@%d is of no use: %s", release.pipeline, release.baseline_version, error
            )
            return Answering(release, network, 0, None)
        return Answering(release, network, release.baseline_version, baseline)

    def _network(self, standing: Standing, digest: str, release: Release) -> Network:
        loaded = _loaded(standing).get(digest)
        if loaded is not None:
            return loaded
        data = self._cache.get(digest)
        if data is None:
            with bound(release.traceparent):
                data = self._fetch(digest)
            self._keep(partial(self._cache.put, digest, data), release)
        return self._load(data, width=len(release.inputs), classes=len(release.classes))

    def _keep(self, write: Callable[[], None], release: Release) -> None:
        """A cache that can't be written, as on a full disk, holds no release up: what is lost is a
        start without the registry."""
        try:
            write()
        except Unavailable as error:
            log.warning("%s@%d is not kept here: %s", release.pipeline, release.version, error)


def _loaded(standing: Standing) -> dict[str, Network]:
    """Networks in memory, by digest."""
    found: dict[str, Network] = {}
    for answering in (standing.previous, standing.current):
        if answering is not None:
            found[answering.release.digest] = answering.network
            if answering.baseline is not None and answering.release.baseline_digest:
                found[answering.release.baseline_digest] = answering.baseline
    return found


def _same_baseline(answering: Answering, plan: Plan) -> bool:
    return plan.baseline == (answering.baseline is not None)


def _as_baseline(current: Answering) -> Answering | None:
    """The baseline as something that answers by itself."""
    if current.baseline is None:
        return None
    release = current.release
    first = Release(
        release.pipeline,
        release.generation,
        current.baseline_version,
        release.baseline_digest or release.digest,
        "",
        0,
        "",
        release.inputs,
        release.classes,
    )
    return Answering(first, current.baseline, current.baseline_version, current.baseline)
