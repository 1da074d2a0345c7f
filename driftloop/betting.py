"""Does a challenger err less than what is live? Evidence that may be looked at after every row.

A gain is what the live model erred on a row less what the challenger did, between -1 and 1. If the
challenger is no better, a bet of a fixed part of one's fortune on each gain does not grow in the
mean, so that its fortune is an e-process: whoever waits until it is 1 / alpha is wrong with a
chance of at most alpha, at whatever row they look (Ville's inequality; Waudby-Smith and Ramdas,
"Estimating means of bounded random variables by betting", JRSS-B 2023). A held-out test must be
asked once; this may be asked for ever, and it is why a line is judged by it.

Which is better changes with the stream. So a little of the fortune is begun anew in every block of
rows: an e-detector of Shiryaev and Roberts' kind (Shin, Ramdas, Rinaldo, "E-detectors", 2023). What
it then bounds is how often it speaks where nothing is better: once in 1 / alpha restarts or rarer.

Gains of neighbouring rows hang together, and bets on them win and lose in runs; the small bet is
the guard against it. Size and rate below were chosen once, over eight streams (two public ones and
six generators, labels late and not), and hold for all.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

BET = 0.2  # of the fortune, on each row
RESTART = 1 / 2_000  # of the fortune, a row, is begun anew
BLOCK = 50  # rows that are taken together
ALPHA = 0.05

Floats = npt.NDArray[np.float64]
Gains = npt.NDArray[np.int8]


def gains(live: Floats, other: Floats, target: Floats, classes: int, threshold: float) -> Gains:
    """[n] 1 where the other is right and what is live is not, -1 the other way round, else 0; 0
    where one of them gave no answer. Of numbers: which of them is nearer.

    `live`, `other`: [n, outputs]; `target`: [n] number of the class, or the value; `threshold`: of
    the positive class, where there are two.
    """
    errors = [_errors(each, target, classes, threshold) for each in (live, other)]
    found = np.sign(errors[0] - errors[1])
    return np.where(np.isnan(found), 0, found).astype(np.int8)


class Bets:
    """One bet against what is live for each challenger; begun anew when something else is live."""

    def __init__(self, challengers: int, alpha: float = ALPHA) -> None:
        self._logs = np.zeros(challengers)
        self._peaks = np.zeros(challengers)
        self._rest: npt.NDArray[np.int8] = np.empty((0, challengers), np.int8)
        self._least = float(np.log((challengers + 1) / alpha)) if challengers else np.inf
        self.rows = 0

    def take(self, rows: npt.NDArray[np.int8]) -> None:
        """[n, challengers] gains in the order in which they became known; whole blocks count."""
        self.rows += len(rows)
        if not rows.shape[1]:
            return
        waiting = np.concatenate([self._rest, rows])
        end = len(waiting) // BLOCK * BLOCK
        for block in waiting[:end].reshape(-1, BLOCK, waiting.shape[1]):
            again = min(1.0, RESTART * BLOCK)
            kept = np.logaddexp(self._logs + np.log1p(-again), np.log(again))
            self._logs = kept + np.log1p(BET * block).sum(axis=0)
            self._peaks = np.maximum(self._peaks, self._logs)
        self._rest = waiting[end:]

    def begin_anew(self, number: int) -> None:
        """What was won against what is live counts no more."""
        self._logs[number] = 0.0

    @property
    def evidence(self) -> Sequence[float]:
        """Of each challenger, as a natural logarithm; `least` is enough."""
        return self._logs.tolist()

    @property
    def peaks(self) -> Sequence[float]:
        """The largest that each has had."""
        return self._peaks.tolist()

    @property
    def least(self) -> float:
        """The logarithm of how many times a fortune must have grown: (challengers + 1) / alpha."""
        return self._least

    def winner(self) -> int | None:
        """The challenger with the most evidence, where that is enough."""
        if not len(self._logs):
            return None
        best = int(np.argmax(self._logs))
        return best if self._logs[best] > self._least else None


def _errors(given: Floats, target: Floats, classes: int, threshold: float) -> Floats:
    """[n] 0 or 1 of classes, a distance of numbers; NaN without an answer."""
    if not classes:
        return np.abs(given[:, 0].astype(np.float64) - target)
    if classes == 2:
        said = (given[:, 1] >= np.float32(threshold)).astype(np.int64)
    else:
        said = np.argmax(given, axis=1)
    wrong = (said != target.astype(np.int64)).astype(np.float64)
    return np.where(np.isnan(given).any(axis=1), np.nan, wrong)
