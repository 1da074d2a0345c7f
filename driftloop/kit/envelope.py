"""Rows that travel together, as bytes and back: Arrow record batches, float32 matrices, and which
partition a row is for.

The bytes hold the batch alone; its schema belongs to the generation and is known on both sides.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from driftloop.kit.errors import Malformed

A = TypeVar("A", bound="npt.NDArray[np.generic]")
_TYPES: Mapping[str, pa.DataType] = {
    "bool": pa.bool_(),
    "int8": pa.int8(),
    "int16": pa.int16(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "uint8": pa.uint8(),
    "uint16": pa.uint16(),
    "uint32": pa.uint32(),
    "uint64": pa.uint64(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "string": pa.string(),
    "binary": pa.binary(),
}


def batch_schema(columns: Mapping[str, str]) -> pa.Schema:
    """Column name → Arrow type's name, in order; every column may hold nulls."""
    return pa.schema([pa.field(name, _TYPES[kind]) for name, kind in columns.items()])


def encode(batch: pa.RecordBatch) -> bytes:
    """One Arrow IPC record batch message, without its schema."""
    return batch.serialize().to_pybytes()  # type: ignore[no-any-return]


def decode(data: bytes, schema: pa.Schema) -> pa.RecordBatch:
    """The batch in `data`, columns over its memory without a copy. Malformed: not such a batch."""
    try:
        batch = pa.ipc.read_record_batch(pa.py_buffer(data), schema)
        batch.validate(full=True)  # 1 us: a wrong offset would read beyond the bytes
    except (pa.ArrowException, OSError, EOFError, ValueError) as error:
        raise Malformed(f"not a record batch of {', '.join(schema.names)}: {error}") from error
    return batch


def matrix(data: bytes, rows: int, width: int) -> npt.NDArray[np.float32]:
    """A read-only view, [rows, width] row-major little-endian float32. Malformed: another number of
    bytes."""
    if len(data) != rows * width * 4:
        raise Malformed(f"found {len(data)} bytes, wanted {rows} rows x {width} columns x 4")
    return np.frombuffer(data, dtype="<f4").reshape(rows, width)


def partition_rows(keys: pa.StringArray, n: int) -> npt.NDArray[np.int32]:
    """[rows] partitions of `n` as Kafka's default partitioner of Java chooses them; a null key goes
    to 0."""
    from driftloop.kit.hash import murmur2_rows  # numba: half a second, for those alone who ask

    partitions = (murmur2_rows(*_buffers(keys)) & np.int32(0x7FFFFFFF)) % np.int32(n)
    return _nulls_zero(keys, partitions)


def hash64(array: pa.StringArray) -> npt.NDArray[np.uint64]:
    """[rows] XXH64 of the strings' UTF-8; a null is 0."""
    from driftloop.kit.hash import hash64_rows  # as above

    return _nulls_zero(array, hash64_rows(*_buffers(array)))


def _buffers(array: pa.StringArray) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
    """Offsets [rows + 1] of this slice and the bytes that they point into."""
    assert pa.types.is_string(array.type) or pa.types.is_binary(array.type), array.type
    _, offsets, data = array.buffers()
    if len(array) == 0:  # Arrow may leave out an empty array's buffers
        return np.frombuffer(bytes(4), np.int32), np.frombuffer(b"", np.uint8)
    rows = np.frombuffer(offsets, np.int32)[array.offset : array.offset + len(array) + 1]
    return rows, np.frombuffer(
        data if data is not None else b"", np.uint8
    )  # read-only all: one compilation


def _nulls_zero(array: pa.StringArray, values: A) -> A:
    if array.null_count:
        values[array.is_null().to_numpy(zero_copy_only=False)] = 0
    return values
