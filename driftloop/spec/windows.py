"""Rows in, vectors out, in the order of the log: the state of a pipeline's windows.

Pure: columns in, float32 vectors out. A row's vector is a function of the rows before it in the log
alone; nothing here knows of batches, brokers or clocks. Meanings: windows are [t - w, t), the old
edge rounded down to a tile of w/24; a row never sees itself nor rows of its own instant; a row
older than its entity's newest instant is answered as at that instant and marked late; a row whose
value or condition is missing is no row to that feature.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from driftloop.spec import kernel, kernel_keys, kernel_open
from driftloop.spec.expression import Array
from driftloop.spec.kernel_state import KindState
from driftloop.spec.program import Floats, Ints, Kind, Program, Step, program

__all__ = ["Answers", "Program", "Rows", "Windows", "float_bits", "program"]
_UNKNOWN = 2  # a condition that cannot be judged: something in it is missing


@dataclass(frozen=True, slots=True)
class Rows:
    """A batch in log order.

    `facts` [8, rows] as in `kernel`. `columns` by field, as expressions want them, with `time`.
    `keys`: field -> (64 bits a row that tell its values apart, where known), for the components of
    entities.
    """

    facts: Ints
    columns: Mapping[str, Array]
    keys: Mapping[str, tuple[NDArray[np.uint64], NDArray[np.bool_]]]


@dataclass(frozen=True, slots=True)
class Answers:
    """[asked, width] float32 in declared order; which of the asked rows came late; for questions
    only, seconds since each window's newest row, [asked, windows]."""

    vectors: NDArray[np.float32]
    late: NDArray[np.bool_]
    ages: Floats | None = None


class Windows:
    """The state of one pipeline's windows, and the only way to change it: `apply`, in log order."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.kinds = [KindState(k.name, k.blank, k.pairs) for k in program.kinds]

    def apply(self, rows: Rows) -> Answers:
        """Answer the asked rows (PLACE >= 0), each from what stood before it; count all rows."""
        p = self.program
        asked = np.flatnonzero(rows.facts[kernel.PLACE] >= 0)
        keys, touches = self._keys(rows)
        values, wheres = self._values(rows.columns), self._wheres(rows.columns)
        out = np.full((len(p.windows), len(asked)), np.nan)  # stays so for rows that a replay skips
        late = np.zeros(len(asked), np.uint8)
        for number, (kind, state) in enumerate(zip(p.kinds, self.kinds, strict=True)):
            slots = state.take(keys[number], touches[number])
            opened, closed = _resolved(kind, state, slots, rows.facts)
            kernel.run(
                state.words, state.applied, state.dirty, state.chunk_slots,
                kind.accs, kind.feats, kind.params,
                slots, opened, closed, rows.facts, values, wheres, out, late,
            )  # fmt: skip
        return Answers(self._vectors(rows.columns, asked, out), late.view(np.bool_))

    def ask(self, rows: Rows) -> Answers:
        """What `apply` would answer to each of these rows, all of them asked, if it came now and
        alone; nothing is changed."""
        count = rows.facts.shape[1]
        keys, known = self._keys(rows)
        out, ages = self._blank(count), self._blank(count)
        late = np.zeros(count, np.uint8)
        for number in range(len(self.kinds)):
            slots = self.kinds[number].find(keys[number], known[number])
            self._query(number, slots, rows.facts[kernel.TIME], out, ages, late)
        vectors = self._vectors(rows.columns, np.arange(count), out)
        return Answers(vectors, late.view(np.bool_), ages.T)

    def look_up(
        self, entity: str, bits: Sequence[int], at_us: int | None
    ) -> Mapping[str, tuple[float, float]] | None:
        """feature -> (value, age in seconds) of an entity as at an instant (None: just after its
        newest row). None: it was never seen."""
        number = self.program.entities[entity]
        state, feats = self.kinds[number], self.program.kinds[number].feats
        slots = state.find(_one_key(bits), np.ones(1, np.uint8))
        if slots[0] < 0:
            return None
        newest = int(state.words[slots[0], kernel.SLOT_INSTANT])
        times = np.array([newest + 1 if at_us is None else at_us], np.int64)
        out, ages = self._blank(1), self._blank(1)
        self._query(number, slots, times, out, ages, np.zeros(1, np.uint8))
        names = self.program.windows
        return {names[f]: (float(out[f, 0]), float(ages[f, 0])) for f in feats[:, kernel.OUT]}

    def _query(
        self, number: int, slots: Ints, times: Ints, out: Floats, ages: Floats,
        late: NDArray[np.uint8],
    ) -> None:  # fmt: skip
        kind, state = self.program.kinds[number], self.kinds[number]
        kernel.query(state.words, kind.accs, kind.feats, kind.params, slots, times, out, ages, late)

    def _blank(self, count: int) -> Floats:
        return np.full((len(self.program.windows), count), np.nan)

    def _keys(self, rows: Rows) -> tuple[NDArray[np.uint64], NDArray[np.uint8]]:
        """[kinds, rows]: keys of entities, and whether the row touches them."""
        p, count = self.program, rows.facts.shape[1]
        bits = np.zeros((len(p.parts), count), np.uint64)
        known = np.zeros((len(p.parts), count), np.uint8)
        for number, part in enumerate(p.parts):
            if isinstance(part, str):
                bits[number], known[number] = rows.keys[part]
            else:
                found = np.asarray(part.evaluate(rows.columns), np.float64)
                bits[number] = float_bits(found)
                known[number] = ~np.isnan(found) & part.known(rows.columns)
        keys = np.empty((len(p.kinds), count), np.uint64)
        touches = np.empty((len(p.kinds), count), np.uint8)
        sources, places = rows.facts[kernel.FROM], rows.facts[kernel.PLACE]
        kernel_keys.combine(bits, known, p.part_of_kind, p.uses, sources, places, keys, touches)
        return keys, touches

    def _values(self, columns: Mapping[str, Array]) -> Floats:
        values = np.empty((len(self.program.values), len(columns["time"])))
        for number, expression in enumerate(self.program.values):
            name = expression.text  # most are a field as it is: not worth 10 us of evaluating
            values[number] = columns[name] if name in columns else expression.evaluate(columns)
        return values

    def _wheres(self, columns: Mapping[str, Array]) -> NDArray[np.uint8]:
        wheres = np.empty((len(self.program.wheres), len(columns["time"])), np.uint8)
        for number, expression in enumerate(self.program.wheres):
            wheres[number] = expression.evaluate(columns)
            wheres[number][~expression.known(columns)] = _UNKNOWN
        return wheres

    def _vectors(
        self, columns: Mapping[str, Array], asked: NDArray[np.intp], out: Floats
    ) -> NDArray[np.float32]:
        """[asked, width] in declared order; expressions see the row's fields and the features above
        them."""
        p = self.program
        vectors = np.empty((len(asked), len(p.names)), np.float32)
        if not len(asked):
            return vectors
        seen: dict[str, Array] = {name: columns[name][asked] for name in p.asked}
        at = 0
        for step in p.steps:
            found = _step(step, seen, out)
            if step.name not in p.fields:  # an expression that names a field means the field
                seen[step.name] = found
            if not step.hidden:
                vectors[:, at] = found
                at += 1
        return vectors


def float_bits(values: Floats) -> NDArray[np.uint64]:
    """64 bits that tell numbers apart; -0 and 0 are one."""
    return (values + 0.0).view(np.uint64)


def _resolved(
    kind: Kind, state: KindState, slots: Ints, facts: Ints
) -> tuple[NDArray[np.uint8], Ints]:
    """Which rows open and close, by table of open rows."""
    tables, count = len(kind.pairs), facts.shape[1]
    opened = np.empty((tables, count), np.uint8)
    closed = np.empty((tables, 2, count), np.int64)
    if tables:
        state.make_room_for_open(count, facts[kernel.WATERMARK, :1])
        kernel_open.resolve(
            state.opens, state.entries, kind.pairs, slots,
            facts[kernel.TIME], facts[kernel.WATERMARK], facts[kernel.FROM],
            facts[kernel.ID], facts[kernel.JOINS], facts[kernel.JOINED], opened, closed,
        )  # fmt: skip
    return opened, closed


def _step(step: Step, seen: Mapping[str, Array], out: Floats) -> Array:
    if step.window >= 0:
        return cast(Array, out[step.window])
    if step.field:
        return np.asarray(seen[step.field], np.float64)
    assert step.expression is not None, step
    return np.asarray(step.expression.evaluate(seen), np.float64)


def _one_key(bits: Sequence[int]) -> NDArray[np.uint64]:
    """The key of an entity from its components' bits."""
    parts, nothing = np.arange(len(bits), dtype=np.int64)[None], np.zeros(1, np.int64)
    key, touches = np.empty((1, 1), np.uint64), np.empty((1, 1), np.uint8)
    columns, known = np.array(bits, np.uint64)[:, None], np.ones((len(bits), 1), np.uint8)
    uses = np.ones((1, 1), np.uint8)
    kernel_keys.combine(columns, known, parts, uses, nothing, nothing, key, touches)
    return cast(NDArray[np.uint64], key[0])
