"""Streams that drift: two public ones from the shared data beside this folder, and six generators
of River's, whose rows the loop has never been tuned for one by one.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from river.datasets import synth

DATA = Path(__file__).parents[4] / "shared" / "data"
ROWS = 20_000  # of each generator


@dataclass(frozen=True, slots=True)
class Stream:
    """n rows in order: `vectors` [n, k] float32, `target` [n] number of the class."""

    name: str
    vectors: npt.NDArray[np.float32]
    target: npt.NDArray[np.float64]
    classes: int


def names() -> list[str]:
    """Of those that the loop's constants were chosen over, and that are here."""
    public = [name for name, file in PUBLIC.items() if (DATA / file).exists()]
    return [*public, *GENERATED]


def load(name: str) -> Stream:
    vectors, said = _public(PUBLIC[name]) if name in PUBLIC else {**GENERATED, **UNSEEN}[name]()
    known = np.unique(said)
    target = np.searchsorted(known, said).astype(np.float64)
    return Stream(name, vectors.astype(np.float32), target, len(known))


PUBLIC: Mapping[str, str] = {
    "elec2": "elec2.csv.gz",
    "insects": "insects_gradual_balanced.csv.gz",
}
Table = tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]


def _public(file: str) -> Table:
    with gzip.open(DATA / file, "rt") as text:
        next(text)
        table = np.loadtxt(text, delimiter=",")
    return table[:, :-1], table[:, -1].astype(np.int64)


def _taken(rows: Any, count: int) -> Table:
    taken = list(islice(rows, count))
    values = np.array([[float(value) for value in row.values()] for row, _ in taken])
    return values, np.array([int(said) for _, said in taken])


def _joined(parts: Sequence[Any]) -> Table:
    """Parts of equal length, one after the other: the rule changes at once."""
    tables = [_taken(part, ROWS // len(parts)) for part in parts]
    return np.concatenate([t[0] for t in tables]), np.concatenate([t[1] for t in tables])


def _sea(variants: Sequence[int], noise: float, seed: int) -> Table:
    parts = [synth.SEA(v, noise=noise, seed=seed + n) for n, v in enumerate(variants)]
    return _joined(parts)


def _agrawal(functions: Sequence[int], seed: int) -> Table:
    return _joined(
        [
            synth.Agrawal(classification_function=each, seed=seed + number, perturbation=0.05)
            for number, each in enumerate(functions)
        ]
    )


def _hyperplane() -> Table:
    moving = synth.Hyperplane(
        seed=7, n_features=10, n_drift_features=6, mag_change=0.002, noise_percentage=0.05
    )
    return _taken(moving, ROWS)


def _still() -> Table:
    return _taken(
        synth.RandomRBF(seed_model=9, seed_sample=9, n_classes=4, n_features=10, n_centroids=40),
        ROWS,
    )


GENERATED: Mapping[str, Callable[[], Table]] = {
    "sea_abrupt": lambda: _sea((0, 3, 1, 2), 0.1, 3),
    "sea_noise": lambda: _sea((0,), 0.3, 11),
    "hyperplane": _hyperplane,
    "recurring": lambda: _agrawal((0, 3, 0, 3, 0, 3, 0, 3), 5),
    "agrawal_abrupt": lambda: _agrawal((4, 6, 2, 8), 21),
    "rbf_still": _still,
}
# Nothing was chosen over these: what the loop does on a stream of one's own.
UNSEEN: Mapping[str, Callable[[], Table]] = {
    "sine_turned": lambda: _joined([synth.Sine(rule, seed=41 + rule) for rule in range(4)]),
    "mixed_turned": lambda: _joined([synth.Mixed(n % 2, seed=51 + n) for n in range(4)]),
    "rbf_drifting": lambda: _taken(
        synth.RandomRBFDrift(
            61, 61, n_classes=3, n_features=8, n_centroids=30, change_speed=0.0005,
            n_drift_centroids=15,
        ),
        ROWS,
    ),
    "led_drifting": lambda: _taken(
        synth.LEDDrift(71, 0.1, irrelevant_features=True, n_drift_features=4), ROWS
    ),
}  # fmt: skip
