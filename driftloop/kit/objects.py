"""Objects: bytes by name, in a folder of this machine or in an object store, through obstore.

A write happens whole or not at all. What the bytes mean is their owner's business; the store's
errors are translated here. Credentials of a store are its own settings (AWS_ACCESS_KEY_ID, …).
"""

from __future__ import annotations

from pathlib import Path

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from driftloop.kit.errors import Refused, Unavailable

FAULTS = (BaseError, OSError)  # where a file system has a word for it, obstore raises that


class Objects:
    """One place. `where`: a folder, or a URL as s3://bucket/folder, gs://…, az://…"""

    def __init__(self, where: str) -> None:
        """Refused: an address of no kind that there is."""
        self.where = where
        self._store = _opened(where)

    def read(self, name: str) -> bytes | None:
        """None: there is no such object."""
        try:
            return bytes(obstore.get(self._store, name).bytes())
        except FileNotFoundError:
            return None
        except FAULTS as error:
            raise self._away("read", name, error) from error

    def size(self, name: str) -> int | None:
        """Bytes; None: there is no such object."""
        try:
            return int(obstore.head(self._store, name)["size"])
        except FileNotFoundError:
            return None
        except FAULTS as error:
            raise self._away("look at", name, error) from error

    def names(self, prefix: str) -> set[str]:
        """All that lie under the folder `prefix`."""
        try:
            return {str(one["path"]) for one in obstore.list(self._store, prefix).collect()}
        except FAULTS as error:
            raise self._away("list", prefix, error) from error

    def write(self, name: str, data: bytes) -> None:
        """In place of what is there."""
        try:
            obstore.put(self._store, name, data)
        except FAULTS as error:
            raise self._away("write", name, error) from error

    def address(self, name: str) -> str:
        """Where people find it."""
        return f"{self.where.rstrip('/')}/{name}"

    def _away(self, verb: str, name: str, error: Exception) -> Unavailable:
        told = str(error).partition("\n")[0]  # the rest is the library's own state
        return Unavailable(f"{verb} {self.address(name)}: {told}")


def _opened(where: str) -> ObjectStore:
    try:
        if "://" in where:
            return from_url(where)
        return LocalStore(Path(where).absolute(), mkdir=True)
    except FAULTS as error:
        told = str(error).partition("\n")[0]
        raise Refused(f"{where}: {told}; wanted a folder, or s3://bucket/folder") from error
