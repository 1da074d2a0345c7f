"""A tracer that keeps what it is given, for tests of who makes which span."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from driftloop.kit.trace import Span


@dataclass
class Kept:
    """On, for every event unless said otherwise."""

    sample: float = 1.0
    on: bool = True
    spans: list[Span] = field(default_factory=list)

    def add(self, spans: Sequence[Span]) -> None:
        self.spans += spans

    def close(self) -> None:
        """Nothing is open."""

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]
