"""Event ids: which rows are the same, and in what order rows stand."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Ints = NDArray[np.int64]


def pairs(ids: pa.StringArray, labelled: pa.StringArray) -> tuple[Ints, Ints]:
    """Positions (in ids, in labelled) of each label that has its prediction here."""
    places = pc.index_in(labelled, value_set=ids).fill_null(-1)
    found = places.to_numpy(zero_copy_only=False).astype(np.int64)
    of = np.flatnonzero(found >= 0)
    return found[of], of


def by_time_and_id(times_us: Ints, ids: pa.StringArray) -> Ints:
    table = pa.table({"time": pa.array(times_us), "id": ids})
    order: Ints = pc.sort_indices(
        table, sort_keys=[("time", "ascending"), ("id", "ascending")]
    ).to_numpy()
    return order.astype(np.int64)
