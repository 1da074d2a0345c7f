"""The table round the loop: its pipeline declared, its events sent at a steady pace, and waited
until the log says that all of them were answered, labelled and judged.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from driftloop.client.standing import FirstRun, Standing, Starting, standing
from driftloop.kit.broker import Broker, TopicSpec
from driftloop.kit.clock import Clock
from driftloop.kit.errors import Refused, Unavailable
from driftloop.kit.topic import Emit
from driftloop.spec import Pipeline
from driftloop.trial.events import Events, topics

SLICE = 200  # events between two acknowledgements
START_S = 90.0  # loops run after some 3 s; some 15 s where kernels must be compiled
DRAIN_S = 180.0  # after the last event: a run may be open
LOOK_S = 0.5
MARK = "driftloop-watermark"
Tell = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast: `rows_per_s`, or `times` real time; neither: as fast as the broker takes it."""

    rows_per_s: float = 0.0
    times: float = 0.0

    def due_s(self, times_us: pl.Series, streams: pl.Series) -> NDArray[np.float64]:
        """When each event is due, seconds after the first."""
        at = np.asarray(times_us.to_numpy(), np.float64)
        if self.times:
            return np.asarray((at - at[0]) / 1e6 / self.times, np.float64)
        if self.rows_per_s:
            rows = np.cumsum(np.asarray(streams.to_numpy()) == 0)
            return np.asarray(rows / self.rows_per_s, np.float64)
        return np.zeros(len(at))


def prepared(broker: Broker, name: str) -> None:
    """The two source topics made. Refused: there is something in them, and what comes twice does
    nothing.
    """
    for topic in topics(name):
        count = broker.partitions(topic) or 0
        if any(broker.bounds(topic, number)[1] for number in range(count)):
            raise Refused(
                f"{topic} holds records already, and what comes twice does nothing: give another "
                "--name, or begin with an empty broker"
            )
    broker.create([TopicSpec(topic, 1) for topic in topics(name)])


def started(broker: Broker, name: str, clock: Clock) -> None:
    """Until every loop of the pipeline runs. Unavailable: one does not."""
    starting, end_s = Starting(broker, name), clock.seconds() + START_S
    while missing := starting.missing():
        if clock.seconds() > end_s:
            raise Unavailable(f"loops {', '.join(missing)} do not run; `driftloop status` says why")
        clock.sleep(LOOK_S)


def sent(broker: Broker, name: str, told: Events, pace: Pace, clock: Clock, tell: Tell) -> int:
    """All events, none while the first run is open; `tell(sent, of)` after each part. The time of
    the last one.
    """
    frame, names, first = told.frame, topics(name), FirstRun(broker, name)
    due_s, begun_s = pace.due_s(frame["time_us"], frame["stream"]), clock.seconds()
    for start in range(0, frame.height, SLICE):
        part = frame.slice(start, SLICE)
        late_s = float(due_s[min(start + SLICE, frame.height) - 1]) - (clock.seconds() - begun_s)
        if late_s > 0:
            clock.sleep(late_s)
        columns = (part[column].to_list() for column in ("stream", "key", "value"))
        broker.append(
            [Emit(names[s], v.encode(), k.encode()) for s, k, v in zip(*columns, strict=True)]
        )
        tell(start + part.height, frame.height)
        begun_s += _waited_s(first, clock)
    return int(frame["time_us"][-1])


def _waited_s(first: FirstRun, clock: Clock) -> float:
    """How long the first run was waited for, DRAIN_S at most."""
    began_s = clock.seconds()
    while first.open() and clock.seconds() - began_s < DRAIN_S:
        clock.sleep(LOOK_S)
    return clock.seconds() - began_s


def drained(broker: Broker, pipeline: Pipeline, end_us: int, clock: Clock) -> Standing:
    """What is missing once all is done, or after DRAIN_S."""
    end_s = clock.seconds() + DRAIN_S
    while True:
        left = standing(broker, pipeline.name, pipeline.partitions, end_us)
        if left.over or clock.seconds() > end_s:
            return left
        clock.sleep(LOOK_S)


def ended(broker: Broker, pipeline: Pipeline, last_us: int) -> int:
    """Say that nothing comes any more: a watermark behind which every row has its label or has
    expired, and each bucket is closed. It is given back.
    """
    monitor, slack = pipeline.monitor, max(each.lateness for each in pipeline.sources)
    end_us = last_us + 2 * (pipeline.target.horizon + monitor.bucket + monitor.slack + slack)
    mark = ((MARK, str(end_us).encode()),)
    broker.append([Emit(topic, None, None, 0, mark) for topic in topics(pipeline.name)])
    return end_us
