"""Parts of a stream to fit on and to try on, so that what is tried is what would have happened: a
row whose label had not come by then is not learnt from.

All give (train [i], test [j]) numbers of rows for each fold; rows are in the order of their times.
`rolling_origin` and `blocked` leave `gap_us` of event time between both, as long as labels take;
the k folds are for rows that may be exchanged, which those of a stream seldom may.

Sources: Tashman 2000 (rolling origin), Bergmeir and Benítez 2012 (blocked), Kohavi 1995
(stratified).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Fold = tuple[Ints, Ints]
TRAIN_SHARE = 0.5  # of the rows come before the first origin


def rolling_origin(times: Ints, folds: int, gap_us: int) -> Iterator[Fold]:
    """The newer half in `folds` parts, each tried by what was learnt from all rows older than it
    by `gap_us` at least. A part without such rows is left out.

    `times` [n] µs, ascending. ValueError: fewer rows than folds.
    """
    _enough(len(times), folds)
    edges = np.linspace(int(len(times) * TRAIN_SHARE), len(times), folds + 1).astype(np.int64)
    for start, end in pairwise(edges):
        train = np.flatnonzero(times <= times[start] - max(gap_us, 1))
        if len(train) and end > start:
            yield train, np.arange(start, end)


def blocked(times: Ints, folds: int, gap_us: int) -> Iterator[Fold]:
    """All rows in `folds` consecutive parts, each tried by the rows that are `gap_us` away from it
    on both sides: newer rows too, so it says how well the rows are learnt, not what would have
    happened. A part without such rows is left out.
    """
    _enough(len(times), folds)
    edges = np.linspace(0, len(times), folds + 1).astype(np.int64)
    for start, end in pairwise(edges):
        first, last = times[start], times[end - 1]
        away = (times <= first - max(gap_us, 1)) | (times >= last + max(gap_us, 1))
        train = np.flatnonzero(away)
        if len(train):
            yield train, np.arange(start, end)


def k_folds(rows: int, folds: int, seed: int) -> Iterator[Fold]:
    """Each row is tried once, by what was learnt from those of the other folds."""
    _enough(rows, folds)
    places = np.random.default_rng(seed).permutation(rows) % folds
    yield from _by_place(places, folds)


def stratified(target: npt.NDArray[np.float64], folds: int, seed: int) -> Iterator[Fold]:
    """The same, with each class shared out evenly: in no fold it has more than one row more than
    in another.
    """
    _enough(len(target), folds)
    rng = np.random.default_rng(seed)
    places = np.empty(len(target), np.int64)
    first = 0
    for one in np.unique(target):
        mine = rng.permutation(np.flatnonzero(target == one))
        places[mine] = (np.arange(len(mine)) + first) % folds
        first += len(mine)  # so that small classes do not all begin in the same fold
    yield from _by_place(places, folds)


def _by_place(places: Ints, folds: int) -> Iterator[Fold]:
    for fold in range(folds):
        yield np.flatnonzero(places != fold), np.flatnonzero(places == fold)


def _enough(rows: int, folds: int) -> None:
    if folds < 2 or rows < 2 * folds:
        raise ValueError(
            f"{rows} rows in {folds} folds: wanted 2 folds and 2 rows in each at least"
        )
