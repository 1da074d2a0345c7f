"""Objects: bytes by name, in a folder of this machine or in an object store, through obstore.

A write happens whole or not at all. What the bytes mean is their owner's business; the store's
errors are translated here. Where a store is and who may use it are its own settings, in the
environment: AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, … (services/SETTINGS.md).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from driftloop.kit.errors import Refused, Unavailable

if TYPE_CHECKING:
    from obstore.store import RetryConfig

FAULTS = (BaseError, OSError)  # where a file system has a word for it, obstore raises that
PIECE_BYTES = 8 << 20  # of one question for a large object: each has its own time limit
# The library's own tries would hold a call for 3 minutes; who calls us tries again by itself.
TRIES: RetryConfig = {"max_retries": 3, "retry_timeout": timedelta(seconds=15)}
MEND = "is the store up, and are its settings right (AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, …)?"
_SAID = re.compile(r"<Message>([^<]{1,300})</Message>")  # of S3's answer
_PART = re.compile(r".+#\d+")  # what obstore writes to until it is renamed


class Objects:
    """One place. `where`: a folder, or a URL as s3://bucket/folder, gs://…, az://… Safe for
    threads."""

    def __init__(self, where: str) -> None:
        """Refused: an address of no kind that there is. Nothing is asked of a store yet."""
        self.where = where
        self._folder = None if "://" in where else Path(where).absolute()
        self._store = self._opened()

    def read(self, name: str) -> bytes | None:
        """None: there is no such object."""
        size = self.size(name)
        return None if size is None else b"".join(self.pieces(name, size))

    def pieces(self, name: str, size: int, start: int = 0) -> Iterator[bytes]:
        """The bytes [start, size) of an object of `size` bytes, some MiB at a time."""
        for at in range(start, size, PIECE_BYTES):
            end = min(at + PIECE_BYTES, size)
            try:
                yield bytes(obstore.get_range(self._store, name, start=at, end=end))
            except FAULTS as error:
                raise self._away("read", name, error) from error

    def size(self, name: str) -> int | None:
        """Bytes; None: there is no such object."""
        try:
            return int(obstore.head(self._store, name)["size"])
        except FileNotFoundError:
            self.names(name)  # a bucket that is not there says the same of every object
            return None
        except FAULTS as error:
            raise self._away("look at", name, error) from error

    def names(self, prefix: str) -> set[str]:
        """All that lie under the folder `prefix`."""
        try:
            return {str(one["path"]) for one in obstore.list(self._store, prefix).collect()}
        except FAULTS as error:
            raise self._away("list", prefix, error) from error

    def write(self, name: str, data: bytes | IO[bytes]) -> None:
        """In place of what is there; a folder of this machine has it on its disk then."""
        try:
            obstore.put(self._store, name, data)
            if self._folder is not None:
                _sync(self._folder, name)
        except FAULTS as error:
            raise self._away("write", name, error) from error

    def delete(self, name: str) -> None:
        """What is not there is gone already."""
        try:
            obstore.delete(self._store, name)
        except FileNotFoundError:
            return
        except FAULTS as error:
            raise self._away("delete", name, error) from error

    def sweep(self) -> None:
        """Remove what writes that a crash cut off have left in a folder; for its only writer. A
        store hides them, and its own rule for incomplete uploads removes them."""
        if self._folder is not None:
            for path in self._folder.rglob("*#*"):
                if _PART.fullmatch(path.name):
                    path.unlink(missing_ok=True)

    def address(self, name: str) -> str:
        """Where people find it."""
        return f"{self.where.rstrip('/')}/{name}"

    def _opened(self) -> ObjectStore:
        try:
            if self._folder is None:
                return from_url(self.where, retry_config=TRIES)
            return LocalStore(self._folder, mkdir=True)
        except FAULTS as error:
            wanted = "wanted a folder, or s3://bucket/folder with its AWS_… settings"
            raise Refused(f"{self.where}: {_first_line(error)}; {wanted}") from error

    def _away(self, verb: str, name: str, error: Exception) -> Unavailable:
        said = _SAID.search(str(error))
        told = f"{_first_line(error)}{' ' + said[1] if said else ''}"
        mend = "" if self._folder else f"; {MEND}"
        return Unavailable(f"{verb} {self.address(name)}: {told}{mend}")


def _first_line(error: Exception) -> str:
    """The rest is the library's own state."""
    return str(error).partition("\n")[0].removesuffix('<?xml version="1.0" encoding="utf-8"?>')


def _sync(folder: Path, name: str) -> None:
    """The file and its names, up to `folder`, which may be new."""
    path = folder / name
    for each in (path, *path.parents[: len(Path(name).parts)]):
        descriptor = os.open(each, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
