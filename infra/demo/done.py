"""Is the replay over? Judged by facts in the log alone: watermarks at the stream's end, every run
ended.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from driftloop.contracts import topics
from driftloop.contracts.feature_pb2 import Examples
from driftloop.contracts.model_pb2 import RunFinished
from driftloop.contracts.prediction_pb2 import Predictions
from driftloop.contracts.retrain_pb2 import RetrainRequested, RetrainResolved, Statistics
from driftloop.kit.broker import Broker
from driftloop.kit.message import parse
from infra.demo.read import messages, said

TAIL = 12  # offsets: transaction markers take some, and the newest envelope is wanted


@dataclass(frozen=True, slots=True)
class Standing:
    """What is still missing, in words; empty: nothing."""

    missing: tuple[str, ...]

    @property
    def over(self) -> bool:
        return not self.missing


def standing(
    broker: Broker, pipeline: str, partitions: int, end_us: int, generation: int = 1
) -> Standing:
    """Look once."""
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
    for message in messages(broker, topics.STATISTICS.topic(pipeline), Statistics):
        told[message.partition] = max(told.get(message.partition, 0), message.watermark_us)
    behind = [n for n in range(partitions) if told.get(n, 0) < end_us]
    return f"statistics: the last buckets of partitions {behind} are not closed" if behind else ""


def _open_runs(broker: Broker, pipeline: str) -> list[str]:
    resolved = said(broker, topics.RETRAIN_RESOLVED, RetrainResolved, pipeline)
    answered = {each.message.request_id for each in resolved}
    ended = {
        each.message.run_id for each in said(broker, topics.RUN_FINISHED, RunFinished, pipeline)
    }
    asked = {each.id for each in said(broker, topics.RETRAIN_REQUESTED, RetrainRequested, pipeline)}
    accepted = {each.message.run_id for each in resolved if each.message.outcome == "accepted"}
    return (
        [f"{len(asked - answered)} retrain requests are not answered"] if asked - answered else []
    ) + ([f"runs {sorted(accepted - ended)} have not ended"] if accepted - ended else [])
