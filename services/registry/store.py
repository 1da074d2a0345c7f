"""Artifacts by the sha256 of their bytes: written whole or not at all, checked whenever they are
read.

Nothing here knows what an artifact is for; the ledger says which digests exist.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from driftloop.kit.errors import Malformed, Refused, Unavailable
from driftloop.kit.objects import Objects

CHUNK_BYTES = 1 << 20  # an ArtifactChunk's data at most; gRPC's own limit for a message is 4 MiB
MEMORY_BYTES = 8 << 20  # of what comes in; a larger artifact waits in a file until it is checked
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Store:
    """`<first two>/<digest>` in a place of its own. Safe for threads."""

    def __init__(self, objects: Objects, spool: Path, *, artifact_bytes_max: int) -> None:
        """`spool`: a folder for what is too large for memory until it is checked; what a crash
        leaves of that has no name and is gone."""
        self._objects = objects
        self._spool = spool
        self._artifact_bytes_max = artifact_bytes_max
        objects.sweep()

    def write(self, digest: str, chunks: Iterable[bytes]) -> int:
        """Keeps what hashes to `digest`; gives back its size.

        Malformed: the bytes hash to something else. Refused: too large. Unavailable: no space, or
        the place is away; nothing is kept then, and it may come again.
        """
        name = _name(digest)
        with self._spooled() as whole:
            size = self._fill(whole, digest, chunks)
            self._objects.write(name, whole)
        return size

    def size(self, digest: str) -> int | None:
        """Bytes of a kept artifact; None: there is none."""
        return self._objects.size(_name(digest))

    def delete(self, digest: str) -> None:
        """Give up an artifact; one that is not kept is gone already. Unavailable: the place."""
        self._objects.delete(_name(digest))

    def read(self, digest: str) -> Iterator[bytes]:
        """The artifact in chunks, after all of it was checked. Refused: not kept. Malformed: its
        bytes have changed.
        """
        name, size = _name(digest), self.size(digest)
        if size is None:
            raise Refused(f"artifact {digest} is not kept here")
        sha256 = hashlib.sha256()
        for piece in self._objects.pieces(name, size):
            sha256.update(piece)
        if sha256.hexdigest() != digest:
            place = self._objects.address(name)
            raise Malformed(f"artifact {digest[:12]} is damaged: {place} hashes to something else")
        for piece in self._objects.pieces(name, size):
            for at in range(0, len(piece), CHUNK_BYTES):
                yield piece[at : at + CHUNK_BYTES]

    def _spooled(self) -> IO[bytes]:
        try:
            self._spool.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._no_room(error) from error
        return tempfile.SpooledTemporaryFile(MEMORY_BYTES, dir=str(self._spool))

    def _fill(self, file: IO[bytes], digest: str, chunks: Iterable[bytes]) -> int:
        """All of `chunks`, checked, to be read from the beginning."""
        sha256, size = hashlib.sha256(), 0
        for chunk in chunks:
            size += len(chunk)
            if size > self._artifact_bytes_max:
                raise Refused(
                    f"artifact {digest[:12]} is larger than {self._artifact_bytes_max} bytes; "
                    "REGISTRY_ARTIFACT_BYTES_MAX raises the limit"
                )
            sha256.update(chunk)
            try:
                file.write(chunk)
            except OSError as error:
                raise self._no_room(error) from error
        if sha256.hexdigest() != digest:
            raise Malformed(
                f"artifact {digest[:12]} hashes to {sha256.hexdigest()[:12]} after {size} bytes"
            )
        file.seek(0)
        return size

    def _no_room(self, error: OSError) -> Unavailable:
        return Unavailable(f"an artifact can't be taken in at {self._spool}: {error.strerror}")


def _name(digest: str) -> str:
    if not _DIGEST.fullmatch(digest):
        raise Refused(f"{digest[:80]!r} is no digest, wanted a sha256 in 64 hex digits")
    return f"{digest[:2]}/{digest}"
