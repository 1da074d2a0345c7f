"""Artifacts by digest, in a folder."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from driftloop.kit.errors import DriftloopError, Malformed, Refused
from services.registry.store import Store

DATA = b"a model" * 300_000  # 2.1 MB: three chunks
DIGEST = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path, artifact_bytes_max=10_000_000)


def test_what_is_written_is_read_back_in_chunks(store: Store) -> None:
    assert store.write(DIGEST, [DATA[:100], DATA[100:]]) == len(DATA)

    chunks = list(store.read(DIGEST))

    assert b"".join(chunks) == DATA and len(chunks) == 3
    assert store.size(DIGEST) == len(DATA)


@pytest.mark.parametrize(
    ("digest", "chunks", "error"),
    [
        (DIGEST, [DATA[:-1]], Malformed),
        (DIGEST, [], Malformed),
        (DIGEST, [DATA] * 5, Refused),
        ("../../etc/passwd", [DATA], Refused),
        (DIGEST.upper(), [DATA], Refused),
    ],
)
def test_a_wrong_writing_is_refused_and_leaves_nothing(
    store: Store, tmp_path: Path, digest: str, chunks: list[bytes], error: type[DriftloopError]
) -> None:
    with pytest.raises(error):
        store.write(digest, chunks)

    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_damaged_artifact_is_refused_before_its_first_byte(store: Store, tmp_path: Path) -> None:
    store.write(DIGEST, [DATA])
    (tmp_path / DIGEST[:2] / DIGEST).write_bytes(DATA[:-1] + b"!")

    with pytest.raises(Malformed, match="damaged"):
        next(store.read(DIGEST))


def test_a_damaged_artifact_is_mended_by_uploading_it_again(store: Store, tmp_path: Path) -> None:
    store.write(DIGEST, [DATA])
    (tmp_path / DIGEST[:2] / DIGEST).write_bytes(b"")

    store.write(DIGEST, [DATA])

    assert b"".join(store.read(DIGEST)) == DATA


def test_what_is_not_kept_is_refused(store: Store) -> None:
    assert store.size(DIGEST) is None
    with pytest.raises(Refused, match="not kept"):
        next(store.read(DIGEST))


def test_parts_that_a_crash_left_behind_are_swept_at_the_next_start(tmp_path: Path) -> None:
    (tmp_path / ".part-abc").write_bytes(b"half")

    Store(tmp_path, artifact_bytes_max=1)

    assert list(tmp_path.iterdir()) == []
