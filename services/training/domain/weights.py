"""How much each row counts in a fit: by its age, by its class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
HALVINGS_MAX = 40  # 1e-12: what is older counts for nothing either way, and never underflows to 0


@dataclass(frozen=True, slots=True)
class Weighing:
    """`half_life_us` None: age doesn't count. `balanced`: every class counts as much as another in
    all; else `classes` has a number for each, or is empty where they don't count.
    """

    half_life_us: int | None = None
    balanced: bool = False
    classes: tuple[float, ...] = ()


EVEN = Weighing()


def weights(times: npt.NDArray[np.int64], target: Floats, how: Weighing) -> Floats | None:
    """[n] above 0 whose mean is 1; None where all rows count the same. `times` in µs; `target`: the
    index of the class, where classes count.
    """
    if how == EVEN or not len(times):
        return None
    each = np.ones(len(times))
    if how.half_life_us is not None:
        age = (times.max() - times) / how.half_life_us
        each = np.exp2(-np.minimum(age, HALVINGS_MAX))
    if how.balanced:
        totals = np.bincount(target.astype(np.int64), each)
        each = each / totals[target.astype(np.int64)]
    elif len(how.classes):
        each = each * np.asarray(how.classes, np.float64)[target.astype(np.int64)]
    return np.asarray(each / each.mean(), np.float64)
