"""Replay the flights in event-time order onto Kafka, at a steady multiple of real time.

python -m infra.demo.replay BOOTSTRAP [--days N] [--speed X] [--clean]; prints a JSON line a second
and one at its end. KAFKA_… of the environment are the client's properties, as for services. It runs
as a process of its own: a producer like any user's, with a stock client."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
from confluent_kafka import Producer
from pyarrow import feather

from driftloop.kit.config import read_common
from infra.demo import faults, flights

SPEED = 119_000.0  # a year in 265 s: 1 s is 1.38 days
SLICE_S = 0.01  # what is due goes out this often; at SPEED some 38 events
DAY_US = 86_400_000_000
END_US = (
    10 * DAY_US
)  # a stream's end is this far behind its last event: horizon, slack and bucket have passed by then
END_HEADER = "driftloop-watermark"


@dataclass(slots=True)
class Progress:
    """What was sent, for the one who watches."""

    sent: int
    of: int
    event_us: int
    behind_s: float
    done: bool = False

    def line(self) -> str:
        return json.dumps({name: getattr(self, name) for name in self.__slots__})


def prepare(folder: Path, days: int | None, *, clean: bool) -> Path:
    """The events as one Arrow file, made once: 1,018,758 of them in about 4 s."""
    path = folder / f"flights-{days or 'year'}-{'clean' if clean else 'real'}-1.arrow"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        events = flights.events(days).with_columns(pl.lit("").alias("fault"))
        if not clean:
            after = pl.col("fault") != ""
            events = pl.concat([events, faults.faults(events)]).sort(
                "time", after, maintain_order=True
            )
        fresh = path.with_suffix(".new")
        events.write_ipc(fresh, compression="zstd")
        fresh.rename(path)
    return path


def replay(
    producer: Producer,
    path: Path,
    speed: float,
    streams: Sequence[str] = flights.STREAMS,
    watched: Callable[[Progress], bool] = lambda progress: False,
    say: Callable[[Progress], None] | None = None,
) -> Progress:
    """Send everything at `speed` times real time to the topics of `streams`; the end of each stream
    last. Gives back the final count. `watched` is called after each slice; if it says so, that was
    the last one. `say`: who is told, once a second and at the end; else stdout is.
    """
    say = say or _say
    table = feather.read_table(path, memory_map=False)
    times = table["time"].cast(pa.int64()).to_numpy()
    due_s = (times - times[0]) / 1e6 / speed
    progress = Progress(0, len(times), int(times[0]), 0.0)
    begun = said = time.monotonic()
    while progress.sent < progress.of:
        now = time.monotonic()
        upto = int(np.searchsorted(due_s, now - begun, "right"))
        if upto > progress.sent:
            _send(producer, table.slice(progress.sent, upto - progress.sent), streams)
            progress.sent, progress.event_us = upto, int(times[upto - 1])
        producer.poll(0)
        if watched(progress):
            break
        if now - said >= 1.0:
            said = now
            say(progress)
        time.sleep(max(0.0, SLICE_S - (time.monotonic() - now)))
    progress.behind_s = time.monotonic() - begun - float(due_s[progress.sent - 1])
    _end(producer, progress.event_us + END_US, streams)
    progress.done = True
    say(progress)
    return progress


def _send(producer: Producer, rows: pa.Table, streams: Sequence[str]) -> None:
    columns = (rows[name].to_pylist() for name in ("stream", "key", "value"))
    for stream, key, value in zip(*columns, strict=True):
        produce(producer, streams[stream], value, key)


def produce(
    producer: Producer,
    topic: str,
    value: str | None,
    key: str | None,
    headers: dict[str, str | bytes | None] | None = None,
) -> None:
    """One record; waits where the client's queue is full."""
    while True:
        try:
            producer.produce(topic, value, key, headers=headers or {})
            return
        except BufferError:
            producer.poll(0.05)


def _end(producer: Producer, watermark_us: int, streams: Sequence[str]) -> None:
    for topic in streams:
        for partition in producer.list_topics(topic, timeout=10).topics[topic].partitions:
            producer.produce(
                topic, None, partition=partition, headers={END_HEADER: str(watermark_us)}
            )
    if left := producer.flush(30):
        raise SystemExit(
            f"replay: {left} records were not taken by the broker within 30 s; is it still there?"
        )


def _say(progress: Progress) -> None:
    sys.stdout.write(progress.line() + "\n")
    sys.stdout.flush()


def client(kafka: Mapping[str, str]) -> Producer:
    """A stock producer. linger 5 ms: half a slice. `kafka`: librdkafka's properties."""
    return Producer(
        {
            **kafka,
            "linger.ms": 5,
            "acks": "all",
            "enable.idempotence": True,
            "queue.buffering.max.messages": 200_000,
            "message.max.bytes": 8_000_000,
        }
    )


INTERRUPTED = 130  # as a shell says of what Ctrl-C ended


def main() -> None:
    """Ctrl-C reaches us beside the demo, which says all there is to say."""
    try:
        _main()
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None


def _main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("bootstrap")
    words.add_argument("--days", type=int)
    words.add_argument("--speed", type=float, default=SPEED)
    words.add_argument(
        "--clean", action="store_true", help="without the handful of broken and doubled records"
    )
    words.add_argument("--folder", type=Path, default=Path("var/cache/flights"))
    chosen = words.parse_args()
    path = prepare(chosen.folder, chosen.days, clean=chosen.clean)
    common = read_common({**os.environ, "KAFKA_BOOTSTRAP": chosen.bootstrap})
    replay(client(common.kafka), path, chosen.speed)


if __name__ == "__main__":
    main()
