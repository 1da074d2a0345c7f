"""States and snapshots ↔ messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from driftloop.contracts.model_pb2 import LineState, Standing
from driftloop.kit.broker import Record
from driftloop.kit.message import parse
from services.training.online.merge import At
from services.training.online.plan import LinePlan

PIECE_BYTES = 900_000  # of a topic's 1 MiB a message


@dataclass(frozen=True, slots=True)
class Kept:
    """A line's newest whole checkpoint."""

    recipe: str
    round: int
    state: bytes
    rows: int
    standing: Mapping[int, At]


def pieces(
    plan: LinePlan, rows: int, state: bytes, number: int, at: Mapping[int, At]
) -> list[LineState]:
    """One checkpoint of one line, in messages that the broker takes; `number`: of the round."""
    cuts = range(0, max(1, len(state)), PIECE_BYTES)
    return [
        LineState(
            line=plan.name,
            recipe=plan.recipe(),
            round=number,
            piece=piece,
            pieces=len(cuts),
            state=state[start : start + PIECE_BYTES],
            rows=rows,
            standing=standing(at),
        )
        for piece, start in enumerate(cuts)
    ]


def states(records: Iterable[Record]) -> dict[str, Kept]:
    """By line. A piece that a longer, older state has left behind belongs to no newest round."""
    found: dict[str, list[LineState]] = {}
    for record in records:
        message = parse(LineState, record)
        found.setdefault(message.line, []).append(message)
    whole = {name: _whole(each) for name, each in found.items()}
    return {name: each for name, each in whole.items() if each is not None}


def standing(at: Mapping[int, At]) -> list[Standing]:
    return [
        Standing(partition=number, next=one.next, sequence=one.sequence)
        for number, one in sorted(at.items())
    ]


def least(every: Sequence[Mapping[int, At]], partitions: int) -> dict[int, At]:
    """Where to read from so that each line gets all that it lacks. Each stands at a cut of one
    order, so the least of them is such a cut too.
    """
    return {
        number: min((at.get(number, At()) for at in every), key=_place, default=At())
        for number in range(partitions)
    }


def _place(at: At) -> tuple[int, int]:
    return at.next, at.sequence


def _whole(messages: Sequence[LineState]) -> Kept | None:
    newest_round = max(message.round for message in messages)
    mine = sorted((m for m in messages if m.round == newest_round), key=lambda m: m.piece)
    first = mine[0]
    if len(mine) != first.pieces:
        return None
    at = {one.partition: At(one.next, one.sequence) for one in first.standing}
    state = b"".join(message.state for message in mine)
    return Kept(first.recipe, newest_round, state, first.rows, at)
