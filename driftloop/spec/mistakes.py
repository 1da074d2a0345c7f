"""What is wrong in a pipeline file: each mistake with its line, what was found and what would do,
all at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake. `line` counts from 1; `field` is the dotted path, as `features[3].by`."""

    line: int
    field: str
    found: str
    wanted: str

    def __str__(self) -> str:
        return f"{self.line}: {self.field}: found {self.found}, wanted {self.wanted}"


class Mistakes(Exception):
    """All mistakes of one file, in the order of its lines; `str()` is one line each."""

    def __init__(self, name: str, mistakes: Iterable[Mistake]) -> None:
        self.name = name
        self.mistakes: Sequence[Mistake] = tuple(
            sorted(set(mistakes), key=lambda m: (m.line, m.field, m.found))
        )
        super().__init__("\n".join(f"{name}:{mistake}" for mistake in self.mistakes))


def one_of(names: Iterable[str], found: str = "") -> str:
    """What would do, the likeliest first: `did you mean 'origin'? One of a, b, c`."""
    known = sorted(names)
    near = get_close_matches(found, known, n=1, cutoff=0.6)
    listed = (
        ", ".join(known[:20]) + (", …" if len(known) > 20 else "") if known else "none is known"
    )
    return f"{near[0]!r} (did you mean that?), or one of {listed}" if near else f"one of {listed}"
