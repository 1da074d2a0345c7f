"""How far the services are with a stream that ends: which loops run, and whether all that was sent
has been scored, labelled, closed and judged. From the log alone.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from driftloop.client.reading import events, records
from driftloop.contracts import topics
from driftloop.contracts.feature_pb2 import Examples
from driftloop.contracts.prediction_pb2 import Predictions
from driftloop.contracts.pulse_pb2 import Pulse
from driftloop.contracts.retrain_pb2 import Statistics
from driftloop.kit.broker import Broker
from driftloop.kit.errors import Malformed
from driftloop.kit.events import read_event
from driftloop.kit.message import parse

TAIL = 12  # offsets: transaction markers take some, and the newest envelope is wanted
LOOPS = (
    ("ingestion", "order"),
    ("features", "windows"),
    ("features", "join"),
    ("serving", "scores"),
    ("monitor", "buckets"),
    ("monitor", "decide"),
)


@dataclass(frozen=True, slots=True)
class Standing:
    """What is still missing, in words; empty: nothing."""

    missing: tuple[str, ...]

    @property
    def over(self) -> bool:
        return not self.missing


class FirstRun:
    """Whether the pipeline's first run is open: a model's making takes seconds, in which a replay
    would send days of rows that no model answers.
    """

    def __init__(self, broker: Broker, name: str) -> None:
        self._broker, self._name, self._over = broker, name, False

    def open(self) -> bool:
        if self._over:
            return False
        resolved = events(self._broker, topics.RETRAIN_RESOLVED.topic(), self._name)
        begun = {e.message.run_id for e in resolved if e.message.outcome == "accepted"}
        if not begun:
            return False
        finished = events(self._broker, topics.RUN_FINISHED.topic(), self._name)
        self._over = any(each.message.outcome == "released" for each in finished)
        return not self._over and bool(begun - {each.message.run_id for each in finished})


class Starting:
    """Which loops of a pipeline no replica has said to run, by the pulses from now on."""

    def __init__(self, broker: Broker, pipeline: str) -> None:
        self._broker, self._topic = broker, topics.PULSE.topic().name
        self._missing = {(service, f"{loop}-{pipeline}") for service, loop in LOOPS}
        self._next = broker.bounds(self._topic, 0)[1]

    def missing(self) -> list[str]:
        """Their names; look again and again."""
        end = self._broker.bounds(self._topic, 0)[1]
        for record in self._broker.read(self._topic, 0, self._next, end):
            try:
                pulse = read_event(record, Pulse).message
            except Malformed:
                continue  # anyone may write there
            for loop in pulse.loops:
                if loop.state == "running":
                    self._missing.discard((pulse.service, loop.loop))
        self._next = end
        return sorted(loop for _, loop in self._missing)


def standing(
    broker: Broker, pipeline: str, partitions: int, end_us: int, generation: int = 1
) -> Standing:
    """Look once. `end_us`: the watermark that the end of the stream was marked with."""
    missing = []
    for kind, topic in ((Predictions, topics.PREDICTIONS), (Examples, topics.EXAMPLES)):
        name = topic.topic(pipeline, generation).name
        behind = [n for n in range(partitions) if watermark(broker, name, n, kind) < end_us]
        if behind:
            missing.append(f"{name}: partitions {behind} are not at the stream's end")
    if not missing and (closed := _unclosed(broker, pipeline, partitions, end_us)):
        missing.append(closed)
    if not missing:
        missing += _open_runs(broker, pipeline)
    return Standing(tuple(missing))


def watermark(
    broker: Broker, topic: str, partition: int, kind: type[Predictions] | type[Examples]
) -> int:
    """Of the newest envelope of a partition; 0: there is none."""
    start, end = broker.bounds(topic, partition)
    newest = deque(broker.read(topic, partition, max(start, end - TAIL), end), maxlen=1)
    return max((int(parse(kind, record).envelope.watermark_us) for record in newest), default=0)


def _unclosed(broker: Broker, pipeline: str, partitions: int, end_us: int) -> str:
    told: dict[int, int] = {}
    for record in records(broker, topics.STATISTICS.topic(pipeline).name):
        message = parse(Statistics, record)
        told[message.partition] = max(told.get(message.partition, 0), message.watermark_us)
    behind = [n for n in range(partitions) if told.get(n, 0) < end_us]
    return f"statistics: the last buckets of partitions {behind} are not closed" if behind else ""


def _open_runs(broker: Broker, pipeline: str) -> list[str]:
    resolved = events(broker, topics.RETRAIN_RESOLVED.topic(), pipeline)
    answered = {each.message.request_id for each in resolved}
    ended = {each.message.run_id for each in events(broker, topics.RUN_FINISHED.topic(), pipeline)}
    asked = {each.id for each in events(broker, topics.RETRAIN_REQUESTED.topic(), pipeline)}
    accepted = {each.message.run_id for each in resolved if each.message.outcome == "accepted"}
    return (
        [f"{len(asked - answered)} retrain requests are not answered"] if asked - answered else []
    ) + ([f"runs {sorted(accepted - ended)} have not ended"] if accepted - ended else [])
