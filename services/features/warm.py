"""Compiles the kernels, or loads them from numba's cache, before a loop joins its group.

Apart because it touches both loops' kernels and decides nothing; cold it takes some 10 s of CPU,
which no consumer group should wait for.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from driftloop.kit.envelope import batch_schema, partition_rows
from driftloop.spec import kernel_join
from driftloop.spec.windows import Windows
from services.features.codec import RecordsCodec
from services.features.domain import LabelJoin
from services.features.handlers import Generation


def warm_up(generation: Generation) -> None:
    """Runs every kernel once over no rows at all."""
    program = generation.program
    schema = batch_schema(generation.pipeline.record_columns())
    nothing = pa.RecordBatch.from_pylist([], schema=schema)
    batch = RecordsCodec(generation.pipeline, program).batch([nothing], [0], [0])
    windows = Windows(program)
    windows.apply(batch.rows)
    windows.ask(batch.rows)
    for state in windows.kinds:
        state.loaded()
    partition_rows(pa.array([""], pa.string()), 1)
    join = LabelJoin(1, 1, 1)
    join.rows(np.zeros((0, 5), np.int64), np.zeros((0, 1), np.float32))
    join.labels(np.zeros((0, 7), np.int64))
    join.expire(np.full(1, kernel_join.NONE // 2, np.int64), now=True)
