"""The registry's doors: checks a wish, hands it to the loop and waits. What only asks is answered
by questions.py.

No state is changed here: topics are made and artifacts kept before the loop hears of them, so a
wish that fails half-way leaves nothing that a second try would not find and use.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as Expired
from threading import Lock
from typing import TypeVar

import grpc

from driftloop import spec
from driftloop.contracts.model_pb2 import ArtifactStored, ModelReleased, ModelVersion
from driftloop.contracts.registry_pb2 import (
    ApplyReply,
    ApplyRequest,
    ArtifactChunk,
    ArtifactRequest,
    CollectReply,
    CollectRequest,
    DecideRequest,
    PromoteRequest,
    QuarantineReply,
    QuarantineRequest,
    RollbackRequest,
    UpdateModelRequest,
)
from driftloop.kit.broker import Broker
from driftloop.kit.clock import Clock
from driftloop.kit.errors import Malformed, Refused, Unavailable
from driftloop.kit.inbox import Inbox
from driftloop.kit.rpc import answers
from driftloop.kit.trace import here
from services.registry import codec, domain, topology
from services.registry.handlers import Shown
from services.registry.questions import NOT_FOUND, Questions, known, shown
from services.registry.store import Store
from services.registry.tracing import Called, Command

GENERATION = 1  # a second one is refused until it is built
YAML_CHARACTERS_MAX = (
    256_000  # a file of 1,000 features is 100,000; `pipelines` takes 1 MiB a message
)
FAILED_PRECONDITION, DATA_LOSS, ABORTED = "FAILED_PRECONDITION", "DATA_LOSS", "ABORTED"
TAG, TAGS_MAX, TEXT_MAX = re.compile(r"[A-Za-z][\w.-]{0,59}"), 50, 1_000
A = TypeVar("A")


class Doors(Questions):
    """Every call of proto/registry.proto."""

    def __init__(
        self,
        broker: Broker,
        store: Store,
        inbox: Inbox[Command],
        shown: Shown,
        clock: Clock,
        *,
        answer_seconds_max: float,
    ) -> None:
        self._broker = broker
        self._store = store
        self._inbox = inbox
        self._shown = shown
        self._clock = clock
        self._answer_seconds_max = answer_seconds_max
        self._applying = Lock()

    @answers
    def Apply(self, request: ApplyRequest, context: grpc.ServicerContext) -> ApplyReply:
        pipeline = _parsed(request.yaml)
        with self._applying:  # two first declarations of one name must not pass each other
            return self._apply(pipeline, request)

    def _apply(self, pipeline: spec.Pipeline, request: ApplyRequest) -> ApplyReply:
        with self._shown.reading() as ledger:
            newest = ledger.declared(pipeline.name)
        _check_generation(pipeline, newest)
        wanted = topology.pipeline(pipeline.name, GENERATION, pipeline.partitions)
        created = self._broker.create(wanted)
        stood = [topic for topic in wanted if topic.name not in created]
        draft = domain.Declared(
            pipeline.name,
            0,
            GENERATION,
            request.yaml,
            pipeline.digest(),
            request.by or "unknown",
            self._clock.ms(),
        )
        declared, changed = self._ask(lambda book, _: _declare(book, draft))
        warnings = [*self._broker.differences(stood), *self._missing_sources(pipeline)]
        return ApplyReply(
            pipeline=codec.declaration(declared),
            changed=changed,
            created_topics=created,
            warnings=warnings,
        )

    @answers
    def Quarantine(
        self, request: QuarantineRequest, context: grpc.ServicerContext
    ) -> QuarantineReply:
        fact = _quarantine(request, self._clock.ms())
        self._known(fact.pipeline)
        holds = self._ask(lambda book, _: _quarantined(book, fact))
        return QuarantineReply(quarantined=[codec.quarantined(one) for one in holds])

    @answers
    def UpdateModel(
        self, request: UpdateModelRequest, context: grpc.ServicerContext
    ) -> ModelVersion:
        _check_marks(request)
        self._known(request.pipeline)
        return self._ask(lambda book, now_ms: _mark(book, request, now_ms))

    @answers
    def Promote(self, request: PromoteRequest, context: grpc.ServicerContext) -> ModelReleased:
        self._known(request.pipeline)
        return codec.released(self._ask(lambda book, now_ms: _promote(book, request, now_ms)))

    @answers
    def Approve(self, request: DecideRequest, context: grpc.ServicerContext) -> ModelReleased:
        self._known(request.pipeline)
        return codec.released(self._ask(lambda book, now_ms: _approve(book, request, now_ms)))

    @answers
    def Reject(self, request: DecideRequest, context: grpc.ServicerContext) -> ModelVersion:
        self._known(request.pipeline)
        return self._ask(lambda book, now_ms: _reject(book, request, now_ms))

    @answers
    def Collect(self, request: CollectRequest, context: grpc.ServicerContext) -> CollectReply:
        """The fact first, then the bytes: after a crash between them only disk is lost."""
        before_ms = self._clock.ms() - request.older_than_ms
        with self._shown.reading() as ledger:
            found = domain.garbage(ledger, before_ms, request.keep)
        if found and not request.dry_run:
            self._store.size(found[0].digest)  # a place that is away: before anything is said
            by = request.by or "unknown"
            found = self._ask(
                lambda book, now_ms: book.collect(before_ms, request.keep, by=by, now_ms=now_ms)
            )
            for one in found:
                self._store.delete(one.digest)
        size = sum(one.size for one in found)
        return CollectReply(artifacts=[codec.stored(one) for one in found], bytes=size)

    @answers
    def Rollback(self, request: RollbackRequest, context: grpc.ServicerContext) -> ModelReleased:
        self._known(request.pipeline)
        return codec.released(self._ask(lambda book, now_ms: _rollback(book, request, now_ms)))

    @answers
    def Upload(
        self, request_iterator: Iterator[ArtifactChunk], context: grpc.ServicerContext
    ) -> ArtifactStored:
        head = next(request_iterator, None)
        if head is None:
            raise Refused("an upload without a chunk; the first one carries digest and bytes")
        with self._shown.reading():
            pass_on = _data(head, request_iterator)
        try:
            size = self._store.write(head.digest, pass_on)
        except Malformed as error:
            raise Refused(str(error)) from error
        stored = domain.Stored(head.digest, size, head.pipeline, head.run_id, self._clock.ms())
        self._ask(lambda book, _: (stored, book.store(stored)))
        return codec.stored(stored)

    @answers
    def Download(
        self, request: ArtifactRequest, context: grpc.ServicerContext
    ) -> Iterator[ArtifactChunk]:
        size = self._store.size(request.digest)
        if size is None:
            raise Refused(f"artifact {request.digest} is not kept here", status=NOT_FOUND)
        head = ArtifactChunk(digest=request.digest, bytes=size)
        try:
            for chunk in self._store.read(request.digest):
                head.data = chunk
                yield head
                head = ArtifactChunk()
        except Malformed as error:
            raise Refused(str(error), status=DATA_LOSS) from error

    def _ask(self, command: Callable[[domain.Book, int], tuple[A, list[domain.Fact]]]) -> A:
        """The loop's answer, once the transaction that holds it is committed."""
        with self._shown.reading():
            future = self._inbox.submit(Called(command, here()))
        try:
            answer: A = future.result(self._answer_seconds_max)
        except Expired as error:
            future.cancel()
            raise Unavailable(
                f"the registry's loop gave no answer in {self._answer_seconds_max:g} s"
            ) from error
        except CancelledError as error:
            raise Unavailable("the registry's loop has ended; ask again") from error
        except domain.Unwanted as error:
            status = (
                NOT_FOUND if error.missing else ABORTED if error.changed else FAILED_PRECONDITION
            )
            raise Refused(str(error), status=status) from error
        return answer

    def _known(self, pipeline: str) -> None:
        with self._shown.reading() as ledger:
            known(ledger, pipeline)

    def _missing_sources(self, pipeline: spec.Pipeline) -> list[str]:
        return [
            f"source topic {source.topic} does not exist yet; ingestion starts once it does"
            for source in pipeline.sources
            if self._broker.partitions(source.topic) is None
        ]


def _parsed(yaml: str) -> spec.Pipeline:
    if len(yaml) > YAML_CHARACTERS_MAX:
        raise Refused(f"the file has {len(yaml)} characters, wanted at most {YAML_CHARACTERS_MAX}")
    try:
        return spec.parse(yaml)
    except spec.Mistakes as mistakes:
        raise Refused(str(mistakes)) from mistakes


def _check_generation(pipeline: spec.Pipeline, newest: domain.Declared | None) -> None:
    """What a generation fixes can't change within it."""
    if newest is None:
        return
    old = spec.parse(newest.yaml)
    if old.generation_digest() == pipeline.generation_digest():
        return
    parts = " and ".join(domain.changed_parts(old, pipeline)) or "the generation"
    raise Refused(
        f"{pipeline.name}: {parts} can't change within generation {newest.generation}, and a "
        "second one is not built yet; keep them as they were, or declare under another name",
        status=FAILED_PRECONDITION,
    )


def _check_marks(request: UpdateModelRequest) -> None:
    wrong = [name for name in request.tags if not TAG.fullmatch(name)]
    if wrong or len(request.tags) > TAGS_MAX:
        found = repr(wrong[0]) if wrong else f"{len(request.tags)} of them"
        wanted = f"at most {TAGS_MAX}, named by a letter and letters, digits, . _ or -"
        raise Refused(f"tags: found {found}, wanted {wanted}")
    texts = {f"tag {name}": value for name, value in request.tags.items()}
    for what, text in {**texts, "note": request.note}.items():
        if len(text) > TEXT_MAX:
            raise Refused(f"{what}: {len(text)} characters, wanted at most {TEXT_MAX}")


def _mark(
    book: domain.Book, request: UpdateModelRequest, now_ms: int
) -> tuple[ModelVersion, list[domain.Fact]]:
    facts: list[domain.Fact] = []
    if book.again(request.request_id, domain.Marked, request.pipeline) is None:
        book.unchanged(request.pipeline, request.version, request.etag)
        facts = book.mark(
            request.pipeline,
            request.version,
            pinned=request.pinned if request.HasField("pinned") else None,
            note=request.note if request.HasField("note") else None,
            tags=dict(request.tags),
            by=request.by or "unknown",
            now_ms=now_ms,
            request_id=request.request_id,
        )
    return shown(book.ledger, book.ledger.versions[request.pipeline][request.version]), facts


def _promote(
    book: domain.Book, request: PromoteRequest, now_ms: int
) -> tuple[domain.Released, list[domain.Fact]]:
    again = book.again(request.request_id, domain.Released, request.pipeline, "promote")
    if again is not None:
        return again, []
    book.unchanged(request.pipeline, request.version, request.etag)
    released = book.promote(request.pipeline, request.version, now_ms=now_ms, **_asked(request))
    return released, [released]


def _approve(
    book: domain.Book, request: DecideRequest, now_ms: int
) -> tuple[domain.Released, list[domain.Fact]]:
    again = book.again(request.request_id, domain.Released, request.pipeline, "approve")
    if again is not None:
        return again, []
    book.unchanged(request.pipeline, request.version, request.etag)
    released = book.approve(request.pipeline, request.version, now_ms=now_ms, **_asked(request))
    return released, [released]


def _reject(
    book: domain.Book, request: DecideRequest, now_ms: int
) -> tuple[ModelVersion, list[domain.Fact]]:
    facts: list[domain.Fact] = []
    if book.again(request.request_id, domain.Marked, request.pipeline) is None:
        book.unchanged(request.pipeline, request.version, request.etag)
        facts = book.reject(request.pipeline, request.version, now_ms=now_ms, **_asked(request))
    return shown(book.ledger, book.ledger.versions[request.pipeline][request.version]), facts


def _rollback(
    book: domain.Book, request: RollbackRequest, now_ms: int
) -> tuple[domain.Released, list[domain.Fact]]:
    again = book.again(request.request_id, domain.Released, request.pipeline, "rollback")
    if again is not None:
        return again, []
    live = book.ledger.champion(request.pipeline)
    if live is not None:
        book.unchanged(request.pipeline, live.version, request.etag)
    released = book.rollback(request.pipeline, now_ms=now_ms, **_asked(request))
    return released, [released]


def _asked(request: PromoteRequest | RollbackRequest | DecideRequest) -> dict[str, str]:
    by = request.by or "unknown"
    return {"by": by, "reason": request.reason, "request_id": request.request_id}


def _declare(
    book: domain.Book, draft: domain.Declared
) -> tuple[tuple[domain.Declared, bool], list[domain.Fact]]:
    declared, facts = book.declare(draft)
    return (declared, bool(facts)), facts


def _quarantine(request: QuarantineRequest, now_ms: int) -> domain.Quarantined:
    span = request.span
    if span.from_us >= span.to_us:
        raise Refused(f"span: found {span.from_us} to {span.to_us} µs, wanted from before to")
    if not request.reason and not request.lift:
        raise Refused("a quarantine needs its reason: someone will ask")
    return domain.Quarantined(
        request.pipeline,
        span.from_us,
        span.to_us,
        request.reason,
        request.by or "unknown",
        now_ms,
        request.lift,
    )


def _quarantined(
    book: domain.Book, fact: domain.Quarantined
) -> tuple[list[domain.Quarantined], list[domain.Fact]]:
    facts = book.quarantine(fact)
    return list(book.ledger.quarantined.get(fact.pipeline, [])), facts


def _data(head: ArtifactChunk, rest: Iterator[ArtifactChunk]) -> Iterator[bytes]:
    yield head.data
    for chunk in rest:
        yield chunk.data
