"""One message of `statistics` as two lanes, loop and frozen, over the same rows.

Where the message has each row's probability, exactly the rows that both lanes answered are
compared. Where it has histograms alone (a log from before), all rows of the message are, each at
the middle of its bin.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from driftloop.contracts.retrain_pb2 import Statistics
from driftloop.statistics import PROBABILITY_BINS, pairs, unsigned

PROBABILITY_MIN = 1e-7  # as the monitor clips: float32 knows no more

Scores = tuple[NDArray[np.float32], NDArray[np.bool_]]
NONE: Scores = (np.empty(0, np.float32), np.empty(0, bool))


@dataclass(frozen=True, slots=True)
class Lane:
    """Rows, the sum of their losses, and their probabilities with labels (binary targets only)."""

    rows: int = 0
    loss: float = 0.0
    scores: Scores = NONE


@dataclass(frozen=True, slots=True)
class Lanes:
    """`alone`: every scored row of the loop. `loop` and `frozen`: those that both answered."""

    alone: Lane
    loop: Lane
    frozen: Lane


def lanes(message: Statistics) -> Lanes:
    """Of one message; a lane that nobody answered is empty."""
    if len(message.scores) == 4 * message.scored and message.scored:
        return _exact(message)
    alone = Lane(message.scored, message.loss_sum, _binned(message.score_histogram))
    frozen = Lane(message.scored, message.baseline_loss_sum, _binned(message.baseline_histogram))
    answered = message.scored and np.isfinite(frozen.loss)
    return Lanes(alone, alone if answered else Lane(), frozen if answered else Lane())


def _exact(message: Statistics) -> Lanes:
    losses = np.frombuffer(message.losses, "<f8")
    scores, positive = unsigned(message.scores)
    frozen, _ = unsigned(message.baseline_scores)
    if len(frozen) != len(scores):
        frozen = np.full(len(scores), np.nan, np.float32)
    both = ~np.isnan(scores) & ~np.isnan(frozen)
    alone = Lane(message.scored, message.loss_sum, (scores, positive))
    rows = int(both.sum())
    if not rows:
        return Lanes(alone, Lane(), Lane())
    truth = np.where(positive, frozen, 1 - frozen)[both].astype(np.float64)
    return Lanes(
        alone,
        Lane(rows, float(losses[both].sum()), (scores[both], positive[both])),
        Lane(
            rows,
            float(-np.log(np.clip(truth, PROBABILITY_MIN, 1.0)).sum()),
            (frozen[both], positive[both]),
        ),
    )


def _binned(sparse: bytes) -> Scores:
    index, counts = pairs(sparse, 2 * PROBABILITY_BINS)
    rows = np.repeat(index, counts)
    middle = (rows % PROBABILITY_BINS + 0.5) / PROBABILITY_BINS
    return middle.astype(np.float32), rows >= PROBABILITY_BINS
