"""Where figures are counted: a family for each declared name, a cell for each set of label values.

Counting takes no lock: a cell is written by one thread alone, and a scrape reads it as it stands.
What several threads write is asked for by `shared`, and such a cell has a lock of its own; so has
the one for others, which is whoever's. Label values are bounded here, whatever comes: see `Label`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from threading import Lock
from typing import Generic, Literal, TypeVar

import numpy as np
import numpy.typing as npt

OTHER = "other"  # what a label's value is shown as where it is one too many, or unknown
PIPELINE = "pipeline"
ASKED_MAX = 10_000  # sets of values whose cell is remembered, those that are shown as others too
Kind = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True, slots=True)
class Label:
    """A label and its bound: the fixed `values`, else the `most` first that come; where `newest`,
    values are numbers and the `most` greatest are kept. The bound holds within one pipeline."""

    name: str
    values: Sequence[str] = ()
    most: int = 0
    newest: bool = False

    @property
    def bound(self) -> str:
        """For people."""
        if self.values:
            return ", ".join(self.values)
        if self.newest:
            return f"the newest {self.most} of a pipeline"
        return "one" if self.most == 1 else f"at most {self.most}"


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the table: all that is known of a name before anything is counted."""

    name: str
    kind: Kind
    text: str
    unit: str
    labels: Sequence[Label]
    owners: Sequence[str]  # the services that count it
    buckets: Sequence[float] = ()


class Cell(ABC):
    """One set of label values."""

    def __init__(self, figure: Figure, labels: Mapping[str, str]) -> None:
        self._heads = list(_heads(figure, labels))  # spelt once: a scrape only puts numbers behind

    @abstractmethod
    def lines(self) -> Iterator[str]:
        """Name, labels, value; a line each."""


class Value(Cell):
    """A counter's or a gauge's."""

    def __init__(self, figure: Figure, labels: Mapping[str, str]) -> None:
        super().__init__(figure, labels)
        self.value: float = 0

    def lines(self) -> Iterator[str]:
        yield self._heads[0] + _spelt(self.value)


class Counter(Value):
    """Only rises, while the process lives."""

    def inc(self, by: float = 1) -> None:
        self.value += by

    def told(self, value: float) -> None:
        """For what is counted elsewhere, by a loop's own state, and read at a scrape."""
        self.value = value


class SharedCounter(Counter):
    """For several threads."""

    def __init__(self, figure: Figure, labels: Mapping[str, str]) -> None:
        super().__init__(figure, labels)
        self._lock = Lock()

    def inc(self, by: float = 1) -> None:
        with self._lock:
            self.value += by


class Gauge(Value):
    """What is so now."""

    def set(self, value: float) -> None:
        self.value = value


class Histogram(Cell):
    """How many values were at most so large, for each of the declared edges."""

    def __init__(self, figure: Figure, labels: Mapping[str, str]) -> None:
        super().__init__(figure, labels)
        self._edges, self._counts = tuple(figure.buckets), [0] * (len(figure.buckets) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self._edges, value)] += 1
        self._sum += value

    def observe_all(self, values: npt.NDArray[np.float64]) -> None:
        """A batch at once: 10 µs for a thousand."""
        places = np.bincount(np.searchsorted(self._edges, values), minlength=len(self._counts))
        for place in np.flatnonzero(places).tolist():
            self._counts[place] += int(places[place])
        self._sum += float(values.sum())

    def lines(self) -> Iterator[str]:
        rising = list(accumulate(self._counts))
        values = [*map(str, rising), str(rising[-1]), _spelt(self._sum)]
        return (head + value for head, value in zip(self._heads, values, strict=True))


class SharedHistogram(Histogram):
    """For several threads."""

    def __init__(self, figure: Figure, labels: Mapping[str, str]) -> None:
        super().__init__(figure, labels)
        self._lock = Lock()

    def observe(self, value: float) -> None:
        with self._lock:
            super().observe(value)

    def observe_all(self, values: npt.NDArray[np.float64]) -> None:
        with self._lock:
            super().observe_all(values)


C = TypeVar("C", bound=Cell)


class Family(Generic[C]):
    """All cells of one figure. Looking one up takes no lock; making one does."""

    def __init__(self, figure: Figure, alone: type[C], shared: type[C]) -> None:
        self.figure, self._alone, self._shared = figure, alone, shared
        self._cells: Mapping[tuple[str, ...], C] = {}  # replaced whole, never changed: no lock
        self._asked: dict[tuple[str, ...], C] = {}  # the same cells, by the values as they came
        self._making = Lock()

    def labels(self, *values: str) -> C:
        """The cell of these values, for one thread to write."""
        found = self._asked.get(values)
        return self._made(values, self._alone) if found is None else found

    def shared(self, *values: str) -> C:
        """The cell of these values, for any thread to write."""
        found = self._asked.get(values)
        return self._made(values, self._shared) if found is None else found

    def forget(self, pipeline: str) -> None:
        """A removed pipeline's cells go."""
        names = [label.name for label in self.figure.labels]
        if PIPELINE in names:
            place = names.index(PIPELINE)
            with self._making:
                self._drop({values for values in self._cells if values[place] == pipeline})

    def clear(self) -> None:
        """All cells go: this process no longer tells of it."""
        with self._making:
            self._cells, self._asked = {}, {}

    def lines(self) -> Iterator[str]:
        """What a scrape shows, in the text format of Prometheus."""
        figure = self.figure
        yield f"# HELP driftloop_{figure.name} {figure.text}"
        yield f"# TYPE driftloop_{figure.name} {figure.kind}"
        for cell in self._cells.values():
            yield from cell.lines()

    def _made(self, values: tuple[str, ...], kind: type[C]) -> C:
        with self._making:
            shown = self._bounded(values)
            cell = self._cells.get(shown)
            if cell is None:
                names = [label.name for label in self.figure.labels]
                labels = dict(zip(names, shown, strict=True))
                cell = (self._shared if OTHER in shown else kind)(self.figure, labels)
                self._cells = {**self._cells, shown: cell}
            if len(self._asked) >= ASKED_MAX:
                self._asked = {}
            self._asked[values] = cell
            return cell

    def _bounded(self, values: tuple[str, ...]) -> tuple[str, ...]:
        """The values as they may be shown, place by place: a pipeline's comes before what it
        bounds."""
        assert len(values) == len(self.figure.labels), (self.figure.name, values)
        shown = list(values)
        for place, label in sorted(enumerate(self.figure.labels), key=_pipeline_first):
            shown[place] = self._allowed(place, label, shown)
        return tuple(shown)

    def _allowed(self, place: int, label: Label, shown: Sequence[str]) -> str:
        value = shown[place]
        if label.values:
            return value if value in label.values else OTHER
        known = {cell[place] for cell in self._within(label, shown)} - {OTHER}
        if value in known or len(known) < label.most:
            return value if value.isdecimal() or not label.newest else OTHER
        return self._newest(place, label, shown, known) if label.newest else OTHER

    def _newest(self, place: int, label: Label, shown: Sequence[str], known: set[str]) -> str:
        """A newer number drives the oldest out."""
        oldest = min(known, key=int)
        if not shown[place].isdecimal() or int(shown[place]) < int(oldest):
            return OTHER
        self._drop({cell for cell in self._within(label, shown) if cell[place] == oldest})
        return shown[place]

    def _within(self, label: Label, shown: Sequence[str]) -> Iterable[tuple[str, ...]]:
        """The cells among which a label's bound holds: those of the same pipeline."""
        names = [each.name for each in self.figure.labels]
        if label.name == PIPELINE or PIPELINE not in names:
            return self._cells
        place = names.index(PIPELINE)
        return [cell for cell in self._cells if cell[place] == shown[place]]

    def _drop(self, gone: set[tuple[str, ...]]) -> None:
        self._cells = {values: cell for values, cell in self._cells.items() if values not in gone}
        self._asked = {}  # others may be shown by their own values now


def _pipeline_first(placed: tuple[int, Label]) -> bool:
    return placed[1].name != PIPELINE


def _heads(figure: Figure, labels: Mapping[str, str]) -> Iterator[str]:
    """A line's text up to its value: one for each line of the cell."""
    name = f"driftloop_{figure.name}"
    if figure.kind != "histogram":
        yield f"{name}{_braced(labels)} "
        return
    for edge in (*map(_spelt, figure.buckets), "+Inf"):
        yield f"{name}_bucket{_braced({**labels, 'le': edge})} "
    yield f"{name}_count{_braced(labels)} "
    yield f"{name}_sum{_braced(labels)} "


def _braced(labels: Mapping[str, str]) -> str:
    pairs = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{pairs}}}" if pairs else ""


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _spelt(value: float) -> str:
    if math.isfinite(value):
        return repr(value)
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
