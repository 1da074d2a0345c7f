"""A program of others, beside a test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from infra.local.process import Process

END_S = 10.0


@contextmanager
def beside(command: Sequence[str], log: Path, environ: Mapping[str, str]) -> Iterator[Process]:
    """It runs in its log's folder, and has ended afterwards."""
    process = Process(command, log, environ, log.parent)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(END_S)
