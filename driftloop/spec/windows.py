"""What a pipeline's features are, as tables for the kernel: rows in, vectors out, in the order of the log.

Pure: columns in, float32 vectors out. A row's vector is a function of the rows before it in the log alone; nothing here
knows of batches, brokers or clocks. Meanings: windows are [t - w, t), the old edge rounded down to a tile of w/24; a row
never sees itself nor rows of its own instant; a row older than its entity's newest instant is answered as at that
instant and marked late; a row whose value or condition is missing is no row to that feature.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from driftloop.spec import kernel
from driftloop.spec.expression import Array, Expression
from driftloop.spec.expression import compile as compile_expression
from driftloop.spec.kernel_keys import combine
from driftloop.spec.kernel_state import KindState
from driftloop.spec.model import FieldFeature, WindowFeature

if TYPE_CHECKING:
    from driftloop.spec.model import Feature, Pipeline

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
_UNKNOWN = 2  # a condition that cannot be judged: something in it is missing


@dataclass(frozen=True, slots=True)
class Rows:
    """A batch in log order. `facts` [8, rows] as in `kernel`; `columns` by field, as expressions want them, with `time`;
    `keys`: field -> (64 bits a row that tell its values apart, where known) for the components of entities."""

    facts: Ints
    columns: Mapping[str, Array]
    keys: Mapping[str, tuple[NDArray[np.uint64], NDArray[np.bool_]]]


@dataclass(frozen=True, slots=True)
class Answers:
    """[asked, width] float32 in declared order; which of the asked rows came late; seconds since each window's newest
    row, [asked, windows], for questions only."""

    vectors: NDArray[np.float32]
    late: NDArray[np.bool_]
    ages: Floats | None = None


@dataclass(frozen=True, slots=True)
class Kind:
    """One entity kind: the components of its key and the kernel's tables of its accumulators and features."""

    name: str  # its components, joined by commas
    parts: tuple[str, ...]
    accs: Ints
    feats: Ints
    params: Floats
    words: int  # int64 a slot

    @property
    def tables(self) -> int:
        """How many tables of open rows it has."""
        return int(np.sum(self.accs[:, kernel.FORM] == kernel.OPEN))


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


class Windows:
    """The state of one pipeline's windows, and the only way to change it: `apply`, in log order."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.kinds = [KindState(k.name, k.words, k.tables) for k in program.kinds]

    def apply(self, rows: Rows) -> Answers:
        """Answer the asked rows (PLACE >= 0), each from what stood before it, and count all rows."""
        p, facts = self.program, rows.facts
        asked = np.flatnonzero(facts[kernel.PLACE] >= 0)
        keys, touches = self._keys(rows)
        values, wheres = self._values(rows.columns), self._wheres(rows.columns)
        out = np.full((len(p.windows), len(asked)), np.nan)  # stays so for rows that a replay skips
        late = np.zeros(len(asked), np.uint8)
        for number, (kind, state) in enumerate(zip(p.kinds, self.kinds, strict=True)):
            state.make_room(facts, kind.accs)
            kernel.run(
                state.words,
                state.slot_keys,
                state.table,
                state.meta,
                state.applied,
                state.dirty,
                state.opens,
                kind.accs,
                kind.feats,
                kind.params,
                keys[number],
                touches[number],
                facts,
                values,
                wheres,
                out,
                late,
            )
        return Answers(self._vectors(rows.columns, asked, out), late.view(np.bool_))

    def ask(self, rows: Rows) -> Answers:
        """What `apply` would answer to each of these rows if it came now, alone; nothing is changed."""
        p, count = self.program, rows.facts.shape[1]
        out = np.full((len(p.windows), count), np.nan)
        ages = np.full((len(p.windows), count), np.nan)
        late = np.zeros(count, np.uint8)
        keys, known = self._keys(rows)
        for number, (kind, state) in enumerate(zip(p.kinds, self.kinds, strict=True)):
            kernel.query(
                state.words,
                state.slot_keys,
                state.table,
                state.meta,
                kind.accs,
                kind.feats,
                kind.params,
                keys[number],
                known[number],
                rows.facts,
                out,
                ages,
                late,
            )
        return Answers(
            self._vectors(rows.columns, np.arange(count), out), late.view(np.bool_), ages.T
        )

    def look_up(
        self, entity: str, bits: Sequence[int], at_us: int | None
    ) -> Mapping[str, tuple[float, float]] | None:
        """feature -> (value, age in seconds) of an entity at an instant (None: just after its newest row); None: unknown."""
        number = self.program.entities[entity]
        kind, state = self.program.kinds[number], self.kinds[number]
        key, known = self._one_key(number, bits)
        slot = state.slot_of(key)
        if slot < 0:
            return None
        facts = np.zeros((8, 1), np.int64)
        facts[kernel.TIME] = (
            int(state.words[slot, kernel.SLOT_INSTANT]) + 1 if at_us is None else at_us
        )
        out, ages = (
            np.full((len(self.program.windows), 1), np.nan),
            np.full((len(self.program.windows), 1), np.nan),
        )
        kernel.query(
            state.words,
            state.slot_keys,
            state.table,
            state.meta,
            kind.accs,
            kind.feats,
            kind.params,
            np.array([key]),
            known,
            facts,
            out,
            ages,
            np.zeros(1, np.uint8),
        )
        return {
            self.program.windows[at]: (float(out[at, 0]), float(ages[at, 0]))
            for at in kind.feats[:, kernel.OUT]
        }

    def _keys(self, rows: Rows) -> tuple[NDArray[np.uint64], NDArray[np.uint8]]:
        p, count = self.program, rows.facts.shape[1]
        bits = np.zeros((len(p.parts), count), np.uint64)
        known = np.zeros((len(p.parts), count), np.uint8)
        for number, part in enumerate(p.parts):
            if isinstance(part, str):
                bits[number], known[number] = rows.keys[part]
            else:
                found = np.asarray(part.evaluate(rows.columns), np.float64)
                bits[number], known[number] = (
                    float_bits(found),
                    ~np.isnan(found) & part.known(rows.columns),
                )
        keys, touches = (
            np.empty((len(p.kinds), count), np.uint64),
            np.empty((len(p.kinds), count), np.uint8),
        )
        combine(
            bits,
            known,
            p.part_of_kind,
            p.uses,
            rows.facts[kernel.FROM],
            rows.facts[kernel.PLACE],
            keys,
            touches,
        )
        return keys, touches

    def _one_key(self, kind: int, bits: Sequence[int]) -> tuple[np.uint64, NDArray[np.uint8]]:
        parts = np.arange(len(bits), dtype=np.int64)[None]
        key, touches, facts = (
            np.empty((1, 1), np.uint64),
            np.empty((1, 1), np.uint8),
            np.zeros((8, 1), np.int64),
        )
        combine(
            np.array(bits, np.uint64)[:, None],
            np.ones((len(bits), 1), np.uint8),
            parts,
            np.ones((1, 1), np.uint8),
            facts[kernel.FROM],
            facts[kernel.PLACE],
            key,
            touches,
        )
        return cast(np.uint64, key[0, 0]), touches[0]

    def _values(self, columns: Mapping[str, Array]) -> Floats:
        values = np.empty((len(self.program.values), len(columns["time"])))
        for number, expression in enumerate(self.program.values):
            values[number] = expression.evaluate(columns)
        return values

    def _wheres(self, columns: Mapping[str, Array]) -> NDArray[np.uint8]:
        wheres = np.empty((len(self.program.wheres), len(columns["time"])), np.uint8)
        for number, expression in enumerate(self.program.wheres):
            wheres[number] = expression.evaluate(columns)
            wheres[number][~expression.known(columns)] = _UNKNOWN
        return wheres

    def _vectors(
        self, columns: Mapping[str, Array], asked: Ints, out: Floats
    ) -> NDArray[np.float32]:
        """[asked, width] in declared order; expressions see the row's fields and the features above them."""
        p = self.program
        vectors = np.empty((len(asked), len(p.names)), np.float32)
        if not len(asked):
            return vectors
        seen: dict[str, Array] = {name: columns[name][asked] for name in p.asked}
        at = 0
        for step in p.steps:
            found = self._step(step, seen, out)
            if step.name not in p.fields:  # an expression that names a field means the field
                seen[step.name] = found
            if not step.hidden:
                vectors[:, at] = found
                at += 1
        return vectors

    def _step(self, step: Step, seen: Mapping[str, Array], out: Floats) -> Array:
        if step.window >= 0:
            return cast(Array, out[step.window])
        if step.field:
            return np.asarray(seen[step.field], np.float64)
        assert step.expression is not None, step
        return np.asarray(step.expression.evaluate(seen), np.float64)


def float_bits(values: Floats) -> NDArray[np.uint64]:
    """64 bits that tell numbers apart; -0 and 0 are one."""
    return (values + 0.0).view(np.uint64)


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
    """One entity kind on its way; features that count the same rows in the same way share an accumulator."""

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
