"""Questions to the services, and wishes: models, runs, promotions, predictions, declarations."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from driftloop import spec
from driftloop.client import predicting
from driftloop.client.addresses import person
from driftloop.client.calls import DEADLINE_S, Calls
from driftloop.client.plain import Instant, Plain, instant_us, plain
from driftloop.contracts.evaluation_pb2 import BacktestRequest, Contender
from driftloop.contracts.model_pb2 import Given, ModelTrained, OffsetRange, Span, Window
from driftloop.contracts.registry_pb2 import (
    ApplyRequest,
    ArtifactChunk,
    ArtifactRequest,
    CollectRequest,
    DecideRequest,
    GetRunRequest,
    ListModelsRequest,
    ListRunsRequest,
    ModelRequest,
    PromoteRequest,
    QuarantineRequest,
    RollbackRequest,
    UpdateModelRequest,
    WhoServedRequest,
)
from driftloop.contracts.training_pb2 import (
    CancelRequest,
    RebuildRequest,
    TrainRequest,
    WindowsRequest,
)
from driftloop.kit.errors import Refused
from driftloop.plugins import LEARNERS, names
from driftloop.spec.learners import SHIPPED

BACKTEST_S = 3_600.0  # evaluation's own limit, EVALUATION_SECONDS_MAX, is below it
CHUNK_BYTES, UPLOAD_S = 1 << 20, 60.0
PAGE = 500  # rows asked for at once
REBUILD_S = 3_600.0  # training's own limit, TRAINING_REBUILD_SECONDS_MAX, is below it


class Asking:
    """The half of the client that asks by gRPC."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def apply(self, file: Path | str) -> Plain:
        """Declare a pipeline. Refused: every mistake, a line each; then nothing has changed."""
        path = Path(file)
        text = file_text(path)
        check(text, str(path))
        with self._calls.registry() as registry:
            return plain(registry.Apply(ApplyRequest(yaml=text, by=person()), timeout=DEADLINE_S))

    def models(self, pipeline: str, where: str = "") -> list[Plain]:
        """Versions, the oldest first, with their metrics and aliases; `where` narrows them:
        `version >= 3 AND tags.team = risk`. Refused: no such pipeline or field.
        """
        request = ListModelsRequest(parent=f"pipelines/{pipeline}", filter=where, page_size=PAGE)
        found: list[Plain] = []
        with self._calls.registry() as registry:
            while True:
                reply = registry.ListModels(request, timeout=DEADLINE_S)
                found += [plain(model) for model in reply.models]
                request.page_token = reply.next_page_token
                if not request.page_token:
                    return found

    def model(self, pipeline: str, version: int = 0, alias: str = "champion") -> Plain:
        """One version, by number or alias."""
        request = ModelRequest(pipeline=pipeline, version=version, alias="" if version else alias)
        with self._calls.registry() as registry:
            return plain(registry.Model(request, timeout=DEADLINE_S))

    def runs(self, pipeline: str, newest: int = 0, where: str = "") -> list[Plain]:
        """Runs, the oldest first. `newest` 0: all; `where` narrows them: `outcome = rejected AND
        trigger = drift`. Refused: no such pipeline or field.
        """
        request = ListRunsRequest(parent=f"pipelines/{pipeline or '-'}", filter=where)
        found: list[Plain] = []
        with self._calls.registry() as registry:
            while True:
                request.page_size = min(PAGE, newest - len(found)) if newest else PAGE
                reply = registry.ListRuns(request, timeout=DEADLINE_S)
                found += [plain(run) for run in reply.runs]
                request.page_token = reply.next_page_token
                if not request.page_token or len(found) == newest:
                    return found[::-1]

    def run(self, run_id: str) -> Plain:
        """One run: what was asked, trained, judged, released, and how it ended. Refused: there is
        no such run.
        """
        with self._calls.registry() as registry:
            request = GetRunRequest(name=f"pipelines/-/runs/{run_id}")
            return plain(registry.GetRun(request, timeout=DEADLINE_S))

    def cancel(self, run_id: str) -> None:
        """End a run that is being trained. Refused: there is none such, or it is past that."""
        with self._calls.training() as training:
            request = CancelRequest(run_id=run_id, by=person())
            reply = training.Cancel(request, timeout=DEADLINE_S)
        if not reply.cancelled:
            raise Refused(f"{run_id} can't be cancelled: {reply.reason}")

    def retry(self, run_id: str) -> str:
        """Ask for a run again on the offsets of an earlier one, or on all rows where it read none;
        gives back the request's id.
        """
        with self._calls.registry() as registry:
            run = registry.GetRun(
                GetRunRequest(name=f"pipelines/-/runs/{run_id}"), timeout=DEADLINE_S
            )
        window = read_by(run.trained)
        with self._calls.training() as training:
            request = TrainRequest(
                pipeline=run.opened.pipeline,
                reason=f"{run_id} again",
                by=person(),
                window=window if window.ranges else None,
            )
            return training.Train(request, timeout=DEADLINE_S).request_id

    def promote(self, pipeline: str, version: int, reason: str = "") -> Plain:
        """Make a version live."""
        request = PromoteRequest(pipeline=pipeline, version=version, by=person(), reason=reason)
        with self._calls.registry() as registry:
            return plain(registry.Promote(request, timeout=DEADLINE_S))

    def collect(self, older_than_ms: int, keep: int, *, dry_run: bool = True) -> Plain:
        """Artifacts stored so long ago that nothing keeps them: not what is live, a rollback
        target, pinned, among the `keep` newest versions of a pipeline, or of a recent run. Deletes
        them unless `dry_run`.
        """
        request = CollectRequest(
            older_than_ms=older_than_ms, keep=keep, dry_run=dry_run, by=person()
        )
        with self._calls.registry() as registry:
            return plain(registry.Collect(request, timeout=DEADLINE_S))

    def approve(self, pipeline: str, version: int, reason: str = "") -> Plain:
        """Make a version live that waits to be approved (`release: {mode: approve}`). Refused: it
        doesn't wait, and why.
        """
        with self._calls.registry() as registry:
            request = _decided(pipeline, version, reason)
            return plain(registry.Approve(request, timeout=DEADLINE_S))

    def reject(self, pipeline: str, version: int, reason: str = "") -> Plain:
        """Say no to a version that waits to be approved; it keeps the reason."""
        with self._calls.registry() as registry:
            request = _decided(pipeline, version, reason)
            return plain(registry.Reject(request, timeout=DEADLINE_S))

    def rollback(self, pipeline: str, reason: str = "") -> Plain:
        """Make the previous version live again."""
        with self._calls.registry() as registry:
            return plain(
                registry.Rollback(
                    RollbackRequest(pipeline=pipeline, by=person(), reason=reason),
                    timeout=DEADLINE_S,
                )
            )

    def update_model(
        self,
        pipeline: str,
        version: int,
        *,
        pinned: bool | None = None,
        note: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Plain:
        """Say something of a version: pin it (its window is archived, its bytes are kept), a note,
        tags; what is None stays, a tag whose value is empty goes. Gives the version back.
        """
        request = UpdateModelRequest(
            pipeline=pipeline, version=version, pinned=pinned, note=note, tags=tags, by=person()
        )
        with self._calls.registry() as registry:
            return plain(registry.UpdateModel(request, timeout=DEADLINE_S))

    def who_served(self, pipeline: str, at: Instant) -> Plain:
        """The release that was live at a wall time, and its model."""
        with self._calls.registry() as registry:
            request = WhoServedRequest(pipeline=pipeline, at_ms=instant_us(at) // 1_000)
            return plain(registry.WhoServed(request, timeout=DEADLINE_S))

    def quarantine(
        self, pipeline: str, start: Instant, end: Instant, reason: str, *, lift: bool = False
    ) -> list[Plain]:
        """Leave the rows of [start, end) of event time out of all later windows, or, with `lift`,
        take that back. All that is quarantined then.
        """
        span = Span(from_us=instant_us(start), to_us=instant_us(end))
        request = QuarantineRequest(
            pipeline=pipeline, span=span, reason=reason, by=person(), lift=lift
        )
        with self._calls.registry() as registry:
            reply = registry.Quarantine(request, timeout=DEADLINE_S)
        return [plain(one) for one in reply.quarantined]

    def windows(self, pipeline: str) -> list[Plain]:
        """What each version was fitted on, and where those rows are now: `state` live (in the log),
        archived, expired, or none, where it was not fitted here.
        """
        with self._calls.training() as training:
            reply = training.Windows(WindowsRequest(pipeline=pipeline), timeout=DEADLINE_S)
        return [plain(one) for one in reply.windows]

    def rebuild(self, pipeline: str, version: int = 0) -> Plain:
        """Fit a version again from its record and compare the bytes; 0: the champion. Refused: it
        can't be made again, and why.
        """
        with self._calls.training() as training:
            request = RebuildRequest(pipeline=pipeline, version=version)
            return plain(training.Rebuild(request, timeout=REBUILD_S))

    def backtest(
        self,
        pipeline: str,
        contenders: Sequence[int | str | Path] = ("live",),
        *,
        start: Instant | None = None,
        end: Instant | None = None,
        window_of: int = 0,
        slices: Sequence[str] = (),
    ) -> Plain:
        """Score several models on the same rows of history, by their labels: versions, aliases as
        `champion`, ONNX files, and `live`, what was answered at the time. The rows are those of
        [start, end) of event time, or those that version `window_of` was fitted on.

        Gives back the document that services/evaluation/domain/backtest.py describes: figures,
        95 % intervals, worst slices, reliability, and how each two differ on the rows that neither
        was fitted on. No live topic is touched. Refused: no rows, no such model, no ONNX.
        """
        request = BacktestRequest(
            pipeline=pipeline,
            from_us=instant_us(start) if start is not None else 0,
            to_us=instant_us(end) if end is not None else 0,
            window_of=window_of,
            contenders=[self._contender(pipeline, one) for one in contenders],
            slices=slices,
        )
        with self._calls.evaluation() as evaluation:
            reply = evaluation.Backtest(request, timeout=BACKTEST_S)
        found: Plain = json.loads(reply.report)
        return found

    def _contender(self, pipeline: str, one: int | str | Path) -> Contender:
        if one == "live":
            return Contender(name="live")
        if isinstance(one, Path):
            return Contender(name=one.name, model=_model_file(one))
        if isinstance(one, str):
            one = int(self.model(pipeline, 0, one)["version"])
        return Contender(version=one)

    def add_model(self, pipeline: str, path: Path, note: str = "") -> str:
        """Enter an ONNX model that was fitted elsewhere: it is judged by the gate on the newest
        labelled rows, which it must not have seen, and released if it is better. Its input
        `features` [rows, k] float holds the pipeline's features in order; its outputs are those of
        the pipeline's own models. Gives back the request's id. Refused: no file, no such pipeline.
        """
        model = _model_file(path)
        digest = hashlib.sha256(model).hexdigest()
        with self._calls.registry() as registry:
            registry.Upload(_chunks(model, digest, pipeline), timeout=UPLOAD_S)
        given = Given(name=path.stem, digest=digest, bytes=len(model), note=note)
        reason = f"{path.name} is given" + (f": {note}" if note else "")
        request = TrainRequest(pipeline=pipeline, reason=reason, by=person(), given=given)
        with self._calls.training() as training:
            return training.Train(request, timeout=DEADLINE_S).request_id

    def artifact(self, digest: str) -> bytes:
        """The file of a model, by the sha256 of its bytes. Refused: it is not kept any more, or
        what came is not it.
        """
        with self._calls.registry() as registry:
            chunks = registry.Download(ArtifactRequest(digest=digest), timeout=UPLOAD_S)
            data = b"".join(chunk.data for chunk in chunks)
        if (found := hashlib.sha256(data).hexdigest()) != digest:
            raise Refused(f"artifact {digest[:12]} hashes to {found[:12]}", status="DATA_LOSS")
        return data

    def retrain(
        self,
        pipeline: str,
        reason: str = "",
        start: Instant | None = None,
        end: Instant | None = None,
    ) -> str:
        """Ask for a retrain by hand, on the rows of [start, end) of event time where they are said;
        gives back the request's id, under which `explain` tells what came of it.
        """
        with self._calls.training() as training:
            request = TrainRequest(pipeline=pipeline, reason=reason, by=person())
            if start is not None or end is not None:
                request.span.from_us = instant_us(start) if start is not None else 0
                request.span.to_us = instant_us(end) if end is not None else 0
            return training.Train(request, timeout=DEADLINE_S).request_id

    def predict(self, pipeline: str, row: Mapping[str, object]) -> Plain:
        """What the live model says of a raw row now, by its features as they stand."""
        return predicting.predict(self._calls, pipeline, row)


def _decided(pipeline: str, version: int, reason: str) -> DecideRequest:
    return DecideRequest(pipeline=pipeline, version=version, by=person(), reason=reason)


def read_by(trained: ModelTrained) -> Window:
    """All offsets that a run has read: its candidates' windows and what was held out."""
    spans: dict[tuple[str, int], tuple[int, int]] = {}
    windows = [*(candidate.window for candidate in trained.candidates), trained.holdout]
    for one in (each for window in windows for each in window.ranges):
        start, end = spans.get((one.topic, one.partition), (one.start, one.end))
        spans[one.topic, one.partition] = min(start, one.start), max(end, one.end)
    ranges = [
        OffsetRange(topic=topic, partition=partition, start=start, end=end)
        for (topic, partition), (start, end) in sorted(spans.items())
    ]
    times = trained.holdout
    return Window(ranges=ranges, from_us=times.from_us, to_us=times.to_us, without=times.without)


def _chunks(model: bytes, digest: str, pipeline: str) -> Iterator[ArtifactChunk]:
    """The first chunk carries the head."""
    head = ArtifactChunk(digest=digest, pipeline=pipeline, bytes=len(model))
    for start in range(0, len(model), CHUNK_BYTES):
        head.data = model[start : start + CHUNK_BYTES]
        yield head
        head = ArtifactChunk()


def _model_file(path: Path) -> bytes:
    if not path.is_file():
        raise Refused(f"{path}: no such file")
    model = path.read_bytes()
    if not model:
        raise Refused(f"{path}: it is empty, wanted an ONNX model")
    return model


def file_text(path: Path) -> str:
    """What stands in a pipeline file. Refused, in one line: it can't be read as text."""
    if not path.is_file():
        raise Refused(f"{path}: no such file")
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise Refused(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8") from error
    except OSError as error:
        raise Refused(f"{path}: can't be read: {error.strerror}") from error


def learner_kinds() -> frozenset[str]:
    """The kinds of learners that a file may name: the shipped ones, and those of the packages that
    are installed here.
    """
    return SHIPPED | frozenset(names(LEARNERS, {}))


def check(text: str, name: str) -> spec.Pipeline:
    """The pipeline in `text`. Refused: every mistake, a line each."""
    try:
        return spec.parse(text, name, learner_kinds())
    except spec.Mistakes as mistakes:
        raise Refused(str(mistakes)) from mistakes
