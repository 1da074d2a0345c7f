"""How fast examples are read as a frame, and history is replayed through a small model, from a real
Kafka.

python -m pytest -m bench tests/bench/test_reading.py    → var/bench/reading.json
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from driftloop.client import frames, reading
from driftloop.contracts import topics
from driftloop.kit.broker import TopicSpec
from driftloop.kit.kafka import KafkaBroker
from services.evaluation.history import History
from services.evaluation.plan import HistoryPlan, Rival
from tests.support.kafka import SharedKafka
from tests.unit.evaluation.stories import GOOD, Shelf, trained
from tests.unit.training.examples import NAMES, emits, made

OUT = Path(__file__).parents[2] / "var" / "bench" / "reading.json"
ROWS, PARTITIONS, SIZE = 400_000, 2, 500
TRIES = 3


@pytest.mark.bench
@pytest.mark.timeout(600)
def test_examples_are_read_and_history_is_replayed(kafka: SharedKafka, prefix: str) -> None:
    broker = KafkaBroker(kafka.properties, prefix)
    topic = topics.EXAMPLES.topic("sea", 1).name
    broker.create([TopicSpec(topic, PARTITIONS), TopicSpec("sea.statistics", 1)])
    messages = emits(*made(ROWS), "sea", partitions=PARTITIONS, size=SIZE)
    for start in range(0, len(messages), 100):
        broker.append(messages[start : start + 100])
    shelf = Shelf()
    [model] = trained(broker, shelf, [GOOD]).candidates
    plan = HistoryPlan(
        "sea", 1, PARTITIONS, NAMES, 2, "log_loss", 0.5, (Rival("good", model.digest),)
    )

    def read() -> int:
        return frames.examples(reading.records(broker, topic), NAMES).height

    def replay() -> int:
        return int(json.loads(History(plan, shelf.fetch, broker).reply().report)["rows"])

    figures = {
        "rows": ROWS,
        "read_rows_per_s": _rate(read),
        "replay_rows_per_s": _rate(replay),
        "replayed": f"LightGBM, {GOOD.params['num_iterations']} trees, {len(NAMES)} features",
    }
    broker.close()
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(figures, indent=1) + "\n")


def _rate(work: Callable[[], int]) -> int:
    """The best of some tries."""
    best = 0.0
    for _ in range(TRIES):
        begun = time.perf_counter()
        rows = work()
        best = max(best, rows / (time.perf_counter() - begun))
    return round(best)
