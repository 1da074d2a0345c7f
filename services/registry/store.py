"""Artifacts in a folder, by the sha256 of their bytes: written whole or not at all, checked
whenever they are read.

Nothing here knows what an artifact is for; the ledger says which digests exist.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from driftloop.kit.errors import Malformed, Refused, Unavailable

CHUNK_BYTES = 1 << 20  # an ArtifactChunk's data at most; gRPC's own limit for a message is 4 MiB
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Store:
    """`folder/<first two>/<digest>`. Safe for threads: each writing has a file of its own until it
    is renamed.
    """

    def __init__(self, folder: Path, *, artifact_bytes_max: int) -> None:
        self._folder = folder
        self._artifact_bytes_max = artifact_bytes_max
        self._sweep()

    def write(self, digest: str, chunks: Iterable[bytes]) -> int:
        """Keeps what hashes to `digest`; gives back its size.

        Malformed: the bytes hash to something else. Refused: too large. Unavailable: no space, no
        folder.
        """
        path = self._path(digest)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(
                dir=self._folder, prefix=".part-", delete=False
            ) as part:
                try:
                    size = self._fill(part, digest, chunks)
                    Path(part.name).replace(path)
                except BaseException:
                    Path(part.name).unlink()
                    raise
            _sync_folder(path.parent)
        except OSError as error:
            raise Unavailable(
                f"artifact {digest[:12]} can't be kept in {self._folder}: {error.strerror}"
            ) from error
        return size

    def size(self, digest: str) -> int | None:
        """Bytes of a kept artifact; None: there is none."""
        path = self._path(digest)
        return path.stat().st_size if path.is_file() else None

    def delete(self, digest: str) -> None:
        """Give up an artifact; one that is not kept is gone already. Unavailable: the folder."""
        try:
            self._path(digest).unlink(missing_ok=True)
        except OSError as error:
            raise Unavailable(f"artifact {digest[:12]} stays: {error.strerror}") from error

    def read(self, digest: str) -> Iterator[bytes]:
        """The artifact in chunks, after all of it was checked. Refused: not kept. Malformed: its
        bytes have changed.
        """
        path = self._path(digest)
        try:
            with path.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                    raise Malformed(
                        f"artifact {digest[:12]} is damaged: {path} hashes to something else"
                    )
                file.seek(0)
                while chunk := file.read(CHUNK_BYTES):
                    yield chunk
        except FileNotFoundError as error:
            raise Refused(f"artifact {digest} is not kept here") from error
        except OSError as error:
            raise Unavailable(f"artifact {digest[:12]} can't be read: {error.strerror}") from error

    def _fill(self, file: IO[bytes], digest: str, chunks: Iterable[bytes]) -> int:
        sha256, size = hashlib.sha256(), 0
        for chunk in chunks:
            size += len(chunk)
            if size > self._artifact_bytes_max:
                raise Refused(
                    f"artifact {digest[:12]} is larger than {self._artifact_bytes_max} bytes; "
                    "REGISTRY_ARTIFACT_BYTES_MAX raises the limit"
                )
            sha256.update(chunk)
            file.write(chunk)
        if sha256.hexdigest() != digest:
            raise Malformed(
                f"artifact {digest[:12]} hashes to {sha256.hexdigest()[:12]} after {size} bytes"
            )
        file.flush()
        os.fsync(file.fileno())
        return size

    def _path(self, digest: str) -> Path:
        if not _DIGEST.fullmatch(digest):
            raise Refused(f"{digest[:80]!r} is no digest, wanted a sha256 in 64 hex digits")
        return self._folder / digest[:2] / digest

    def _sweep(self) -> None:
        """Parts that a crash left behind belong to no one."""
        for part in self._folder.glob(".part-*"):
            part.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
