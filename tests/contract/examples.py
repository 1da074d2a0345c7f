"""The examples of topics/examples as messages.

`NAME.txtpb` is the message in protobuf's text form. Where it is an envelope, `NAME.rows.json`
beside it holds its rows:
`columns` (Arrow, by the topic's declaration, or by `types` for `records`) and matrices by field
name.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from google.protobuf import text_format
from google.protobuf.message import Message

from driftloop.contracts import topics
from driftloop.kit.envelope import batch_schema, encode
from infra.tools.generate import ROOT

FOLDER = ROOT / "topics" / "examples"
MATRICES = ("vectors", "outputs", "baseline")
ALL: tuple[Any, ...] = (*topics.CONTROL, *topics.PIPELINE, *topics.GENERATION)


def paths() -> list[Path]:
    """Every example of a message."""
    return sorted(FOLDER.glob("*/*.txtpb"))


def declared(path: Path) -> Any:
    """The topic that an example is of; None where there is none."""
    return next((topic for topic in ALL if topic.suffix == path.parent.name), None)


def message(path: Path) -> Message:
    """The example whole."""
    topic = declared(path)
    found: Message = text_format.Parse(path.read_text("utf-8"), topic.message())
    rows = path.with_suffix(".rows.json")
    if rows.exists():
        _fill(found, json.loads(rows.read_text("utf-8")), topic.declaration.columns)
    return found


def of(suffix: str) -> Iterator[Message]:
    """Every example of one topic."""
    for path in sorted((FOLDER / suffix).glob("*.txtpb")):
        yield message(path)


def _fill(envelope: Any, rows: dict[str, Any], declared_columns: Any) -> None:
    schema = batch_schema(rows.get("types") or declared_columns)
    envelope.columns = encode(pa.RecordBatch.from_pydict(rows["columns"], schema))
    for field in MATRICES:
        if field in rows:
            setattr(envelope, field, np.array(rows[field], "<f4").tobytes())
