"""What each line would have answered to every row of a stream, by the very snapshots that would
have been served: the product's lines, their pace, their export, onnxruntime.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.serving import onnx
from services.training.online import LinePlan
from services.training.online.line import Line
from services.training.online.refit import Refit
from tests.bench.learning.streams import Stream

STEP = 50  # rows: the pace of snapshots, and of buckets
SECOND_US = 1_000_000  # a row each second of event time
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Record:
    """`answers`: delay of the labels in rows → [n, classes], NaN where there was no snapshot."""

    answers: dict[int, Floats]
    snapshots: int
    cpu_s: float


def record(plan: LinePlan, stream: Stream, delays: Sequence[int]) -> Record:
    """One line over the whole stream. A snapshot after n rows answers rows [n + delay, n + delay +
    STEP): of these labels no later one had come.
    """
    began_s, rows = time.process_time(), len(stream.target)
    answers = {delay: np.full((rows, stream.classes), np.nan) for delay in delays}
    line = Refit(plan) if plan.window else Line(plan)
    times = np.arange(rows, dtype=np.int64) * SECOND_US
    session: onnx.Session | None = None
    told = snapshots = 0
    for start in range(0, rows, STEP):
        part = slice(start, start + STEP)
        line.learn(times[part], stream.vectors[part], stream.target[part])
        if line.due(told, 0.0):
            model, told = line.exported({})
            if model:
                session = onnx.Session(
                    model, width=plan.features, classes=stream.classes, provider=onnx.CPU
                )
                snapshots += 1
        if session is None:
            continue
        for delay, given in answers.items():
            asked = slice(start + STEP + delay, start + 2 * STEP + delay)
            if asked.start < rows:
                given[asked] = session.run(stream.vectors[asked])
    return Record(answers, snapshots, time.process_time() - began_s)
