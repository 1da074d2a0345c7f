"""Compiles the numba kernels once, into the cache beside their sources (or in NUMBA_CACHE_DIR):
some 10 s of CPU that would else fall into the first minute of the first start.

    python -m infra.tools.compile            all of them
    python -m infra.tools.compile hash       those alone by which rows are partitioned
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from driftloop.kit.envelope import partition_rows

FILE = Path(__file__).resolve().parents[1] / "pipelines" / "flights.yaml"


def main(arguments: Sequence[str]) -> None:
    if list(arguments) == ["hash"]:
        partition_rows(pa.array([""], pa.string()), 1)
    else:
        _all()


def _all() -> None:
    # here, since an image of another service has no features
    from driftloop.spec import parse
    from driftloop.spec.windows import program
    from services.features.handlers import Generation
    from services.features.warm import warm_up

    pipeline = parse(FILE.read_text(), FILE.name)
    warm_up(Generation(pipeline.name, 1, pipeline, program(pipeline)))


if __name__ == "__main__":
    main(sys.argv[1:])
