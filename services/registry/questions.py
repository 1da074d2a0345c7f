"""The registry's questions: names are found and lists are cut into pages, from the committed
ledger alone.

A page costs what stands on it, whatever the list's length: its token is the place of its last row,
and rows only come at an end. Nothing here changes anything.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import NoReturn, TypeVar

import grpc

from driftloop.contracts.model_pb2 import ModelVersion
from driftloop.contracts.registry_pb2 import (
    GetModelRequest,
    GetRunRequest,
    ListModelsReply,
    ListModelsRequest,
    ListRunsReply,
    ListRunsRequest,
    ModelRequest,
    ModelsReply,
    ModelsRequest,
    PipelinesReply,
    PipelinesRequest,
    Run,
    RunsReply,
    RunsRequest,
    WhoServedReply,
    WhoServedRequest,
)
from driftloop.contracts.registry_pb2_grpc import RegistryServicer
from driftloop.kit.clock import Clock
from driftloop.kit.errors import Refused
from driftloop.kit.rpc import answers
from services.registry import codec, domain
from services.registry.domain import filters
from services.registry.handlers import Shown

NOT_FOUND = "NOT_FOUND"
PAGE, PAGE_MAX = 100, 1_000  # rows
PAGE_BYTES_MAX = 8 * 2**20  # a page ends earlier then: half of what a message may hold
ALL = "-"  # in place of a pipeline's name
MODEL_FIELDS: Mapping[str, type] = {
    "version": int,
    "created_ms": int,
    "pinned": bool,
    "alias": str,
    "released_by": str,
    "run_id": str,
    "digest": str,
    "note": str,
}
TAGS = "tags."
RUN_FIELDS: Mapping[str, type] = {
    "opened_ms": int,
    "version": int,
    "run_id": str,
    "pipeline": str,
    "trigger": str,
    "outcome": str,
    "request_id": str,
}
R = TypeVar("R", ModelVersion, Run)


class Questions(RegistryServicer):
    """The calls of proto/registry.proto that only ask."""

    _shown: Shown
    _clock: Clock

    @answers
    def Pipelines(self, request: PipelinesRequest, context: grpc.ServicerContext) -> PipelinesReply:
        with self._shown.reading() as ledger:
            return PipelinesReply(
                pipelines=[
                    codec.declaration(known[-1], ledger.quarantined.get(name, ()))
                    for name, known in ledger.declarations.items()
                ]
            )

    @answers
    def Models(self, request: ModelsRequest, context: grpc.ServicerContext) -> ModelsReply:
        with self._shown.reading() as ledger:
            known(ledger, request.pipeline)
            versions = ledger.versions.get(request.pipeline, {}).values()
            return ModelsReply(models=[shown(ledger, version) for version in versions])

    @answers
    def Model(self, request: ModelRequest, context: grpc.ServicerContext) -> ModelVersion:
        with self._shown.reading() as ledger:
            known(ledger, request.pipeline)
            return shown(ledger, _wanted(ledger, request))

    @answers
    def GetModel(self, request: GetModelRequest, context: grpc.ServicerContext) -> ModelVersion:
        pipeline, which = _named(request.name, "models")
        number = int(which) if which.isdecimal() else 0
        asked = ModelRequest(pipeline=pipeline, version=number, alias="" if number else which)
        with self._shown.reading() as ledger:
            known(ledger, pipeline)
            return shown(ledger, _wanted(ledger, asked))

    @answers
    def ListModels(
        self, request: ListModelsRequest, context: grpc.ServicerContext
    ) -> ListModelsReply:
        if request.order_by not in ("", "version", "version desc"):
            raise Refused(f"order_by {request.order_by!r}: wanted version, or version desc")
        falling = request.order_by == "version desc"
        pipeline, terms = _parent(request.parent), _terms(request.filter, MODEL_FIELDS, TAGS)
        with self._shown.reading() as ledger:
            known(ledger, pipeline)
            versions = ledger.versions.get(pipeline, {})
            last, digest = _place(request), _of_list(request, request.order_by)
            numbers = _after(list(versions), last, falling=falling)
            rows = (
                (number, versions[number])
                for number in numbers
                if all(term.holds(_model_values(ledger, versions[number])) for term in terms)
            )
            told = ((place, shown(ledger, version)) for place, version in rows)
            page, token = _page(told, request.page_size, digest)
        return ListModelsReply(models=page, next_page_token=token)

    @answers
    def Runs(self, request: RunsRequest, context: grpc.ServicerContext) -> RunsReply:
        with self._shown.reading() as ledger:
            if request.pipeline:
                known(ledger, request.pipeline)
            opened = ledger.opened.get(request.pipeline, [])
            newest = opened[-request.newest :] if request.newest else opened
            return RunsReply(runs=[codec.run(ledger.runs[run_id]) for run_id in reversed(newest)])

    @answers
    def GetRun(self, request: GetRunRequest, context: grpc.ServicerContext) -> Run:
        pipeline, run_id = _named(request.name, "runs")
        with self._shown.reading() as ledger:
            run = ledger.runs.get(run_id)
            if run is None or run.opened is None or pipeline not in (ALL, run.opened.pipeline):
                raise Refused(f"{request.name} does not exist", status=NOT_FOUND)
            return codec.run(run)

    @answers
    def ListRuns(self, request: ListRunsRequest, context: grpc.ServicerContext) -> ListRunsReply:
        pipeline, terms = _parent(request.parent), _terms(request.filter, RUN_FIELDS)
        with self._shown.reading() as ledger:
            if pipeline != ALL:
                known(ledger, pipeline)
            opened = ledger.opened.get("" if pipeline == ALL else pipeline, [])
            last, digest = _place(request), _of_list(request)
            rows = (
                (place, ledger.runs[opened[place]])
                for place in range((last if last is not None else len(opened)) - 1, -1, -1)
                if all(term.holds(_run_values(ledger.runs[opened[place]])) for term in terms)
            )
            told = ((place, codec.run(run)) for place, run in rows)
            page, token = _page(told, request.page_size, digest)
        return ListRunsReply(runs=page, next_page_token=token)

    @answers
    def WhoServed(self, request: WhoServedRequest, context: grpc.ServicerContext) -> WhoServedReply:
        at_ms = request.at_ms or self._clock.ms()
        with self._shown.reading() as ledger:
            known(ledger, request.pipeline)
            released = ledger.who_served(request.pipeline, at_ms)
            if released is None:
                raise Refused(f"{request.pipeline} served no model at {at_ms} ms", status=NOT_FOUND)
            model = ledger.versions[request.pipeline][released.version]
            return WhoServedReply(released=codec.released(released), model=shown(ledger, model))


def known(ledger: domain.Ledger, pipeline: str) -> None:
    """Refused: no such pipeline."""
    if pipeline not in ledger.declarations:
        there = ", ".join(ledger.declarations) or "none"
        raise Refused(f"pipeline {pipeline!r} is not declared; there is: {there}", status=NOT_FOUND)


def shown(ledger: domain.Ledger, version: domain.Versioned) -> ModelVersion:
    """A version as it is told."""
    by = ledger.first_released_by(version.pipeline, version.version)
    mark = ledger.mark(version.pipeline, version.version)
    told = codec.version(version, ledger.aliases(version.pipeline), by, mark)
    told.name = f"pipelines/{version.pipeline}/models/{version.version}"
    told.etag = ledger.etag(version.pipeline, version.version)
    return told


def _wanted(ledger: domain.Ledger, request: ModelRequest) -> domain.Versioned:
    """By digest, version or alias; `champion` where nothing is said."""
    versions, aliases = ledger.versions.get(request.pipeline, {}), ledger.aliases(request.pipeline)
    if request.digest:
        found = next((v for v in versions.values() if v.digest == request.digest), None)
    else:
        found = versions.get(request.version or aliases.get(request.alias or "champion", 0))
    if found is None:
        asked = request.digest[:12] or request.version or request.alias or "champion"
        there = ", ".join(map(str, versions)) or "none"
        named = "".join(f", {alias} = {number}" for alias, number in aliases.items())
        raise Refused(
            f"{request.pipeline}@{asked} does not exist; there is: {there}{named}", status=NOT_FOUND
        )
    return found


def _named(name: str, kind: str) -> tuple[str, str]:
    """`pipelines/flights/models/7` → ("flights", "7")."""
    parts = name.split("/")
    if len(parts) != 4 or parts[0] != "pipelines" or parts[2] != kind or not all(parts):
        raise Refused(f"name {name[:200]!r}: wanted pipelines/PIPELINE/{kind}/WHICH")
    return parts[1], parts[3]


def _parent(parent: str) -> str:
    begun, _, pipeline = parent.partition("/")
    if begun != "pipelines" or not pipeline or "/" in pipeline:
        raise Refused(f"parent {parent[:200]!r}: wanted pipelines/PIPELINE")
    return pipeline


def _terms(text: str, kinds: Mapping[str, type], *prefixes: str) -> list[filters.Term]:
    try:
        return filters.terms(text, kinds, prefixes)
    except filters.Unreadable as error:
        raise Refused(str(error)) from error


def _model_values(ledger: domain.Ledger, version: domain.Versioned) -> dict[str, filters.Value]:
    mark = ledger.mark(version.pipeline, version.version)
    aliases = ledger.aliases(version.pipeline).items()
    return {
        "version": version.version,
        "created_ms": version.created_ms,
        "pinned": bool(mark and mark.pinned),
        "alias": [alias for alias, number in aliases if number == version.version],
        "released_by": ledger.first_released_by(version.pipeline, version.version),
        "run_id": version.run_id,
        "digest": version.digest,
        "note": mark.note if mark else "",
        **{f"{TAGS}{name}": value for name, value in (mark.tags if mark else {}).items()},
    }


def _run_values(run: domain.Run) -> dict[str, filters.Value]:
    opened, finished = run.opened, run.finished
    assert opened is not None  # the list is of opened runs
    return {
        "opened_ms": opened.at_ms,
        "version": finished.version if finished else 0,
        "run_id": opened.run_id,
        "pipeline": opened.pipeline,
        "trigger": opened.trigger,
        "outcome": finished.outcome if finished else "open",
        "request_id": opened.request_id,
    }


def _of_list(request: ListModelsRequest | ListRunsRequest, order: str = "") -> str:
    """What a token must have been made for."""
    listed = "\n".join((request.parent, request.filter, order))
    return hashlib.sha256(listed.encode()).hexdigest()[:8]


def _place(request: ListModelsRequest | ListRunsRequest) -> int | None:
    """Of the last row of the page before."""
    if not request.page_token:
        return None
    order = request.order_by if isinstance(request, ListModelsRequest) else ""
    matched = re.fullmatch(r"(\d{1,18})\.([0-9a-f]{8})", request.page_token)
    if matched is None or matched[2] != _of_list(request, order):
        _wrong_token(request.page_token)
    return int(matched[1])


def _wrong_token(token: str) -> NoReturn:
    raise Refused(
        f"page_token {token[:80]!r}: wanted next_page_token of the page before, with the same "
        "parent, filter and order"
    )


def _after(numbers: list[int], last: int | None, *, falling: bool) -> Iterator[int]:
    """Versions rise in their list, one by one from 1: the place of one is its number."""
    if falling:
        return reversed(numbers if last is None else numbers[: max(0, last - 1)])
    return iter(numbers if last is None else numbers[last:])


def _page(rows: Iterator[tuple[int, R]], size: int, digest: str) -> tuple[list[R], str]:
    """The first rows, and the token of those behind them; empty: there are none."""
    wanted = min(size or PAGE, PAGE_MAX)
    page: list[R] = []
    place = size_bytes = 0
    for place_of, row in rows:
        size_bytes += row.ByteSize()
        if page and (len(page) == wanted or size_bytes > PAGE_BYTES_MAX):
            return page, f"{place}.{digest}"
        page.append(row)
        place = place_of
    return page, ""
