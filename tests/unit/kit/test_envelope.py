"""Rows as bytes and back; hashes that others compute too."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftloop.kit.envelope import batch_schema, decode, encode, hash64, matrix, partition_rows
from driftloop.kit.errors import Malformed
from driftloop.kit.hash import murmur2_rows

SCHEMA = batch_schema({"id": "string", "time_us": "int64", "late": "bool", "value": "float64"})

# org.apache.kafka.common.utils.UtilsTest.testMurmur2
JAVA = {
    "21": -973932308,
    "foobar": -790332482,
    "a-little-bit-long-string": -985981536,
    "a-little-bit-longer-string": -1486304829,
    "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    "abc": 479470107,
}
# https://github.com/Cyan4973/xxHash, seed 0
XXH64 = {
    "": 0xEF46DB3751D8E999,
    "a": 0xD24EC4F1A98C6E5B,
    "abc": 0x44BC2CF5AD770999,
    "Nobody inspects the spammish repetition": 0xFBCEA83C8A378BF1,
}


def a_batch(rows: int = 20) -> pa.RecordBatch:
    values = [None if row % 7 == 3 else row / 3 for row in range(rows)]
    columns = [[f"r{row}" for row in range(rows)], list(range(rows)), [False] * rows, values]
    arrays = [pa.array(c, f.type) for c, f in zip(columns, SCHEMA, strict=True)]
    return pa.record_batch(arrays, schema=SCHEMA)


@pytest.mark.parametrize("rows", [0, 1, 20])
def test_a_batch_comes_back_as_it_was(rows: int) -> None:
    assert decode(encode(a_batch(rows)), SCHEMA).equals(a_batch(rows))


def test_a_slice_is_sent_without_the_rest() -> None:
    part = a_batch(1000).slice(500, 3)
    assert decode(encode(part), SCHEMA).equals(part)
    assert len(encode(part)) < 1000


@pytest.mark.parametrize("data", [b"", b"nonsense", encode(a_batch())[:200]])
def test_bytes_that_are_no_batch_are_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        decode(data, SCHEMA)


def test_a_batch_of_another_schema_is_malformed() -> None:
    with pytest.raises(Malformed):
        decode(encode(a_batch()), batch_schema({"a": "string", "b": "string", "c": "string"}))


def test_a_matrix_is_a_view_that_cant_be_written() -> None:
    vectors = np.arange(6, dtype="<f4").reshape(3, 2)
    seen = matrix(vectors.tobytes(), 3, 2)
    assert (seen == vectors).all()
    assert not seen.flags.writeable


def test_a_matrix_of_another_size_is_malformed() -> None:
    with pytest.raises(Malformed, match="found 8 bytes, wanted 3 rows x 2 columns"):
        matrix(bytes(8), 3, 2)


def test_murmur2_is_that_of_javas_client() -> None:
    data = "".join(JAVA).encode()
    offsets = np.cumsum([0, *(len(key) for key in JAVA)]).astype(np.int32)
    assert murmur2_rows(offsets, np.frombuffer(data, np.uint8)).tolist() == list(JAVA.values())
    partitions = partition_rows(pa.array(list(JAVA)), 7).tolist()
    assert partitions == [(hashed & 0x7FFFFFFF) % 7 for hashed in JAVA.values()]


def test_hash64_is_xxh64() -> None:
    assert hash64(pa.array(list(XXH64))).tolist() == list(XXH64.values())


def test_nulls_and_slices_and_empty_columns_are_hashed_too() -> None:
    keys = pa.array(["x", "abc", None, "abc", "y"])
    assert hash64(keys[1:4]).tolist() == [XXH64["abc"], 0, XXH64["abc"]]
    assert partition_rows(keys[2:3], 5).tolist() == [0]
    assert hash64(keys[5:]).tolist() == []
    assert partition_rows(pa.array([], pa.string()), 5).tolist() == []


@settings(max_examples=30, deadline=None)  # the first call compiles
@given(st.lists(st.text(), max_size=20), st.integers(0, 20))
def test_a_row_hashes_the_same_wherever_it_stands(keys: list[str], start: int) -> None:
    column = pa.array(keys, pa.string())
    alone = [int(hash64(pa.array([key], pa.string()))[0]) for key in keys]
    assert hash64(column[start:]).tolist() == alone[start:]
