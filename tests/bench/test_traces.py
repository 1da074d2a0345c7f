"""What traces cost: CPU of the services that rows go through at off, 1 % and 100 %, on the same
replay; and a span and a row by themselves.

python -m pytest -m bench tests/bench/test_traces.py writes var/bench/traces.json. Each setting has
a stack of its own and replays the stream three times; the least of the three counts, since whatever
else the machine does only adds. No model is trained: what a model takes would make the shares
smaller.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psutil
import pytest

from driftloop.contracts.registry_pb2 import ApplyRequest
from driftloop.kit.broker import Record, TopicSpec
from driftloop.kit.trace import NoTracer, Span, Tracer
from driftloop.kit.trace.otel import Exporter, _resource
from infra.local.stack import Stack
from infra.tools import sea
from services.ingestion.domain.order import Outcome
from services.ingestion.domain.row import Ordered, Row
from services.ingestion.sampling import Sampling
from tests.support.eventually import eventually
from tests.support.loop import PIPELINES, World, last_us
from tests.support.otlp import Receiver
from tests.support.traced import Kept

pytestmark = [pytest.mark.bench, pytest.mark.timeout(3_600)]
FILE = Path("var/bench/traces.json")
ROWS, ROUNDS, WARM_ROWS = 40_000, 3, 4_000
SERVICES = ("ingestion", "features", "serving", "monitor")
SETTINGS: Mapping[str, float | None] = {"off": None, "1 %": 0.01, "100 %": 1.0}
SHARE_MAX = 0.03


def test_on_at_one_percent_takes_three_percent_of_cpu_and_off_none(tmp_path: Path) -> None:
    rows = {name: us_a_row(tmp_path / str(n), share)
            for n, (name, share) in enumerate(SETTINGS.items())}  # fmt: skip
    told = {
        "rows": ROWS,
        "cpu_us_a_row": {name: each["all"] for name, each in rows.items()},
        "by_service": rows,
        "share_more": {
            name: round(each["all"] / rows["off"]["all"] - 1, 4) for name, each in rows.items()
        },
        "sampling_ns_a_row": {
            "off": sampling_ns(NoTracer()),
            "1 %": sampling_ns(Kept(0.01)),
            "100 %": sampling_ns(Kept(1.0)),
        },
        "span_encoded_us": span_us(),
        "cpus": os.cpu_count(),
        "load": [round(each, 1) for each in os.getloadavg()],
        "python": platform.python_version(),
    }
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n")
    assert told["share_more"]["1 %"] <= SHARE_MAX, told  # type: ignore[index]


def us_a_row(folder: Path, share: float | None) -> dict[str, float]:
    """CPU of each service for a row with its label, of the cheapest round."""
    environ = {name: text for name, text in os.environ.items() if not name.startswith("OTEL_")}
    with Receiver() as receiver:
        if share is not None:
            environ |= {**receiver.environ, "DRIFTLOOP_TRACE_SAMPLE": str(share)}
        with Stack(folder, environ=environ) as stack, World.of(stack) as world:
            replay(world, "warm", WARM_ROWS)
            rounds = [replay(world, f"round-{number}", ROWS) for number in range(ROUNDS)]
        traced = len([span for span in receiver.spans() if span.name == "score"])
    assert (traced > 0) == (share is not None), "what is measured is not what is meant"
    return min(rounds, key=lambda each: each["all"])


def replay(world: World, stream: str, rows: int) -> dict[str, float]:
    """The whole stream waits before the pipeline is declared, so that batches are as large."""
    world.broker.create([TopicSpec(f"{stream}.{kind}", 1) for kind in ("events", "truth")])
    events = list(sea.events(rows, rows))
    for number, (topic, line) in enumerate(events):
        world.producer.produce(topic.replace("sea.", f"{stream}."), line)
        if number % 10_000 == 0:
            world.producer.flush(30)
    assert world.producer.flush(30) == 0
    before = cpu_s(world)
    world.registry.Apply(ApplyRequest(yaml=yaml(stream), by="bench"), timeout=60)
    eventually(lambda: world.statistics(stream), within_s=300, every_s=0.5)
    world.end(stream, last_us(events))
    after = cpu_s(world)
    used = {name: round((after[name] - before[name]) * 1e6 / rows, 3) for name in SERVICES}
    return {**used, "all": round(sum(used.values()), 3)}


def yaml(stream: str) -> str:
    text = (PIPELINES / "sea.yaml").read_text().replace("name: sea\n", f"name: {stream}\n")
    text = text.replace("first: 1d", "first: 3650d")
    return text.replace("sea.events", f"{stream}.events").replace("sea.truth", f"{stream}.truth")


def cpu_s(world: World) -> dict[str, float]:
    pids = world.stack.pids()
    times = {name: psutil.Process(pids[name]).cpu_times() for name in SERVICES}
    return {name: each.user + each.system for name, each in times.items()}


def sampling_ns(tracer: Tracer) -> int:
    """What ingestion's choice and first spans add to each row of a batch of 1,000."""
    rows = [Ordered(a_row(n), False, 0) for n in range(1_000)]
    sampling, outcome = Sampling(tracer, "bench", "a-group"), Outcome(accepted=rows)
    return round(each_ns(lambda: sampling.traced(outcome, 1_000), 100) / 1_000)


def a_row(number: int) -> Row:
    record = Record("sea.events", 0, number, None, b"{}", (), 1_000)
    name = f"sea-{number}"
    return Row(0, 0, 0, number, 0, 1_000, 1_000, name, None, (), "", "", record)


def span_us() -> float:
    """A span with seven attributes, as score's are, from the queue to bytes."""
    exporter = Exporter(_resource("bench", "bench-0"))
    about = {f"messaging.a{n}": "text" for n in range(5)}
    spans = list(some_spans(about))
    taken = each_ns(lambda: exporter._translate_data(spans).SerializeToString(), 20)
    exporter.shutdown()
    return round(taken / 1e3 / len(spans), 2)


def some_spans(about: Mapping[str, str]) -> Iterator[Span]:
    for number in range(2_000):
        attributes = {"messaging.kafka.offset": number, "messaging.batch.message_count": 500}
        ids = bytes([1]) * 16, number.to_bytes(8, "big"), bytes([3]) * 8
        yield Span("score", *ids, 1, 2, 5, about, attributes)


def each_ns(work: Callable[[], object], times: int) -> float:
    """CPU of the cheapest of five goes."""
    goes = []
    for _ in range(5):
        began = time.process_time_ns()
        for _ in range(times):
            work()
        goes.append((time.process_time_ns() - began) / times)
    return min(goes)
