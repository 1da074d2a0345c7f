"""Compiles the numba kernels once, into the cache beside their sources: some 10 s of CPU that would
else fall into the first minute of the first start.
"""

from __future__ import annotations

from pathlib import Path

from driftloop.spec import parse
from driftloop.spec.windows import program
from services.features.handlers import Generation
from services.features.warm import warm_up

FILE = Path(__file__).resolve().parents[1] / "pipelines" / "flights.yaml"


def main() -> None:
    pipeline = parse(FILE.read_text(), FILE.name)
    warm_up(Generation(pipeline.name, 1, pipeline, program(pipeline)))


if __name__ == "__main__":
    main()
