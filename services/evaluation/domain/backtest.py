"""Several models on the same rows of history: figures, intervals, slices, reliability, and how they
differ. Arrays in, one document of plain values out.

    {"kind", "metric", "rows", "time": [bucket starts, µs],
     "models": [{"name", "rows", "figures": {...}, "loss", "low", "high", "seen_rows",
                 "unseen": {"rows", "loss", "low", "high"},
                 "by_time": [mean loss of each bucket], "reliability": [[said, seen, rows], ...],
                 "slices": [{"feature", "value", "rows", "loss", "low", "high", "few"}]}],
     "differences": [{"a", "b", "rows", "gain", "low", "high"}]}

A difference's gain is b's mean loss less a's over the rows that both answered and neither was
fitted on: above 0, a is the better one. Intervals are of 95 %, by a bootstrap of 50 blocks of
consecutive rows (Künsch, 1989), since rows that are near in time err together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from services.evaluation.domain.gate import Rule, block_means
from services.evaluation.domain.kinds import figures, losses_of
from services.evaluation.domain.metrics import BINS, Bools, Floats

BUCKETS = 200  # of event time: what a plot can show
VALUES_MAX = 12  # a feature of so few values is sliced by them, another by its quarters
FEW = 100  # rows: of a slice so small the interval says little
SIDES = (0.025, 0.975)
QUARTERS = (0.25, 0.5, 0.75)
Plain = dict[str, Any]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Contest:
    """The n rows, in the order of their times. `classes` 0: the target is a number. `slices`:
    feature → its values [n]."""

    times: Ints
    target: Floats
    classes: int
    metric: str
    threshold: float
    slices: Mapping[str, npt.NDArray[np.float32]]
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Side:
    """One model's answers [n, outputs], NaN where it gave none; `seen` [n]: rows it was fitted
    on."""

    name: str
    answers: Floats
    seen: Bools


def backtest(contest: Contest, sides: Sequence[Side]) -> Plain:
    """The document."""
    edges = _edges(contest.times)
    losses = {side.name: _losses(contest, side) for side in sides}
    return {
        "kind": _kind(contest.classes),
        "metric": contest.metric,
        "rows": len(contest.target),
        "time": edges[:-1].tolist(),
        "models": [_model(contest, side, losses[side.name], edges) for side in sides],
        "differences": [
            _difference(contest, a, b, losses[a.name], losses[b.name])
            for a, b in combinations(sides, 2)
        ],
    }


def interval(losses: Floats, seed: int) -> tuple[float, float] | tuple[None, None]:
    """Lower and upper end of the mean; None of too few rows for 50 blocks."""
    if len(losses) < Rule().rows_min:
        return None, None
    low, high = np.quantile(block_means(losses, Rule(), seed), SIDES)
    return float(low), float(high)


def _kind(classes: int) -> str:
    return "regression" if not classes else "binary" if classes == 2 else "multiclass"


def _losses(contest: Contest, side: Side) -> Floats:
    """[n]; NaN where it gave no answer."""
    answered = np.asarray(np.isfinite(side.answers).all(axis=1), np.bool_)
    found = np.full(len(answered), np.nan)
    found[answered] = losses_of(
        contest.target[answered], side.answers[answered], contest.classes, contest.metric
    )
    return found


def _model(contest: Contest, side: Side, losses: Floats, edges: Ints) -> Plain:
    answered = np.isfinite(losses)
    unseen = answered & ~side.seen
    given, target = side.answers[answered], contest.target[answered]
    said = asdict(figures(target, given, contest.classes, threshold=contest.threshold))
    return {
        "name": side.name,
        "figures": said,
        **_mean(losses[answered], contest.seed),
        "seen_rows": int((answered & side.seen).sum()),
        "unseen": _mean(losses[unseen], contest.seed),
        "by_time": _by_time(contest.times, losses, answered, edges),
        "reliability": _reliability(target, given) if contest.classes else [],
        "slices": sorted(
            _slices(contest, losses, unseen if unseen.any() else answered),
            key=lambda each: -each["loss"],
        ),
    }


def _mean(losses: Floats, seed: int) -> Plain:
    low, high = interval(losses, seed)
    mean = float(losses.mean()) if len(losses) else None
    return {"rows": len(losses), "loss": mean, "low": low, "high": high}


def _difference(contest: Contest, a: Side, b: Side, left: Floats, right: Floats) -> Plain:
    fair = np.isfinite(left) & np.isfinite(right) & ~a.seen & ~b.seen
    gain = right[fair] - left[fair]
    low, high = interval(gain, contest.seed)
    mean = float(gain.mean()) if len(gain) else None
    return {
        "a": a.name, "b": b.name, "rows": len(gain), "gain": mean, "low": low, "high": high,
    }  # fmt: skip


def _edges(times: Ints) -> Ints:
    """[BUCKETS + 1] of equal length over all rows."""
    if not len(times):
        return np.zeros(1, np.int64)
    return np.linspace(times[0], times[-1] + 1, BUCKETS + 1).astype(np.int64)


def _by_time(times: Ints, losses: Floats, answered: Bools, edges: Ints) -> list[float | None]:
    if len(edges) < 2:
        return []
    place = np.searchsorted(edges, times[answered], "right") - 1
    count = np.bincount(place, minlength=BUCKETS)
    total = np.bincount(place, losses[answered], BUCKETS)
    return [float(t / n) if n else None for t, n in zip(total, count, strict=True)]


def _reliability(target: Floats, given: Floats) -> list[list[float]]:
    """By bins of the probability, of the positive class or the likeliest: mean said, share that was
    so, rows (Murphy and Winkler, 1977)."""
    if given.shape[1] == 2:
        said, hit = given[:, 1], target == 1
    else:
        said = given.max(axis=1)
        hit = given.argmax(axis=1) == target
    place = np.minimum((said * BINS).astype(np.int64), BINS - 1)
    count = np.bincount(place, minlength=BINS)
    means, shares = np.bincount(place, said, BINS), np.bincount(place, hit, BINS)
    return [
        [float(means[n] / count[n]), float(shares[n] / count[n]), int(count[n])]
        for n in range(BINS)
        if count[n]
    ]


def _slices(contest: Contest, losses: Floats, judged: Bools) -> Iterator[Plain]:
    for feature, values in contest.slices.items():
        for value, member in members(values):
            mine = losses[member & judged]
            if len(mine):
                told = _mean(mine, contest.seed)
                yield {"feature": feature, "value": value, **told, "few": len(mine) < FEW}


def members(values: npt.NDArray[np.float32]) -> Iterator[tuple[str, Bools]]:
    """(what it is called, which rows it holds); each row is in one."""
    missing = np.isnan(values)
    known = np.unique(values[~missing])
    if len(known) <= VALUES_MAX:
        for one in known.tolist():
            yield f"{one:g}", values == np.float32(one)
    else:
        cuts = np.unique(np.quantile(values[~missing], QUARTERS))
        place = np.searchsorted(cuts, values, "left")
        between = (f"{low:g} to {high:g}" for low, high in pairwise(cuts))
        names = (f"up to {cuts[0]:g}", *between, f"above {cuts[-1]:g}")
        for number, name in enumerate(names):
            yield name, (place == number) & ~missing
    if missing.any():
        yield "missing", missing
