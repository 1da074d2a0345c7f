"""The rows of a recorded window: from the log, else from the archive, where they lie as Parquet.

An archived object's name is the digest of its rows, so the same rows are kept once, and what comes
back is what went in or is refused. Which windows are worth keeping, and when, training decides.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from driftloop import dataset
from driftloop.contracts.model_pb2 import Window
from driftloop.dataset import Range, Rows
from driftloop.kit.broker import Broker
from driftloop.kit.errors import Malformed, Refused
from driftloop.kit.events import to_json
from driftloop.kit.objects import Objects

SHA256, WINDOW, FORMAT = b"driftloop.rows_sha256", b"driftloop.window", b"driftloop.format"
VERSION = b"1"


class Archive:
    """Windows in one place."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def has(self, window: Window) -> bool:
        """It is there; whether it is whole, only `rows` tells."""
        return bool(window.rows) and self._objects.size(name(window)) is not None

    def among(self, windows: Iterable[Window]) -> set[str]:
        """Which of `windows` are there, by `name`; one question a topic, however many they are."""
        wanted = {name(window) for window in windows if window.rows}
        folders = {one.partition("/")[0] for one in wanted}
        return wanted & {kept for folder in folders for kept in self._objects.names(folder)}

    def place(self, window: Window) -> str:
        """Where people find it."""
        return self._objects.address(name(window))

    def keep(self, window: Window, rows: Rows) -> int:
        """Write the rows of `window`, in place of what is there; gives back the object's bytes."""
        assert rows.sha256() == window.rows_sha256, window.rows_sha256
        data = parquet(window, rows)
        self._objects.write(name(window), data)
        return len(data)

    def rows(self, window: Window) -> Rows | None:
        """As they went in; None: they are not here. Malformed: what is here is not they."""
        data = self._objects.read(name(window))
        if data is None:
            return None
        rows = from_parquet(data, self.place(window))
        found = rows.sha256()
        if found != window.rows_sha256:
            raise Malformed(
                f"{self.place(window)}: its rows are {found[:12]}, wanted "
                f"{window.rows_sha256[:12]}: the file was changed"
            )
        if not dataset.within(dataset.ranges_of(window), rows.partitions, rows.offsets).all():
            raise Malformed(f"{self.place(window)}: rows of other offsets: the file was changed")
        return rows


@dataclass(frozen=True, slots=True)
class Found:
    """The rows of a window, as it was recorded, and where they were."""

    rows: Rows
    source: Literal["log", "archive"]


class Gone(Refused):
    """A window that can't be read as it was. `what`: `window`, where neither log nor archive has
    it, or `rows`, where what is there are others; then `found` is their digest, where one is
    known."""

    def __init__(self, message: str, what: Literal["window", "rows"], found: str = "") -> None:
        super().__init__(message, status="FAILED_PRECONDITION")
        self.what, self.found = what, found


def recall(broker: Broker, window: Window, archive: Archive | None = None) -> Found:
    """The rows that `window` records, checked against its digest: from the log, else from the
    archive.

    A log that was made anew has the same offsets and other rows; so what the log gives is believed
    only by its digest, and the archive is asked then too. Gone: neither has them.
    """
    found = ""
    if in_log(broker, window):
        rows = dataset.rows_of(broker, window)
        found = rows.sha256()
        if found == window.rows_sha256:
            return Found(rows, "log")
    kept = _kept(window, archive)
    if kept is not None:
        return Found(kept, "archive")
    if found:
        raise Gone(
            f"the log holds other rows at these offsets: {found[:12]}, wanted "
            f"{window.rows_sha256[:12]}",
            "rows",
            found,
        )
    raise Gone("the log no longer holds the window, and no archive does", "window")


def in_log(broker: Broker, window: Window) -> bool:
    """Whether the log still reaches over all of its offsets."""
    return Reach(broker).over(window)


class Reach:
    """How far the log reaches, asked once a partition: for many windows at one time."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._bounds: dict[tuple[str, int], tuple[int, int]] = {}

    def over(self, window: Window) -> bool:
        """All of its offsets; one without offsets is nowhere."""
        ranges = [one for one in dataset.ranges_of(window) if one.end > one.start]
        return bool(ranges) and all(self._holds(one) for one in ranges)

    def _holds(self, one: Range) -> bool:
        key = (one.topic, one.partition)
        if key not in self._bounds:
            there = self._broker.partitions(one.topic) is not None
            self._bounds[key] = self._broker.bounds(*key) if there else (0, 0)
        first, end = self._bounds[key]
        return first <= one.start and one.end <= end


def name(window: Window) -> str:
    """`<topic>/<digest of the rows>.parquet`; two pipelines may have the same rows at other
    offsets."""
    topic = window.ranges[0].topic if window.ranges else "none"
    return f"{topic}/{window.rows_sha256}.parquet"


def parquet(window: Window, rows: Rows) -> bytes:
    """A file that any reader of Parquet opens: a row an example, its vector as a list."""
    width = rows.vectors.shape[1]
    flat = pa.array(np.ascontiguousarray(rows.vectors).reshape(-1), pa.float32())
    table = pa.table(
        {
            "partition": pa.array(rows.partitions, pa.int32()),
            "offset": pa.array(rows.offsets, pa.int64()),
            "event_id": rows.ids,
            "time_us": pa.array(rows.times, pa.int64()),
            "target": pa.array(rows.target, pa.float64()),
            "vector": pa.FixedSizeListArray.from_arrays(flat, width),
        }
    )
    about = {SHA256: window.rows_sha256.encode(), WINDOW: to_json(window), FORMAT: VERSION}
    out = pa.BufferOutputStream()
    # no dictionaries: a value is written as its bits, so that NaN comes back as the same NaN
    pq.write_table(
        table.replace_schema_metadata(about), out, compression="zstd", use_dictionary=False
    )
    return bytes(out.getvalue().to_pybytes())


def from_parquet(data: bytes, where: str) -> Rows:
    """Malformed: no such file, or of another format."""
    try:
        table = pq.read_table(pa.BufferReader(data)).combine_chunks()
        about = table.schema.metadata or {}
        if about.get(FORMAT) != VERSION:
            raise Malformed(f"{where}: found format {about.get(FORMAT)!r}, wanted {VERSION!r}")
        return _rows(table)
    except (pa.ArrowException, KeyError, ValueError, OSError) as error:
        raise Malformed(f"{where}: not an archived window: {error}") from error


def _rows(table: pa.Table) -> Rows:
    columns = {field: _whole(table.column(field)) for field in table.column_names}
    vectors = columns["vector"]
    width = vectors.type.list_size
    return Rows(
        columns["event_id"],
        columns["time_us"].to_numpy(),
        vectors.flatten().to_numpy().reshape(-1, width),
        columns["target"].to_numpy(),
        columns["partition"].to_numpy(),
        columns["offset"].to_numpy(),
    )


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)


def _kept(window: Window, archive: Archive | None) -> Rows | None:
    try:
        return archive.rows(window) if archive is not None else None
    except Malformed as error:
        raise Gone(str(error), "rows") from error
