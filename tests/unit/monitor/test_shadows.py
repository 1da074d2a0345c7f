"""The record of lines: from the predictions that carry them to the bucket that tells of them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from driftloop.contracts.event_pb2 import Envelope
from driftloop.contracts.model_pb2 import OffsetRange
from driftloop.contracts.prediction_pb2 import Predictions, Shadow
from driftloop.contracts.retrain_pb2 import Statistics
from driftloop.kit.envelope import encode
from driftloop.kit.errors import Malformed
from services.monitor import codec
from services.monitor.domain.buckets import Closed
from services.monitor.domain.shadows import Contest

CONTEST = Contest(("a", "b"), "binary", 2, 0.5)


def share(*positive: float) -> np.ndarray:
    of = np.array(positive, np.float32)
    return np.stack([1 - of, of], axis=1)


def a_message(*shadows: Shadow) -> Predictions:
    columns = [pa.array(["x", "y"]), *(pa.array([1, 2], pa.int64()) for _ in range(3))]
    batch = pa.RecordBatch.from_arrays(columns, schema=codec.PREDICTIONS)
    return Predictions(
        envelope=Envelope(pipeline="p", generation=1), rows=2, width=2, version=3,
        columns=encode(batch), outputs=share(0.9, 0.9).tobytes(), shadows=shadows,
    )  # fmt: skip


def test_a_line_that_gave_no_answer_has_none_and_the_order_is_the_pipelines() -> None:
    rows = codec.predicted(a_message(Shadow(line="b", outputs=share(0.2, 0.3).tobytes())), 7, 2,
                           ("a", "b"))  # fmt: skip
    assert np.isnan(rows.shadows[:, :2]).all()
    assert rows.shadows[:, 3].tolist() == pytest.approx([0.2, 0.3])


def test_a_bucket_tells_who_was_right_and_at_what_loss_on_the_rows_that_both_answered() -> None:
    live, targets = share(0.9, 0.9, 0.1), np.array([1.0, 0.0, 0.0])
    shadows = np.concatenate([share(0.8, 0.2, 0.9), np.full((3, 2), np.nan, np.float32)], axis=1)
    shadows[2, :2] = np.nan
    first, silent = CONTEST.lines(live, shadows, targets)
    assert first.gains.tolist() == [0, 1, 0]
    assert (first.rows, silent.rows, silent.loss) == (2, 0, 0.0)
    assert first.loss == pytest.approx(-2 * np.log(0.8), rel=1e-6)
    assert first.live_loss == pytest.approx(-np.log(0.9) - np.log(0.1), rel=1e-5)


def told(*rows: int) -> Statistics:
    lines = CONTEST.lines(share(0.9, 0.9), np.concatenate([share(0.8, 0.2)] * 2, axis=1),
                          np.array([1.0, 0.0]))  # fmt: skip
    losses, none = np.array([0.1, 2.3]), OffsetRange()
    closed = Closed(0, 10, 3, losses=losses, times_us=np.array([1, 2]), lines=lines)
    return codec.statistics(closed, "p", 1, 0, watermark_us=9, parts=1, predictions=none,
                            examples=none, lines=CONTEST.names)  # fmt: skip


def test_gains_come_back_by_name_whoever_reads_them() -> None:
    part = codec.part(told(), ("b", "unknown"))
    assert part.gains.tolist() == [[0, 0], [1, 0]]


def test_a_bucket_whose_lines_hold_other_rows_is_refused() -> None:
    message = told()
    message.lines[0].gains = b"\x01"
    with pytest.raises(Malformed, match="other rows than the 2 scored"):
        codec.part(message, ("a",))
