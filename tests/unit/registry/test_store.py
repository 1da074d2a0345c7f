"""Artifacts by digest, in a folder."""

from __future__ import annotations

import hashlib
from pathlib import Path

import obstore
import pytest
from obstore.store import LocalStore

from driftloop.kit.errors import DriftloopError, Malformed, Refused, Unavailable
from driftloop.kit.objects import Objects
from services.registry.store import Store

DATA = b"a model" * 300_000  # 2.1 MB: three chunks
DIGEST = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(Objects(str(tmp_path)), tmp_path, artifact_bytes_max=10_000_000)


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

    assert files(tmp_path) == []


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
    cut_off = obstore.open_writer(LocalStore(tmp_path), f"ab/{DIGEST}", buffer_size=10)
    cut_off.write(b"half an artifact")
    assert len(files(tmp_path)) == 1

    Store(Objects(str(tmp_path)), tmp_path, artifact_bytes_max=1)

    assert files(tmp_path) == []


def test_what_is_too_large_for_memory_is_kept_as_well(store: Store, tmp_path: Path) -> None:
    large = b"0123456789abcdef" * 600_000  # 9.6 MB
    digest = hashlib.sha256(large).hexdigest()

    assert store.write(digest, [large[:5_000_000], large[5_000_000:]]) == len(large)

    assert b"".join(store.read(digest)) == large
    assert files(tmp_path) == [tmp_path / digest[:2] / digest]


def test_a_folder_that_can_not_be_written_is_named_and_an_upload_may_come_again(
    tmp_path: Path,
) -> None:
    (tmp_path / "kept").mkdir()
    store = Store(Objects(str(tmp_path / "kept")), tmp_path / "spool", artifact_bytes_max=10**7)
    (tmp_path / "kept" / DIGEST[:2]).write_text("a file where a folder must be")

    with pytest.raises(Unavailable, match=rf"write {tmp_path}/kept/{DIGEST[:2]}/{DIGEST}: "):
        store.write(DIGEST, [DATA])
    (tmp_path / "kept" / DIGEST[:2]).unlink()
    store.write(DIGEST, [DATA])

    assert b"".join(store.read(DIGEST)) == DATA


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
