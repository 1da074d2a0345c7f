"""JSON lines or CSV as messages for a source topic, in batches; numbers in CSV become numbers,
empty cells null.
"""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from driftloop.kit.errors import Refused
from driftloop.kit.topic import Emit

BATCH_ROWS = 500  # one acknowledgement each: some 100 kB
VALUE_BYTES_MAX = 1_000_000  # beyond it ingestion would dead-letter the record


def emits(path: Path, topic: str, key: str = "") -> Iterator[tuple[Emit, int]]:
    """Each row with the bytes of the file that it took. Refused: no such file, a line that is no
    JSON object.
    """
    if not path.is_file():
        raise Refused(f"{path}: no such file")
    rows = _csv(path) if path.suffix.lower() == ".csv" else _json_lines(path)
    for value, size in rows:
        data = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
        yield Emit(topic, data, _key(value, key)), size


def batches(rows: Iterator[tuple[Emit, int]]) -> Iterator[list[tuple[Emit, int]]]:
    """`rows` in lists of at most BATCH_ROWS."""
    while batch := list(itertools.islice(rows, BATCH_ROWS)):
        yield batch


def _json_lines(path: Path) -> Iterator[tuple[Mapping[str, object], int]]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                value = json.loads(line)
            except ValueError as error:
                raise Refused(
                    f"{path}:{number}: not JSON ({error}); wanted one object a line"
                ) from error
            if not isinstance(value, dict):
                raise Refused(
                    f"{path}:{number}: found {type(value).__name__}, wanted a JSON object"
                )
            if len(line) > VALUE_BYTES_MAX:
                raise Refused(
                    f"{path}:{number}: {len(line):,} bytes, wanted at most {VALUE_BYTES_MAX:,}"
                )
            yield value, len(line)


def _csv(path: Path) -> Iterator[tuple[Mapping[str, object], int]]:
    # -sig: spreadsheets begin a file with a mark that is no part of the first name
    with path.open(newline="", encoding="utf-8-sig") as lines:
        reader = csv.DictReader(lines)
        for row in _read(reader, path):
            if None in row or None in row.values():
                raise Refused(
                    f"{path}:{reader.line_num}: found another number of cells than the header has"
                )
            size = sum(len(cell) + 1 for cell in row.values())
            yield {name: _cell(cell) for name, cell in row.items()}, size


def _read(reader: csv.DictReader[str], path: Path) -> Iterator[dict[str, str]]:
    """The rows. Refused: what the file holds can't be read as CSV."""
    try:
        yield from reader
    except UnicodeDecodeError as error:
        raise Refused(
            f"{path}: not UTF-8 after line {reader.line_num}; save it as UTF-8"
        ) from error
    except csv.Error as error:
        raise Refused(f"{path}:{reader.line_num + 1}: {error}; wanted CSV") from error


def _cell(text: str) -> object:
    """A number where the text is exactly one, as JSON writes it; so that 007 stays text."""
    if text == "":
        return None
    if text in ("true", "false"):
        return text == "true"
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return (
        value
        if isinstance(value, (int, float)) and value == value and abs(value) != float("inf")
        else text
    )


def _key(value: Mapping[str, object], field: str) -> bytes | None:
    if not field:
        return None
    if field not in value:
        raise Refused(
            f"--key {field}: a row has no such field; it has {', '.join(map(str, value))}"
        )
    return str(value[field]).encode()
