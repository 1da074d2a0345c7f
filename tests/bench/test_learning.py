"""Does the loop keep up with the best single strategy in hindsight? What does an export cost, and
are models made again to the byte?

make bench-learning    → var/bench/learning.json
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from services.evaluation.domain import losses_of
from services.monitor.domain.drift import LossDetector, Losses
from services.training.online import LinePlan
from services.training.online.line import Line
from tests.bench.learning import streams
from tests.bench.learning.loop import FIRST, TREES, Loop, fitted
from tests.bench.learning.rebuilds import rebuilt
from tests.bench.learning.records import SECOND_US, STEP, Floats, Record, record
from tests.bench.learning.streams import Stream

OUT = Path(__file__).parents[2] / "var" / "bench"
DELAY_SHARE = 100  # labels are late by nothing, and by a hundredth of the stream
REFITS = {"newest_500": (500, 250), "newest_2000": (2_000, 500), "long": (20_000, 1_000)}
EXPORTED = 10_000  # rows learnt before an export is measured
ONLINE = ("LogisticRegression", "GaussianNB", "HoeffdingTreeClassifier",
          "HoeffdingAdaptiveTreeClassifier", "ARFClassifier")  # fmt: skip


@pytest.mark.bench
@pytest.mark.timeout(7_200)
def test_the_loop_is_never_much_worse_than_the_best_single_strategy() -> None:
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        told = [one for each in pool.map(measured, streams.names()) for one in each]
        unseen = [one for each in pool.map(measured, streams.UNSEEN) for one in each]
        exported = list(pool.map(export, ONLINE))
    reading = OUT / "reading.json"
    rates = json.loads(reading.read_text()) if reading.exists() else {}
    figures = {
        "streams": told,
        "unseen": unseen,
        "export": exported,
        "rebuild": rebuilt(),
        "read_rows_per_s": rates.get("read_rows_per_s"),
        "replay_rows_per_s": rates.get("replay_rows_per_s"),
    }
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "learning.json").write_text(json.dumps(figures, indent=1) + "\n")


def measured(name: str) -> list[dict[str, Any]]:
    """A stream with both delays of its labels. Accuracy is over the rows that the loop answered
    once every strategy could; snapshots are those of the lines.
    """
    stream = streams.load(name)
    late = len(stream.target) // DELAY_SHARE
    records = {plan.name: record(plan, stream, (0, late)) for plan in plans(stream)}
    return [_measured(stream, delay, records) for delay in (0, late)]


def plans(stream: Stream) -> list[LinePlan]:
    """The lines that `driftloop try` drafts."""
    width = stream.vectors.shape[1]
    linear = "LogisticRegression" if stream.classes == 2 else "SoftmaxRegression"
    names = tuple(f"x{number}" for number in range(width))
    of = 1, stream.classes, width
    return [
        LinePlan("logistic", {"estimator": linear}, *of),
        LinePlan("forest", {"estimator": "ARFClassifier"}, *of),
        *(
            LinePlan(name, TREES, *of, rows, 1.0, "lightgbm", window, names)
            for name, (window, rows) in REFITS.items()
        ),
    ]


def _measured(stream: Stream, delay: int, records: Mapping[str, Record]) -> dict[str, Any]:
    answers = {name: each.answers[delay] for name, each in records.items()}
    began_s = time.process_time()
    loop = Loop(stream, delay, answers)
    loop.run()
    cpu_s = time.process_time() - began_s + sum(each.cpu_s for each in records.values())
    rows = np.flatnonzero(loop.versions > 0)
    rows = rows[rows >= FIRST + delay + STEP]
    strategies = {
        "frozen": _frozen(stream),
        "alarm": alarmed(stream, delay),
        "periodic": answers["newest_2000"],
        "online_logistic": answers["logistic"],
        "arf": answers["forest"],
    }
    return {
        "name": stream.name,
        "label_delay": delay,
        "rows": len(rows),
        "strategies": {name: _accuracy(stream, each, rows) for name, each in strategies.items()},
        "loop": _accuracy(stream, loop.answers, rows),
        "retrains": loop.retrains,
        "released": len(loop.released),
        "snapshots": sum(each.snapshots for each in records.values()),
        "cpu_s": round(cpu_s, 1),
    }


def _frozen(stream: Stream) -> Floats:
    model = fitted(stream, 0, FIRST)
    assert model is not None
    return model.run(stream.vectors).astype(np.float64)


def alarmed(stream: Stream, delay: int) -> Floats:
    """Fitted anew on the newest 2,000 rows whenever the detector speaks, and never judged."""
    answers = _frozen(stream)
    detector = LossDetector("PageHinkley", {})
    begun = FIRST
    for start in range(FIRST + delay, len(stream.target), STEP):
        known = start + STEP - delay
        at = np.arange(max(begun, known - STEP), min(known, len(stream.target)))
        losses = losses_of(stream.target[at], answers[at], stream.classes, "log_loss")
        bucket = Losses(known * SECOND_US, (known + STEP) * SECOND_US, losses, 0)
        if detector.observe(bucket) is None:
            continue
        model = fitted(stream, max(0, known - 2_000), known)
        if model is not None and start + STEP < len(stream.target):
            begun = start + STEP
            answers[begun:] = model.run(stream.vectors[begun:]).astype(np.float64)
        detector = LossDetector("PageHinkley", {})
    return answers


def _accuracy(stream: Stream, answers: Floats, rows: np.ndarray[Any, Any]) -> float:
    said = np.nan_to_num(answers[rows], nan=-1.0).argmax(axis=1)
    return round(float((said == stream.target[rows]).mean()), 4)


def export(estimator: str) -> dict[str, Any]:
    """What a snapshot costs after some thousand rows of a generator, and how exact it is."""
    stream = streams.load("agrawal_abrupt")
    width = stream.vectors.shape[1]
    line = Line(LinePlan("line", {"estimator": estimator}, 1, stream.classes, width))
    part = slice(0, EXPORTED)
    line.learn(np.empty(0, np.int64), stream.vectors[part], stream.target[part])
    tries = []
    for _ in range(5):
        began_s = time.process_time()
        model = line.onnx({})
        tries.append(time.process_time() - began_s)
    session = onnxruntime.InferenceSession(line.onnx({}, exact=True))
    asked = stream.vectors[EXPORTED : EXPORTED + 1_000]
    difference = np.abs(session.run(["exact"], {"features": asked})[0] - line.answers(asked)).max()
    return {
        "estimator": estimator,
        "ms": round(min(tries) * 1_000, 2),
        "kb": round(len(model) / 1_024, 1),
        "max_diff": float(difference),
    }
