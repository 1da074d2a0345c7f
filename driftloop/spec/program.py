"""What a pipeline's features are, as tables for the kernels. Pure, and without numba itself.

Features share what they can: components of keys, expressions, accumulators over the same rows.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from driftloop.spec import kernel
from driftloop.spec.expression import Expression
from driftloop.spec.expression import compile as compile_expression
from driftloop.spec.model import Feature, FieldFeature, Pipeline, WindowFeature

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
WHOLE_TILES = 24  # of a window; with two cut ones they fit a ring of 32
_AGGREGATES = {
    "count": kernel.COUNT,
    "sum": kernel.SUM,
    "mean": kernel.MEAN,
    "share": kernel.MEAN,
    "last": kernel.VALUE_LAST,
    "age": kernel.AGE,
    "open": kernel.OPENED,
}


@dataclass(frozen=True)
class Kind:
    """One entity kind: the components of its key and the kernel's tables of its accumulators and
    features."""

    name: str  # its components, joined by commas
    parts: tuple[str, ...]
    accs: Ints
    feats: Ints
    params: Floats
    words: int  # int64 a slot

    @cached_property
    def pairs(self) -> Ints:
        """One row a table of open rows, as `kernel_open` wants it."""
        columns = (kernel.SOURCE, kernel.CLOSER, kernel.WINDOW)
        return np.ascontiguousarray(self.accs[self.accs[:, kernel.FORM] == kernel.OPEN][:, columns])

    @cached_property
    def blank(self) -> Ints:
        """The words of a slot of which nothing is known."""
        words = np.zeros(self.words, np.int64)
        words[kernel.SLOT_INSTANT] = kernel.NEVER
        rings = self.accs[self.accs[:, kernel.FORM] != kernel.LAST]
        words[rings[:, kernel.BASE] + kernel.HEAD] = kernel.NEVER
        words[self.accs[:, kernel.BASE] + kernel.NEWEST] = kernel.NEVER
        return words


@dataclass(frozen=True, slots=True)
class Step:
    """How one feature gets its number: a row of the windows' answers, a field, or an expression."""

    name: str
    hidden: bool
    window: int = -1
    field: str = ""
    expression: Expression | None = None


@dataclass(frozen=True)
class Program:
    """A pipeline's features, ready to run. Made by `program`."""

    names: tuple[str, ...]  # the vector's columns
    windows: tuple[str, ...]  # the features that are windows, in the kernel's order
    steps: tuple[Step, ...]
    kinds: tuple[Kind, ...]
    parts: tuple[str | Expression, ...]
    values: tuple[Expression, ...]
    wheres: tuple[Expression, ...]
    part_of_kind: Ints  # [kinds, components]: index in `parts`, -1 for none
    uses: NDArray[np.uint8]  # [kinds, sources]
    entities: Mapping[str, int]  # declared name -> kind
    fields: frozenset[str]  # of the sources, and `time`

    @cached_property
    def columns(self) -> frozenset[str]:
        """Fields that must be among `Rows.columns`."""
        expressions = [
            *self.values,
            *self.wheres,
            *(p for p in self.parts if isinstance(p, Expression)),
        ]
        names = {name for e in expressions for name in e.names}
        return frozenset(names | self.asked | {"time"})

    @cached_property
    def asked(self) -> frozenset[str]:
        """Fields that the vector's own steps read."""
        names = {step.field for step in self.steps if step.field}
        names |= {name for step in self.steps if step.expression for name in step.expression.names}
        return frozenset(names & self.fields | {"time"})

    @cached_property
    def keys(self) -> frozenset[str]:
        """Fields that must be among `Rows.keys`."""
        return frozenset(p for p in self.parts if isinstance(p, str))

    @cached_property
    def layout(self) -> str:
        """Digest of what the words of slots mean; state of another layout is not read."""
        kinds = [(k.name, k.accs.tolist(), k.words) for k in self.kinds]
        texts = [[e.text for e in es] for es in (self.values, self.wheres)]
        return hashlib.sha256(
            json.dumps([kinds, texts, kernel.TILES, kernel.SCALE]).encode()
        ).hexdigest()


def program(pipeline: Pipeline) -> Program:
    """The program of a pipeline that `spec.parse` has accepted."""
    return _Builder(pipeline).build()


class _Builder:
    """Collects what features share: components, values, conditions, accumulators."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._topics = [source.topic for source in pipeline.sources]
        self._types = {
            name: kind for name, kind in pipeline.field_types().items() if name != "time"
        }
        self._names = {**self._types, "time": "time"}
        self._parts: dict[str, str | Expression] = {}
        self._values: dict[str, Expression] = {}
        self._wheres: dict[str, Expression] = {}
        self._kinds: dict[tuple[str, ...], _KindBuilder] = {}
        self._windows: list[str] = []

    def build(self) -> Program:
        entities = {
            name: self._kind(tuple(parts)) for name, parts in self._pipeline.entities.items()
        }
        steps, above = [], dict(self._names)
        for feature in self._pipeline.features:
            steps.append(self._step(feature, above))
            above.setdefault(feature.name, "float")
        kinds = [kind.built() for kind in self._kinds.values()]
        order = {parts: number for number, parts in enumerate(self._kinds)}
        return Program(
            names=tuple(step.name for step in steps if not step.hidden),
            windows=tuple(self._windows),
            steps=tuple(steps),
            kinds=tuple(kinds),
            parts=tuple(self._parts.values()),
            values=tuple(self._values.values()),
            wheres=tuple(self._wheres.values()),
            part_of_kind=self._part_of_kind(),
            uses=self._uses(kinds),
            entities={name: order[kind.parts] for name, kind in entities.items()},
            fields=frozenset(self._names),
        )

    def _step(self, feature: Feature, above: Mapping[str, str]) -> Step:
        if isinstance(feature, WindowFeature):
            return Step(feature.name, feature.hidden, window=self._window(feature))
        if not isinstance(feature, FieldFeature):
            return Step(
                feature.name, feature.hidden, expression=compile_expression(feature.expr, above)
            )
        if feature.encode == "ordinal":
            return Step(feature.name, feature.hidden, window=self._ordinal(feature))
        return Step(feature.name, feature.hidden, field=feature.field)

    def _window(self, feature: WindowFeature) -> int:
        kind, out = self._kind(tuple(self._pipeline.entities[feature.by])), self._out(feature.name)
        acc = kind.accumulator(
            form=_form(feature.agg),
            source=self._topics.index(feature.from_),
            window=feature.window or 0,
            value=self._shared(self._values, feature.value),
            where=self._shared(self._wheres, feature.where),
            closer=self._topics.index(feature.closes.source) if feature.closes else -1,
        )
        shrink = (feature.shrink.rows, feature.shrink.prior) if feature.shrink else (0.0, 0.0)
        kind.feature(
            [_AGGREGATES[feature.agg], acc, out, feature.max_age or 0],
            [np.nan if feature.default is None else feature.default, *shrink],
        )
        return out

    def _ordinal(self, feature: FieldFeature) -> int:
        out = self._out(feature.name)
        self._kind((feature.field,)).feature([kernel.ORDINAL, 0, out, 0], [-1.0, 0.0, 0.0])
        return out

    def _out(self, name: str) -> int:
        self._windows.append(name)
        return len(self._windows) - 1

    def _kind(self, parts: tuple[str, ...]) -> _KindBuilder:
        for part in parts:
            if part not in self._parts:
                known = part in self._types
                self._parts[part] = part if known else compile_expression(part, self._names)
        return self._kinds.setdefault(parts, _KindBuilder(parts))

    def _shared(self, pool: dict[str, Expression], text: str | None) -> int:
        if text is None:
            return -1
        if text not in pool:
            pool[text] = compile_expression(text, self._names)
        return list(pool).index(text)

    def _part_of_kind(self) -> Ints:
        numbers = {part: number for number, part in enumerate(self._parts)}
        table = np.full((len(self._kinds), max([1, *map(len, self._kinds)])), -1, np.int64)
        for row, parts in enumerate(self._kinds):
            table[row, : len(parts)] = [numbers[part] for part in parts]
        return table

    def _uses(self, kinds: Sequence[Kind]) -> NDArray[np.uint8]:
        uses = np.zeros((len(kinds), len(self._topics)), np.uint8)
        for row, kind in enumerate(kinds):
            uses[row, kind.accs[:, kernel.SOURCE]] = 1
        return uses


class _KindBuilder:
    """One entity kind on its way; features that count the same rows in the same way share an
    accumulator."""

    def __init__(self, parts: tuple[str, ...]) -> None:
        self.parts = parts
        self._accs: dict[tuple[int, ...], list[int]] = {}
        self._feats: list[list[int]] = []
        self._params: list[list[float]] = []
        self._words = kernel.SLOT_WORDS

    def accumulator(
        self, *, form: int, source: int, window: int, value: int, where: int, closer: int
    ) -> int:
        key = (form, source, window, value, where, closer)
        if key not in self._accs:
            tile = max(1, -(-window // WHOLE_TILES))
            table = sum(acc[kernel.FORM] == kernel.OPEN for acc in self._accs.values())
            self._accs[key] = [form, self._words, window, tile, source, value, where, closer, table]
            self._words += kernel.FORM_WORDS[form]
        return list(self._accs).index(key)

    def feature(self, integers: list[int], reals: list[float]) -> None:
        self._feats.append(integers)
        self._params.append(reals)

    def built(self) -> Kind:
        accs = np.array([*self._accs.values()], np.int64).reshape(-1, 9)
        feats = np.array(self._feats, np.int64).reshape(-1, 4)
        return Kind(
            ",".join(self.parts),
            self.parts,
            accs,
            feats,
            np.array(self._params, np.float64).reshape(-1, 3),
            self._words,
        )


def _form(agg: str) -> int:
    return {
        "count": kernel.COUNTS,
        "last": kernel.LAST,
        "age": kernel.LAST,
        "open": kernel.OPEN,
    }.get(agg, kernel.SUMS)
