"""The meanings of windows in plain Python, each answer from all rows before it, with nothing kept
but lists; and streams, as rows for the kernel and for this reference.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from driftloop import spec
from driftloop.spec import WindowFeature
from driftloop.spec.windows import Program, Rows, float_bits

PIPELINE = """
name: reference
sources:
  - topic: asks
    role: predict
    schema: {id: string, t: time, shop: "int?", kind: "int?", x: "float?"}
    id: [id]
    time: t
  - topic: ends
    role: [update, label]
    schema: {id: string, t: time, shop: "int?", kind: "int?", y: "float?"}
    id: [id]
    time: t
    joins: [id]
entities: {shop: [shop], pair: [shop, kind], hour: [shop, "t // 100"]}
features:
  - {name: x, field: x}
  - {name: n, from: ends, by: shop, agg: count, window: 48us}
  - {name: n_big, from: ends, by: shop, agg: count, window: 100us, where: "y > 0", default: -7}
  - {name: total, from: ends, by: shop, agg: sum, value: y, window: 100us}
  - {name: average, from: ends, by: pair, agg: mean, value: "y * 2 + 1", window: 240us}
  - {name: shrunk, from: ends, by: shop, agg: mean, value: y, window: 30us,
     shrink: {rows: 3, prior: 0.5}}
  - {name: part, from: ends, by: pair, agg: share, where: "y > 0", window: 100us}
  - {name: mine, from: asks, by: hour, agg: count, window: 24us}
  - {name: newest, from: ends, by: shop, agg: last, value: y, max_age: 60us}
  - {name: since, from: ends, by: shop, agg: age, where: "y > 0", max_age: 60us}
  - {name: waiting, from: asks, by: shop, agg: open, window: 48us, closes: {source: ends}}
  - {name: waiting_pair, from: asks, by: pair, agg: open, window: 100us,
     closes: {source: ends}}
  - {name: both, expr: "waiting + total * 2"}
target: {name: late, from: ends, positive: "y > 0", horizon: 1h}
learners: [{name: one, kind: lightgbm}]
"""


@dataclass(frozen=True, slots=True)
class Event:
    """One row: of `asks` (source 0) or `ends` (1)."""

    source: int
    time: int
    ident: int
    shop: int | None
    kind: int | None
    number: float  # x or y, NaN where missing


def a_pipeline() -> spec.Pipeline:
    return spec.parse(PIPELINE)


def rows(events: Sequence[Event], first: int = 0, watermark: int = -(2**60)) -> Rows:
    """As the codec would make them; the n-th row has offset `first` + n."""
    count = len(events)
    asked = np.array([e.source == 0 for e in events], bool)
    facts = np.array(
        [
            [e.time for e in events],
            range(first, first + count),
            [watermark] * count,
            [e.source for e in events],
            np.where(asked, np.cumsum(asked) - 1, -1),
            [e.ident * 7919 + 1 for e in events],
            [e.ident * 7919 + 1 for e in events],
            [e.source for e in events],
        ],
        np.int64,
    ).reshape(8, count)
    number = np.array([e.number for e in events], np.float64)
    nothing = np.full(count, np.nan)
    columns = {
        "time": facts[0],
        "t": facts[0],
        "x": np.where(asked, number, nothing),
        "y": np.where(asked, nothing, number),
        "shop": np.array([np.nan if e.shop is None else e.shop for e in events], np.float64),
        "kind": np.array([np.nan if e.kind is None else e.kind for e in events], np.float64),
    }
    keys = {n: (float_bits(columns[n]), ~np.isnan(columns[n])) for n in ("shop", "kind")}
    return Rows(facts, columns, keys)


class Reference:
    """Answers each asked row from the rows before it."""

    def __init__(self, pipeline: spec.Pipeline, program: Program) -> None:
        self._pipeline, self._program = pipeline, program
        self._windows = [f for f in pipeline.features if isinstance(f, WindowFeature)]
        self._newest: dict[tuple[object, ...], int] = {}
        self._counted: dict[tuple[object, ...], list[Any]] = {}
        self._opened: dict[tuple[str, int], list[Any]] = {}
        self._closed: dict[str, set[int]] = {f.name: set() for f in self._windows}

    def take(self, event: Event) -> tuple[list[float], bool] | None:
        """(vector, late) of an asked row."""
        keys = {by: self._key(by, event) for by in self._pipeline.entities}
        late = False
        for by in [by for by, key in keys.items() if key and self._touches(by, event)]:
            instant = max(event.time, self._newest.get(keys[by] or (), event.time))
            late |= instant > event.time
            self._newest[keys[by] or ()] = instant
        vector = self._vector(event, keys) if event.source == 0 else None
        for feature in self._windows:
            self._count(feature, event, keys[feature.by])
        return None if vector is None else (vector, late)

    def _touches(self, by: str, event: Event) -> bool:
        return event.source == 0 or any(f.by == by and f.from_ == "ends" for f in self._windows)

    def _key(self, by: str, event: Event) -> tuple[object, ...] | None:
        parts = {
            "shop": (event.shop,),
            "pair": (event.shop, event.kind),
            "hour": (event.shop, event.time // 100),
        }[by]
        return None if None in parts else (by, *parts)

    def _count(self, f: WindowFeature, event: Event, key: tuple[object, ...] | None) -> None:
        if f.agg == "open":
            self._open(f, event, key)
        elif key is not None and f.from_ == ("asks", "ends")[event.source]:
            y = event.number
            if (f.where or f.value) and math.isnan(y):
                return
            if f.where and f.agg != "share" and not y > 0:
                return
            value = {"share": float(y > 0), "mean": y * 2 + 1 if f.name == "average" else y}
            self._counted.setdefault((f.name, key), []).append(
                (self._newest[key], value.get(f.agg, y))
            )

    def _open(self, f: WindowFeature, event: Event, key: tuple[object, ...] | None) -> None:
        at = (f.name, event.ident)
        if event.source == 0 and key is not None:
            if event.ident in self._closed[f.name]:
                self._closed[f.name].discard(event.ident)
            elif at not in self._opened or self._opened[at][3] is not None:
                entry: list[Any] = [key, event.time, self._newest[key], None]
                self._counted.setdefault((f.name, key), []).append(entry)
                self._opened[at] = entry
        if event.source == 1:
            entry_or_none = self._opened.get(at)
            if entry_or_none is None or entry_or_none[3] is not None:
                self._closed[f.name].add(event.ident)
                return
            owner = entry_or_none[0]
            self._newest[owner] = max(self._newest[owner], event.time)
            entry_or_none[3] = self._newest[owner]

    def _vector(self, event: Event, keys: dict[str, tuple[object, ...] | None]) -> list[float]:
        seen = {f.name: self._value(f, keys[f.by]) for f in self._windows}
        seen["x"] = event.number
        both = seen["waiting"] + seen["total"] * 2
        seen["both"] = both if math.isfinite(both) else math.nan
        return [seen[name] for name in self._program.names]

    def _value(self, f: WindowFeature, key: tuple[object, ...] | None) -> float:
        default = math.nan if f.default is None else f.default
        if key is None:
            return default
        instant = self._newest[key]
        counted = self._counted.get((f.name, key), [])
        if f.agg in ("last", "age"):
            before = [line for line in counted if line[0] < instant]
            newest = max((line[0] for line in before), default=None)
            if newest is None or instant - newest > (f.max_age or 0):
                return default
            if f.agg == "age":
                return float((instant - newest) / 1e6)
            return float([value for at, value in before if at == newest][-1])
        tile = max(1, math.ceil((f.window or 0) / 24))
        edge = (instant - (f.window or 0)) // tile * tile
        if f.agg == "open":
            return float(sum(self._is_open(entry, edge, tile, instant) for entry in counted))
        inside = [v for at, v in counted if at < instant and at >= edge]
        if f.agg == "count":
            return float(len(inside))
        total = sum(math.floor(v * 2**20 + 0.5) for v in inside) / 2**20
        if f.agg == "sum":
            return float(total)
        rows, prior = (f.shrink.rows, f.shrink.prior) if f.shrink else (0.0, 0.0)
        count = len(inside) + rows
        return float((total + rows * prior) / count) if count else default

    def _is_open(self, entry: Any, edge: int, tile: int, instant: int) -> bool:
        _, time, opened, closed = entry
        inside = bool(time // tile * tile >= edge and opened < instant)
        return inside and not (closed is not None and closed < instant)
