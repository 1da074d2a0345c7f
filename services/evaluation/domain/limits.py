"""What bars a candidate whatever its gain: too large, too slow, too sure of itself, or worse where
it matters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.evaluation.domain.backtest import members
from services.evaluation.domain.metrics import Floats

SLICE_ROWS_MIN = 100  # of fewer a mean says little, and bars nobody


@dataclass(frozen=True, slots=True)
class Limits:
    """None: there is no such limit. `row_us`: the median time of one row's answer, µs;
    `slice_margin`: by how much the mean loss may be above the opponent's in any value of a slice.
    """

    bytes: int | None = None
    row_us: float | None = None
    calibration_error: float | None = None
    slice_margin: float | None = None

    def text(self) -> str:
        """For the rule; empty: none is set."""
        said = (
            (self.bytes, "at most {:,} bytes"),
            (self.row_us, "a row in at most {:g} µs"),
            (self.calibration_error, "calibration error at most {:g}"),
            (self.slice_margin, "in no slice worse by more than {:g}"),
        )
        return ", ".join(text.format(limit) for limit, text in said if limit is not None)


@dataclass(frozen=True, slots=True)
class Case:
    """What is known of a candidate. `gain` [n] over its opponent, row by row."""

    bytes: int
    row_us: float
    calibration_error: float | None
    gain: Floats


def barred(limits: Limits, case: Case, slices: Mapping[str, npt.NDArray[np.float32]]) -> str:
    """All that bars it, in words; empty: nothing. `slices`: feature → its values [n]."""
    return "; ".join(_reasons(limits, case, slices))


def _reasons(
    limits: Limits, case: Case, slices: Mapping[str, npt.NDArray[np.float32]]
) -> Iterator[str]:
    if limits.bytes is not None and case.bytes > limits.bytes:
        yield f"{case.bytes:,} bytes, at most {limits.bytes:,}"
    if limits.row_us is not None and case.row_us > limits.row_us:
        yield f"{case.row_us:.0f} µs a row, at most {limits.row_us:g}"
    error = case.calibration_error
    most = limits.calibration_error
    if most is not None and error is not None and error > most:
        yield f"calibration error {error:.3f}, at most {most:g}"
    if limits.slice_margin is not None:
        yield from _slices(limits.slice_margin, case.gain, slices)


def _slices(
    margin: float, gain: Floats, slices: Mapping[str, npt.NDArray[np.float32]]
) -> Iterator[str]:
    for feature, values in slices.items():
        for value, member in members(values):
            mine = gain[member]
            if len(mine) >= SLICE_ROWS_MIN and -mine.mean() > margin:
                yield (
                    f"where {feature} is {value} worse by {-mine.mean():.4f} over {len(mine):,} "
                    f"rows, at most {margin:g}"
                )
