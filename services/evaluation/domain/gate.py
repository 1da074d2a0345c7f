"""Which candidate, if any, is better than what is live? The gate, in plain numbers.

Gain is the opponent's loss less the candidate's, row by row on the same held-out rows. Rows that
are near in time err together, so whole blocks of consecutive rows are drawn again, not rows; and
since the best of several looks good by chance, Holm's order asks more of the first.

Of several that are surely better than what is live, the one declared first wins, unless a later one
is surely better than it too. The largest gain on the newest rows is often chance, or the regime of
a week: taken by size alone, models of the newest weeks won over models of all rows and lost to them
afterwards (a year of flights: log-loss .442 against .434).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rule:
    """How sure one must be, and by how many draws."""

    metric: str = "log_loss"
    confidence: float = 0.95
    blocks: int = 50
    resamples: int = 2_000
    rows_min: int = 100  # below, 50 blocks hold a row or two each and say nothing

    def text(self, opponent: str) -> str:
        return (
            f"the first candidate whose gain in {self.metric} over {opponent} has a one-sided "
            f"{self.confidence:.0%} lower end above 0, unless a later such one has that over it "
            f"(paired bootstrap of {self.blocks} blocks in time, {self.resamples:,} draws, Holm "
            f"over candidates)"
        )


@dataclass(frozen=True, slots=True)
class Judgement:
    """One candidate's case. `low` is the lower end at the level that Holm's order asks of it."""

    name: str
    gain: float
    low: float
    p_value: float
    eligible: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Ruling:
    """All cases, and the winner's name, empty where there is none."""

    judgements: tuple[Judgement, ...]
    winner: str
    reason: str


def judge(
    gains: Mapping[str, Floats],
    rule: Rule,
    seed: int,
    barred: Mapping[str, str] = MappingProxyType({}),
) -> Ruling:
    """`gains`: candidate → [n] gain of each row, in the order of time; the same n rows for all.
    `barred`: those that can't win, and why; they ask nothing more of the others.
    """
    free = {name: gain for name, gain in gains.items() if name not in barred}
    if len(free) < len(gains):
        ruling = judge(free, rule, seed)
        known = {one.name: one for one in ruling.judgements}
        known |= {
            name: Judgement(name, float(gains[name].mean()), 0.0, 1.0, False, f"barred: {why}")
            for name, why in barred.items()
            if name in gains
        }
        reason = (
            ruling.reason if free else "; ".join(f"{n} is barred: {w}" for n, w in barred.items())
        )
        return Ruling(tuple(known[name] for name in gains), ruling.winner, reason)
    if not gains:
        return Ruling((), "", "no candidate has a model")
    rows = len(next(iter(gains.values())))
    if rows < rule.rows_min:
        reason = f"{rows} held-out rows are too few, wanted at least {rule.rows_min}"
        idle = [Judgement(name, 0.0, 0.0, 1.0, False, reason) for name in gains]
        return Ruling(tuple(idle), "", reason)
    means = {name: block_means(gain, rule, seed) for name, gain in gains.items()}
    p_values = {name: _p_value(drawn) for name, drawn in means.items()}
    judgements = _in_order(gains, means, p_values, rule)
    return _ruling(
        tuple(judgements[name] for name in gains), _winner(judgements, means, gains, rule)
    )


def seed_of(run_id: str) -> int:
    """The same draws for the same run."""
    return int.from_bytes(hashlib.sha256(run_id.encode()).digest()[:8], "little")


def block_means(gain: Floats, rule: Rule, seed: int) -> Floats:
    """[resamples] mean gain over blocks of consecutive rows drawn with replacement (Künsch, 1989);
    the same draws for each candidate.
    """
    edges = np.linspace(0, len(gain), rule.blocks + 1).astype(np.int64)
    sums, counts = np.add.reduceat(gain, edges[:-1]), np.diff(edges)
    drawn = np.random.default_rng(seed).integers(0, rule.blocks, (rule.resamples, rule.blocks))
    return np.asarray(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1), np.float64)


def surely(gain: npt.NDArray[np.int8], rule: Rule, seed: int) -> bool:
    """Whether the lower end of a mean gain is above 0, at the rule's confidence."""
    means = block_means(gain.astype(np.float64), rule, seed)
    return bool(np.quantile(means, 1.0 - rule.confidence, method="lower") > 0.0)


def _p_value(drawn: Floats) -> float:
    """The share of draws without a gain; never quite 0, since the draws are finite."""
    return float((1 + (drawn <= 0.0).sum()) / (1 + len(drawn)))


def _in_order(
    gains: Mapping[str, Floats],
    means: Mapping[str, Floats],
    p_values: Mapping[str, float],
    rule: Rule,
) -> dict[str, Judgement]:
    """Holm: the surest is asked at alpha / m, the next at alpha / (m - 1); after a no, all are
    no.
    """
    judgements: dict[str, Judgement] = {}
    open_still, alpha = True, 1.0 - rule.confidence
    for rank, name in enumerate(sorted(gains, key=lambda name: p_values[name])):
        level = alpha / (len(gains) - rank)
        low = float(np.quantile(means[name], level, method="lower"))
        eligible = open_still and low > 0.0
        reason = f"lower end {low:+.5f} at {1.0 - level:.2%}"
        if low > 0.0 and not open_still:
            reason += ", but a surer candidate failed"
        open_still = eligible
        gain = float(gains[name].mean())
        judgements[name] = Judgement(name, gain, low, p_values[name], eligible, reason)
    return judgements


def _winner(
    judgements: Mapping[str, Judgement],
    means: Mapping[str, Floats],
    gains: Mapping[str, Floats],
    rule: Rule,
) -> str:
    """Candidates in their order: a later one replaces an earlier one only if it is surely better.

    The same blocks were drawn for all, so the difference of two means is a paired one.
    """
    eligible = [name for name in gains if judgements[name].eligible]
    best = eligible[0] if eligible else ""
    for name in eligible[1:]:
        low = np.quantile(means[name] - means[best], 1.0 - rule.confidence, method="lower")
        best = name if low > 0.0 else best
    return best


def _ruling(judgements: tuple[Judgement, ...], winner: str) -> Ruling:
    if not winner:
        best = max(judgements, key=lambda one: one.gain)
        reason = f"none is surely better; the nearest, {best.name}: {best.gain:+.5f}, {best.reason}"
        return Ruling(judgements, "", reason)
    best = next(one for one in judgements if one.name == winner)
    return Ruling(judgements, best.name, f"{best.name}: {best.gain:+.5f}, {best.reason}")
