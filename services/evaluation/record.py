"""What lines have answered, and what was live beside them: the record that they are judged by.

A line has learnt the rows that others are held to, so its bytes can't be judged on them. What it
would have answered when each row came is on record in `predictions`, and who was right in
`statistics`, by the monitor's hand.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from driftloop.betting import Bets
from driftloop.contracts import topics
from driftloop.contracts.prediction_pb2 import Predictions
from driftloop.contracts.retrain_pb2 import Statistics
from driftloop.dataset import Rows
from driftloop.kit.broker import Broker
from driftloop.kit.envelope import batch_schema, decode, matrix
from driftloop.kit.message import parse
from services.evaluation.domain.gate import Judgement
from services.evaluation.domain.metrics import Bools, Floats


def answered(
    broker: Broker, of: tuple[str, int], rows: Rows, classes: int, line: str = "", version: int = 0
) -> Floats:
    """[n, outputs] what was answered when each row came, NaN where nothing was: by what was live;
    by that `version` alone; by a `line` in the shadow of it, and as that version when it was live.

    `of`: pipeline and generation.
    """
    found = np.full((len(rows), max(1, classes)), np.nan)
    topic = topics.PREDICTIONS.topic(*of).name
    schema = batch_schema(topics.PREDICTIONS.declaration.columns)
    for partition in range(broker.partitions(topic) or 0):
        for record in broker.read(topic, partition, *broker.bounds(topic, partition)):
            message = parse(Predictions, record)
            outputs = b"" if message.origin == "call" else _outputs(message, line, version)
            if outputs:
                ids = decode(message.columns, schema).column("event_id")
                _place(found, rows.ids, ids, matrix(outputs, message.rows, found.shape[1]))
    return found


def answered_rows(given: Floats) -> Bools:
    """[n] whether a row was answered."""
    return np.asarray(~np.isnan(given).any(axis=1), np.bool_)


def judged(
    broker: Broker, of: tuple[str, int], lines: Sequence[str], version: int, alpha: float
) -> dict[str, Judgement]:
    """Each line against the version that is live, by all that the monitor has told of both
    (driftloop.betting).
    """
    bets = Bets(len(lines), alpha)
    for bucket in _buckets(broker, of, lines, version):
        bets.take(bucket)
    return {name: _judgement(name, number, bets, version) for number, name in enumerate(lines)}


def _judgement(name: str, number: int, bets: Bets, version: int) -> Judgement:
    peak = bets.peaks[number]
    eligible = bool(version) and peak > bets.least
    grown = f"bets on it have grown {np.exp(min(peak, 50.0)):,.3g}-fold over {bets.rows:,} rows"
    reason = f"{grown} beside version {version}, {np.exp(bets.least):,.0f} wanted"
    if not version:
        reason = "a line is judged against what is live, and nothing is"
    return Judgement(name, 0.0, 0.0, min(1.0, float(np.exp(-peak))), eligible, reason)


def _buckets(
    broker: Broker, of: tuple[str, int], lines: Sequence[str], version: int
) -> list[np.ndarray]:
    """[n, lines] gains of each closed bucket of that version, in the monitor's own order."""
    topic = topics.STATISTICS.topic(of[0]).name
    found: dict[int, list[tuple[np.ndarray, np.ndarray]]] = {}
    for record in broker.read(topic, 0, *broker.bounds(topic, 0)):
        message = parse(Statistics, record)
        if (message.generation, message.version) == (of[1], version) and message.scored:
            times = np.frombuffer(message.times_us, "<i8")
            found.setdefault(message.end_us, []).append((times, _gains(message, lines)))
    return [_merged(found[end]) for end in sorted(found)]


def _gains(message: Statistics, lines: Sequence[str]) -> np.ndarray:
    nothing = np.zeros(message.scored, np.int8)
    there = {one.name: np.frombuffer(one.gains, np.int8) for one in message.lines}
    return np.stack([there.get(name, nothing) for name in lines], axis=1)


def _merged(parts: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    times, values = (np.concatenate(each) for each in zip(*parts, strict=True))
    return np.asarray(values[np.argsort(times, kind="stable")])


def _outputs(message: Predictions, line: str, version: int) -> bytes:
    if not message.rows:
        return b""
    if message.version and (not (line or version) or message.version == version):
        return message.outputs
    return next((one.outputs for one in message.shadows if one.line == line), b"") if line else b""


def _place(found: Floats, wanted: pa.Array, ids: pa.Array, outputs: np.ndarray) -> None:
    place = pc.index_in(ids, value_set=wanted)
    known = place.is_valid().to_numpy(zero_copy_only=False)
    if known.any():
        found[pc.drop_null(place).to_numpy()] = outputs[known]
